"""What an address says of its source before it is open, and the address without its secrets."""

import os
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from urllib.parse import unquote

from ssa_stream.errors import ConfigError, SourceError, misnamed
from ssa_stream.picture_limits import PictureLimits

__all__ = [
    "Address",
    "descriptor_of",
    "file_of_url",
    "is_device",
    "is_live_address",
    "is_synthetic",
    "limits_of",
    "parse_address",
    "redact",
    "scheme_of",
]

_LIVE_SCHEMES = frozenset(
    {"camera", "v4l2", "http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "tcp", "udp", "webrtc"}
)
"""Of cameras and servers, which come back when they are lost."""

# These need nothing after them, not even a colon.
_WORDS = ("synthetic", "webrtc")
# Two letters at least, so that C:\\video.mp4 stays a path.
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]+):")
_DESCRIPTOR = re.compile(r"-|pipe:(?P<number>[0-9]*)|/dev/stdin")
_DEVICE = re.compile(r"[0-9]+|/dev/video[0-9]+")
# Settings at the end of an address: `#stream=1&fps=10`. A fragment is never sent to a server. In a query they are taken
# for settings only of a file, which has no query; a server's query is its own.
_FRAGMENT = re.compile(r"#(?P<settings>[a-z_]+=[^#?&@\s]*(?:&[a-z_]+=[^#?&@\s]*)*)$")
_QUERY = re.compile(r"\?(?P<settings>[a-z_]+=[^#?&@\s]*(?:&[a-z_]+=[^#?&@\s]*)*)$")
_SETTINGS = frozenset({"stream", "fps", "interval", "max_edge", "max_area", "hosts", "hwaccel", "markers"})
_HWACCELS = ("auto", "none", "cuda", "vaapi", "qsv", "vulkan", "videotoolbox", "d3d11va")
# A host that may be followed to: `any`, or a name, with a port if it is not the usual one; `*.` is for names below.
_HOST = re.compile(r"any|(?:(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
# Of numbered pictures, in an address with percent codes: %20d is a space and a letter there.
_NUMBER_PATTERN = re.compile(r"(%(?:0[0-9]*|[1-9])?d)")
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


@dataclass(frozen=True, slots=True)
class Address:
    """An address in its parts.

    Attributes:
        name: What to call it in messages: as it was given, but without credentials.
        target: What is opened: the address without our settings.
        stream: Which of its video streams, from 0; None for the best one.
        rate_hz: Frames per second of what holds no times, such as numbered pictures; None if not given.
        interval_s: Seconds from one request to the next of a camera that gives one picture for each; None if not given.
        limits: How large its pictures may be; None if not given.
        hosts: Other hosts that it may lead to, as `ssa_stream.sources.hosts` takes them.
        trusts_markers: Whether RTP markers count where nothing proves them, see `NetworkSource`.
        hwaccel: What decodes its video, see `ssa_stream.sources.hardware`.
    """

    name: str
    target: str
    stream: int | None = None
    rate_hz: Fraction | None = None
    interval_s: float | None = None
    limits: PictureLimits | None = None
    hosts: tuple[str, ...] = ()
    trusts_markers: bool = False
    hwaccel: str = "auto"


def parse_address(text: str) -> Address:
    """Take our settings off an address: `two.mkv#stream=1`, `two.mkv?stream=1`, `http://host/live.m3u8#stream=0`.

    A name of a file that exists is never taken apart. Only a file may have settings in its query. A fragment without
    any setting of ours stays part of the address, but for HTTP, whose servers get none.

    Raises:
        ConfigError: A setting that is not known stands beside one that is, or has no valid value.
    """
    target, settings = _split(text)
    name = redact(text)
    for key in settings:
        if key not in _SETTINGS:
            raise ConfigError(f"{name}: the setting {key!r} is unknown; known are {', '.join(sorted(_SETTINGS))}")
    stream, rate, interval = settings.get("stream"), settings.get("fps"), settings.get("interval")
    if stream is not None and not re.fullmatch(r"[0-9]{1,6}", stream):
        raise ConfigError(f"{name}: stream is {stream!r}; expected the number of a video stream, from 0")
    return Address(
        name,
        target,
        None if stream is None else int(stream),
        None if rate is None else _rate(name, rate),
        None if interval is None else _seconds(name, interval),
        _limits(name, settings),
        _hosts(name, settings.get("hosts")),
        _trusts_markers(name, settings.get("markers")),
        _hwaccel(name, settings.get("hwaccel", "auto")),
    )


def descriptor_of(address: str) -> int | None:
    """The file descriptor that an address stands for (`-`, `pipe:`, `pipe:3`, `/dev/stdin`); None if it is none."""
    match = _DESCRIPTOR.fullmatch(address)
    return None if match is None else int(match["number"] or 0)


def file_of_url(url: str) -> str:
    """Return the path that `file:///...` or `file:...` names, with percent codes decoded.

    The number in a pattern of pictures (`file:///frames/%03d.png`) is left as it is.

    Raises:
        SourceError: It names another machine.
    """
    rest = url[len("file:") :]
    if not rest.startswith("//"):
        return rest if _exists(rest) else _decoded(rest)
    host, slash, path = rest[2:].partition("/")
    if host.lower() not in ("", "localhost"):
        raise misnamed(
            SourceError(
                f"{redact(url)} names a file of the machine {host!r}: expected file:///full/path, or file:name for a "
                "name relative to this folder"
            )
        )
    return _decoded(slash + path)


def is_device(address: str) -> bool:
    """Whether it is a camera of this machine by its number or path; a file that has the number as its name is none."""
    is_file = address.isdecimal() and os.path.isfile(address)
    return _DEVICE.fullmatch(address) is not None and not is_file


def scheme_of(address: str) -> str | None:
    """Its scheme in small letters; None for a file name, also for one that exists and looks like a scheme."""
    word = address.lower().partition("@")[0]
    if word in _WORDS:
        return word
    match = _SCHEME.match(address)
    return None if match is None or _exists(address) else match["scheme"].lower()


def is_synthetic(address: str) -> bool:
    """Whether it is a made-up scene, such as `synthetic@640x360`."""
    return scheme_of(_split(address)[0]) == "synthetic"


def is_live_address(address: str, live: bool | None) -> bool:
    """Whether it is worth trying again when it cannot be opened: cameras and servers come back, files do not.

    Args:
        address: As `open_source` takes it.
        live: What is known of it otherwise; None if nothing.
    """
    if live is not None:
        return live
    target, _ = _split(address)
    return is_device(target) or scheme_of(target) in _LIVE_SCHEMES


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # longer than a name of a file may be
        return False


def _split(text: str) -> tuple[str, dict[str, str]]:
    """The address without its settings, and these; none if it holds none that is known."""
    if _exists(text):
        return text, {}
    match = _FRAGMENT.search(text)
    if match is None and scheme_of(text) in (None, "file"):
        match = _QUERY.search(text)
    if match is None:
        head, mark, fragment = text.rpartition("#")
        is_fragment = bool(mark) and "@" not in fragment and scheme_of(text) in ("http", "https")
        return (head if is_fragment else text), {}
    settings = dict(pair.split("=", 1) for pair in match["settings"].split("&"))
    return (text[: match.start()], settings) if _SETTINGS & settings.keys() else (text, {})


def _rate(name: str, text: str) -> Fraction:
    try:
        rate_hz = Fraction(text.replace(":", "/"))
    except (ValueError, ZeroDivisionError):
        rate_hz = Fraction(0)
    if not 0 < rate_hz <= 1000:
        raise ConfigError(f"{name}: fps is {text!r}; expected frames per second above 0, up to 1000, such as 12.5")
    return rate_hz


def limits_of(address: str) -> PictureLimits | None:
    """How large the pictures of an address may be, by its settings; None if it does not say.

    Raises:
        ConfigError: A limit has no valid value.
    """
    return _limits(redact(address), _split(address)[1])


def _limits(name: str, settings: dict[str, str]) -> PictureLimits | None:
    given: dict[str, int] = {}
    for setting, field in (("max_edge", "edge_px"), ("max_area", "area_px")):
        text = settings.get(setting)
        if text is None:
            continue
        if not re.fullmatch(r"[0-9]{1,12}", text):
            raise ConfigError(f"{name}: {setting} is {text!r}; expected a number of pixels, such as {setting}=20000")
        given[field] = int(text)
    try:
        return PictureLimits(**given) if given else None
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None


def _hosts(name: str, text: str | None) -> tuple[str, ...]:
    hosts = () if text is None else tuple(text.lower().split(","))
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ConfigError(
                f"{name}: hosts is {text!r}; expected names of hosts such as hosts=cdn.example.com,10.0.0.5:8080, "
                "*.example.com for all below it, or hosts=any"
            )
    return hosts


def _trusts_markers(name: str, text: str | None) -> bool:
    if text not in (None, "trusted"):
        raise ConfigError(f"{name}: markers is {text!r}; expected markers=trusted")
    return text is not None


def _hwaccel(name: str, text: str) -> str:
    if text not in _HWACCELS:
        raise ConfigError(f"{name}: hwaccel is {text!r}; expected one of {', '.join(_HWACCELS)}")
    return text


def _decoded(path: str) -> str:
    decoded = unquote(path)
    if _exists(decoded):
        return decoded
    if _exists(path):
        return path
    folder, slash, last = path.rpartition("/")
    # Every second part is a number.
    parts = [part if place % 2 else unquote(part) for place, part in enumerate(_NUMBER_PATTERN.split(last))]
    is_literal = _exists(folder) and not _exists(unquote(folder))
    return (folder if is_literal else unquote(folder)) + slash + "".join(parts)


def _seconds(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ConfigError(f"{name}: the interval is {text!r}: give seconds above 0, such as #interval=0.5")
    return value
