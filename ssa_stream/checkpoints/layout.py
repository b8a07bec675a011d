"""Which tensors a network has, how a file's differ from them, and building a network straight from tensors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ssa_stream.checkpoints.reference_keys import CRITERION_KEYS
from ssa_stream.errors import CheckpointError
from ssa_stream.model import SSA, SsaConfig
from ssa_stream.model.clip import causal_mask
from ssa_stream.model.parts import Absent

__all__ = [
    "Layout",
    "Mismatch",
    "build_model",
    "compare_layouts",
    "empty_model",
    "expect_layout",
    "extend_model",
    "fill_model",
    "model_layout",
]

_LISTED = 6
_LONGEST = 200

Layout = Mapping[str, tuple[int, ...]]
"""Shape of each tensor by name."""


@dataclass(frozen=True)
class Mismatch:
    """How the tensors at hand differ from the expected ones; false if they do not.

    Attributes:
        missing: Expected, not at hand.
        unexpected: At hand, not expected.
        misshapen: Name, shape at hand, expected shape.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen)

    def __str__(self) -> str:
        wrong = [f"{key} is {list(came)}, expected {list(wanted)}" for key, came, wanted in self.misshapen]
        parts = (("missing", self.missing), ("unexpected", self.unexpected), ("of another shape", wrong))
        return "\n".join(f"  {len(items)} {what}: {_shorten(items)}" for what, items in parts if items)


def _shorten(items: Iterable[str]) -> str:
    listed = [item if len(item) <= _LONGEST else f"{item[:_LONGEST]}..." for item in items]
    more = len(listed) - _LISTED
    return ", ".join(listed[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def compare_layouts(at_hand: Layout, expected: Layout) -> Mismatch:
    """Compare names and shapes."""
    return Mismatch(
        missing=tuple(key for key in expected if key not in at_hand),
        unexpected=tuple(key for key in at_hand if key not in expected),
        misshapen=tuple(
            (key, tuple(at_hand[key]), tuple(shape))
            for key, shape in expected.items()
            if key in at_hand and tuple(at_hand[key]) != tuple(shape)
        ),
    )


def empty_model(config: SsaConfig) -> SSA:
    """Build the network without memory for its weights (on torch's meta device), in evaluation mode.

    Raises:
        ConfigError: The configuration cannot be built.
    """
    with torch.device("meta"):
        return SSA(config).eval()


def model_layout(model: SSA) -> dict[str, tuple[int, ...]]:
    """Shapes of the network's own tensors, in module order."""
    return {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}


def expect_layout(layout: Layout, config: SsaConfig) -> SSA:
    """Compare names and shapes of tensors with those of a network; the loss's are ignored.

    Returns:
        The network, without memory for its weights.
    Raises:
        CheckpointError: They differ.
        ConfigError: The configuration cannot be built.
    """
    model = empty_model(config)
    mismatch = compare_layouts(
        {key: shape for key, shape in layout.items() if key not in CRITERION_KEYS}, model_layout(model)
    )
    if mismatch:
        raise CheckpointError(f"the tensors are not those of {config.name}:\n{mismatch}")
    return model


def build_model(config: SsaConfig, state: Mapping[str, Tensor]) -> SSA:
    """Build a network around tensors, which become its parameters: nothing is initialised first and nothing copied.

    Args:
        config: Sizes of the network.
        state: All of its tensors under our names; those of the loss are ignored.
    Returns:
        The network in evaluation mode, on the tensors' device.
    Raises:
        CheckpointError: A tensor is missing, not expected or of another shape.
    """
    return fill_model(expect_layout({key: tuple(tensor.shape) for key, tensor in state.items()}, config), state)


def fill_model(model: SSA, state: Mapping[str, Tensor], place: Tensor | None = None) -> SSA:
    """Give a network from `expect_layout`, or the parts that it keeps, their weights; see `build_model`.

    Args:
        model: The network, on the meta device.
        state: All tensors of the modules that it has.
        place: An empty tensor on the device and of the type of the weights; None takes those of the first tensor.
    """
    weights = {key: tensor for key, tensor in state.items() if key not in CRITERION_KEYS}
    model.load_state_dict(weights, strict=True, assign=True)
    model.place = next(iter(weights.values())).new_empty(0) if place is None else place
    if not isinstance(model.clip, Absent):
        # A buffer that no checkpoint holds has no value after a build on the meta device.
        model.clip.attn_mask = causal_mask(model.clip.context_length).to(model.device, model.clip.text_projection.dtype)
    left = [name for name, tensor in (*model.named_parameters(), *model.named_buffers()) if tensor.is_meta]
    assert not left, f"buffers without a value: {left}"
    return model


def extend_model(model: SSA, config: SsaConfig) -> SSA:
    """A new network with the weights of one that lacks some extensions; it computes what that one does.

    Args:
        model: The network whose weights are taken.
        config: Its configuration, with more extensions.
    """
    extended = SSA(config)
    extended.load_state_dict(extended.state_dict() | model.state_dict())  # what is missing is zero
    return extended
