"""What the published network does not have: modules that do nothing unless a configuration asks for them."""

from collections.abc import Collection

import msgspec

from ssa_stream.model.config import SsaConfig

__all__ = ["extensions_of", "with_extensions"]

_EXTENSIONS = (("frame_decoder", "mask_moments"), ("video_decoder", "presence"))


def extensions_of(config: SsaConfig) -> list[str]:
    """Those that a network has, as its configuration names them: `frame_decoder.mask_moments`."""
    return [f"{owner}.{name}" for owner, name in _EXTENSIONS if getattr(getattr(config, owner), name)]


def with_extensions(config: SsaConfig, extensions: Collection[str]) -> SsaConfig:
    """The same network with these of them and no others."""
    changed = {
        owner: msgspec.structs.replace(getattr(config, owner), **{name: f"{owner}.{name}" in extensions})
        for owner, name in _EXTENSIONS
    }
    return msgspec.structs.replace(config, **changed)
