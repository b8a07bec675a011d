"""What an address says of its source before it is open, and the address without its secrets."""

import re
from pathlib import Path

__all__ = ["fragment_of", "is_device", "is_live_address", "redact", "scheme_of"]

_LIVE_SCHEMES = frozenset(
    {"camera", "v4l2", "http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "tcp", "udp", "webrtc"}
)
"""Of cameras and servers, which come back when they are lost."""

# These need nothing after them, not even a colon.
_WORDS = ("synthetic", "webrtc")
# Two letters at least, so that C:\\video.mp4 stays a path.
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]+):")
_DEVICE = re.compile(r"\d+|/dev/video\d+")
# A password may hold a slash that nobody escaped: after `user:` everything up to the last @ goes, rather one word of a
# path too many than one of a password.
_USER_INFO = re.compile(r"(?<=://)(?:[^/?#\s:]*:[^\s'\"<>]*@|[^/?#\s]*@)")
_SECRET_FIELD = re.compile(
    r"((?:user(?:name)?|login|pass(?:word|wd)?|pwd|token|secret|(?:api_?)?key|auth|sig(?:nature)?)=)[^&/#\s]*",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """Replace credentials in every address inside `text` by `***`.

    Covers `scheme://user:password@host` and fields such as `password=...` or `token=...` in path or query.
    """
    return _SECRET_FIELD.sub(r"\1***", _USER_INFO.sub("***@", text))


def is_device(address: str) -> bool:
    """Whether it is a camera of this machine by its number or path."""
    return _DEVICE.fullmatch(address) is not None


def scheme_of(address: str) -> str | None:
    """Its scheme in small letters; None for a file name, also for one that exists and looks like a scheme."""
    word = address.lower().partition("@")[0]
    if word in _WORDS:
        return word
    match = _SCHEME.match(address)
    return None if match is None or _exists(address) else match["scheme"].lower()


def fragment_of(address: str) -> tuple[str, dict[str, str]]:
    """Split an address from what follows its `#`, which is for this program and not for the server.

    Returns:
        The address without it, and its settings: `#interval=0.5&stream=1` gives both by their names. What is no
        `name=value` gives nothing.
    """
    head, mark, fragment = address.rpartition("#")
    if not mark or "@" in fragment:  # a password may hold a # that nobody escaped
        return address, {}
    pairs = (pair.partition("=") for pair in fragment.split("&"))
    return head, {name: value for name, equals, value in pairs if equals}


def is_live_address(address: str, live: bool | None) -> bool:
    """Whether it is worth trying again when it cannot be opened: cameras and servers come back, files do not.

    Args:
        address: As `open_source` takes it.
        live: What is known of it otherwise; None if nothing.
    """
    if live is not None:
        return live
    return is_device(address) or scheme_of(address) in _LIVE_SCHEMES


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # longer than a name of a file may be
        return False
