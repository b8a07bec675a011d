"""Parts of the network: a stage of a graph of processes holds the modules that it computes with, and no others."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NoReturn

import torch
from torch import nn

from ssa_stream.errors import ConfigError, SsaStreamError

__all__ = ["PARTS", "Absent", "modules_of", "part_building"]

PARTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "encoder": ("clip", "adapters"),
        "queries": ("sentence_resizer", "pixel_decoder", "frame_decoder", "mask_moments", "video_mask_features"),
        "decoder": ("video_decoder",),
        "masks": (),
    }
)
"""Modules of `SSA` by part; together they are the whole network. A part has the name of the nodes that compute it."""


class _AbsentError(SsaStreamError, AttributeError):
    """A stage was called that this part of the network does not have."""


class Absent(nn.Module):
    """In the place of a module that belongs to another part; whoever computes with it is told so.

    Args:
        name: Of the module.
        held: Parts that the network has.
    """

    def __init__(self, name: str, held: Collection[str]) -> None:
        super().__init__()
        self._name, self._held = name, tuple(held)

    def forward(self, *inputs: object) -> NoReturn:
        """Say what is missing."""
        raise self._error()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what Python and torch look for in any module
            return super().__getattr__(name)
        raise self._error()

    def _error(self) -> _AbsentError:
        needed = next(part for part, modules in PARTS.items() if self._name in modules)
        held = ", ".join(map(repr, self._held)) or "none"
        return _AbsentError(
            f"this network holds only the parts: {held}; {self._name} belongs to the part {needed!r}: load that too, "
            f"or the whole network"
        )


def modules_of(parts: Collection[str] | None) -> frozenset[str]:
    """Names of the modules of some parts; None is the whole network.

    Raises:
        ConfigError: There is no such part.
    """
    if unknown := [part for part in parts or () if part not in PARTS]:
        raise ConfigError(f"the network has no part {unknown[0]!r}; expected one of {', '.join(PARTS)}")
    return frozenset(name for part in (PARTS if parts is None else parts) for name in PARTS[part])


@contextmanager
def part_building(name: str, held: Collection[str], seed: int | None) -> Iterator[None]:
    """Build a module of the network in the body: with memory only if it is held.

    Args:
        name: Of the module.
        held: Names of the modules that are held; others are built on the meta device, for their sizes.
        seed: Of the random weights: each module begins anew with it, so that it has the same ones in every part. None
            goes on with torch's generator.
    """
    if name not in held:
        with torch.device("meta"):
            yield
        return
    if seed is not None:
        torch.manual_seed(seed)
    yield
