"""What an address says of its source before it is open."""

import re

__all__ = ["is_live_address"]

_CAMERA = re.compile(r"\d+|/dev/video\d+")
_LIVE_SCHEMES = frozenset(
    {"camera", "v4l2", "http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "tcp", "udp"}
)


def is_live_address(address: str, live: bool | None) -> bool:
    """Whether it is worth trying again when it cannot be opened: cameras and servers come back, files do not.

    Args:
        address: As `open_source` takes it.
        live: What the pipeline says; None if nothing.
    """
    if live is not None:
        return live
    scheme, separator, _ = address.partition(":")
    return bool(_CAMERA.fullmatch(address)) or (bool(separator) and scheme.lower() in _LIVE_SCHEMES)
