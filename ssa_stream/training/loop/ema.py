"""A running mean of the weights: small batches leave noise in them, which a mean is free of."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ssa_stream.model import SSA

__all__ = ["Ema"]


class Ema:
    """The mean of a network's weights, updated after each step; without a decay, the weights themselves.

    Args:
        model: The network that is trained; the mean starts from its present weights.
        decay: Weight of the mean so far in the next one, 0..1.
    """

    def __init__(self, model: SSA, decay: float) -> None:
        self._model = model
        self._mean = None if decay == 0 else AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
        self.update()

    def update(self) -> None:
        """Take in the present weights."""
        if self._mean is not None:
            self._mean.update_parameters(self._model)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The network has its mean weights within, and its own again afterwards."""
        if self._mean is None:
            yield
            return
        own = {name: value.clone() for name, value in self._model.state_dict().items()}
        self.keep()
        try:
            yield
        finally:
            self._model.load_state_dict(own)

    def keep(self) -> None:
        """Give the network its mean weights for good."""
        if self._mean is not None:
            self._model.load_state_dict(self._mean.module.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """For `load_state_dict`."""
        return {} if self._mean is None else self._mean.state_dict()

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Go on with a mean."""
        if self._mean is not None:
            self._mean.load_state_dict(state)
