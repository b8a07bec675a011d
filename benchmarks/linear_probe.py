"""A linear layer fitted to features: what it can tell from them is in them."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["ProbeResult", "probe"]

_FITTED = 0.75


class ProbeResult(NamedTuple):
    """How often the layer is right on rows that it was not fitted to.

    Attributes:
        right: Part of these rows, 0..1.
        usual: The same of always giving the most frequent answer.
        rows: Number of these rows.
    """

    right: float
    usual: float
    rows: int


def probe(features: Tensor, labels: Tensor) -> ProbeResult:
    """Fit to the first three quarters of the rows, judge by the others.

    Args:
        features: `(R, C)`; they are standardised here.
        labels: `(R,)` int64, from 0.
    """
    x = ((features - features.mean(0)) / (features.std(0) + 1e-6)).clone()  # a clone may be part of a graph
    fitted = int(_FITTED * len(x))
    weight = torch.zeros(x.shape[1], int(labels.max()) + 1, requires_grad=True)
    bias = torch.zeros(weight.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(x[:fitted] @ weight + bias, labels[:fitted]) + 1e-2 * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    right = (x[fitted:] @ weight + bias).argmax(dim=1) == labels[fitted:]
    usual = labels[fitted:].bincount().max() / len(right)
    return ProbeResult(float(right.float().mean()), float(usual), len(right))
