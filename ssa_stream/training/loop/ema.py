"""An exponential moving average (EMA) of the weights, free of the noise that small batches leave in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ssa_stream.model import SSA

__all__ = ["Ema"]


class Ema:
    """The average of a network's weights, updated after each step; without a decay, the weights themselves.

    Args:
        model: The network that is trained; the average starts from its present weights.
        decay: Weight of the average so far in the next one, 0..1.
    """

    def __init__(self, model: SSA, decay: float) -> None:
        self._model = model
        self._average = None if decay == 0 else AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
        self.update()

    def update(self) -> None:
        """Take in the present weights."""
        if self._average is not None:
            self._average.update_parameters(self._model)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The network has its averaged weights within, and its own again afterwards."""
        if self._average is None:
            yield
            return
        own = {name: value.clone() for name, value in self._model.state_dict().items()}
        self.keep()
        try:
            yield
        finally:
            self._model.load_state_dict(own)

    def keep(self) -> None:
        """Give the network its averaged weights for good."""
        if self._average is not None:
            self._model.load_state_dict(self._average.module.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """For `load_state_dict`."""
        return {} if self._average is None else self._average.state_dict()

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Go on with an average."""
        if self._average is not None:
            self._average.load_state_dict(state)
