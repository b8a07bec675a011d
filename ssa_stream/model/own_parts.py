"""Parts that the published network does not have: off unless a configuration asks for them, 0 until trained or set."""

from collections.abc import Collection

import msgspec

from ssa_stream.model.config import SsaConfig
from ssa_stream.model.ssa import SSA

__all__ = ["completed", "own_parts", "with_own_parts"]

_PARTS = (("frame_decoder", "mask_moments"), ("video_decoder", "presence"))


def own_parts(config: SsaConfig) -> list[str]:
    """Those that a network has, as its configuration names them: `frame_decoder.mask_moments`."""
    return [f"{owner}.{part}" for owner, part in _PARTS if getattr(getattr(config, owner), part)]


def with_own_parts(config: SsaConfig, parts: Collection[str]) -> SsaConfig:
    """The same network with these of them and no others."""
    changed = {
        owner: msgspec.structs.replace(getattr(config, owner), **{part: f"{owner}.{part}" in parts})
        for owner, part in _PARTS
    }
    return msgspec.structs.replace(config, **changed)


def completed(model: SSA, config: SsaConfig) -> SSA:
    """A new network with the weights of one that lacks some of them; it computes what that one does.

    Args:
        model: The network whose weights are taken.
        config: Its configuration, with more parts of ours.
    """
    made = SSA(config)
    made.load_state_dict(made.state_dict() | model.state_dict())  # what lacks is zero
    return made
