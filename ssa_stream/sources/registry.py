"""From what a user types to an open source.

Other distributions add a scheme with

    [project.entry-points."ssa_stream.sources"]
    myscheme = "my_package.sources:open_my_source"

where `open_my_source(spec, options)` takes the whole address, such as `myscheme://host/1`, and `SourceOptions`, and
returns a `Source`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from ssa_stream.addresses import Address, file_of_url, is_device, limits_of, parse_address, redact, scheme_of
from ssa_stream.errors import ConfigError, SourceError, misnamed
from ssa_stream.picture_limits import USUAL_LIMITS, PictureLimits
from ssa_stream.playlist_names import playlist_text
from ssa_stream.plugins import PluginGroup
from ssa_stream.sources.camera import CameraSource
from ssa_stream.sources.file import FileSource, check_file
from ssa_stream.sources.hosts import Hosts
from ssa_stream.sources.http_opener import HttpOpener
from ssa_stream.sources.limited import Limited
from ssa_stream.sources.network import NetworkSource
from ssa_stream.sources.pacing import Realtime
from ssa_stream.sources.recovering import Recovering
from ssa_stream.sources.recovery_policy import RecoveryPolicy
from ssa_stream.sources.size_guard import too_large
from ssa_stream.sources.source import Source
from ssa_stream.sources.status import OnState
from ssa_stream.sources.synthetic import SyntheticSource, SyntheticSpec

__all__ = ["SOURCE_GROUP", "SourceOptions", "check_source", "known_schemes", "open_source", "plugin_schemes"]

SOURCE_GROUP = "ssa_stream.sources"
_NO_FRAME_LIMIT_S = 12.0
_WITH_HOST = frozenset({"http", "https", "rtsp", "rtsps", "rtmp", "rtmps"})
"""Of these schemes an address leads to a server; others may only listen."""
_HOST = re.compile(r"[^:]+://(?:[^/?#]*@)?+[^/?#:@]")
_RECOVERY = RecoveryPolicy()


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How to open a source.

    Attributes:
        live: Whether to treat it as live; None leaves it to the kind of source.
        timeouts_s: Longest wait for opening and for one read.
        backend: Options of the reader underneath, for built-in sources those of FFmpeg.
        on_state: Hears of every change of state, if the source recovers; None if nobody does.
    """

    live: bool | None = None
    timeouts_s: tuple[float, float] = (5.0, 3.0)
    backend: Mapping[str, str] = field(default_factory=dict)
    on_state: OnState | None = None


_PLUGINS = PluginGroup(
    SOURCE_GROUP,
    "source",
    lambda opened: isinstance(opened, Source),
    SourceError,
    redact,
    own={"webrtc": "ssa_stream.nodes.gateway.pictures.camera_source:open_camera_link"},
)


@dataclass(frozen=True, slots=True)
class _Settings:
    """What was asked for beside the address."""

    options: SourceOptions
    policy: RecoveryPolicy | None
    limits: PictureLimits

    def limits_of(self, address: Address) -> PictureLimits:
        """How large the pictures of an address may be: what it says itself comes first."""
        return address.limits or self.limits

    @property
    def no_frame_limit_s(self) -> float:
        """Longest time without a picture while data comes."""
        return _NO_FRAME_LIMIT_S if self.policy is None else self.policy.first_frame_s

    def watched(self, name: str, connect: Callable[[], Source], *, connections_in_parallel: int = 2) -> Source:
        """Open a live source, so that it recovers if that is wanted."""
        if self.policy is None:
            return connect()
        on_state = self.options.on_state
        return Recovering(
            name, connect, self.policy, on_state=on_state, connections_in_parallel=connections_in_parallel
        )


def known_schemes() -> tuple[str, ...]:
    """Return every scheme that `open_source` accepts, built-in ones and those of plug-ins, sorted."""
    return tuple(sorted({*_OPENERS, *_PLUGINS.own, *plugin_schemes()}))


def plugin_schemes() -> tuple[str, ...]:
    """Return the schemes that installed distributions add, sorted; loads none of them."""
    return _PLUGINS.schemes()


def open_source(
    spec: str | int | Path,
    *,
    live: bool | None = None,
    open_timeout_s: float | None = None,
    read_timeout_s: float | None = None,
    options: Mapping[str, str] | None = None,
    recovery: RecoveryPolicy | None = _RECOVERY,
    on_state: OnState | None = None,
    limits: PictureLimits = USUAL_LIMITS,
) -> Source:
    """Open a source of frames.

    Args:
        spec: A file (`street.mp4`, `frames/%03d.png`, `frames/*.png`), `-` for standard input, a camera (0, or `0` if
            no file has this name, `/dev/video0`, `camera:0`), a live address (`rtsp://`, `udp://`, `http://`, ...),
            `synthetic` (see `ssa_stream.sources.synthetic`), `webrtc:...` in a graph that `ssa-stream serve` runs, or
            `scheme:...` of a plug-in. Of built-in sources `...#stream=1` reads the second video stream instead of the
            best one, `...#fps=10` gives numbered pictures and elementary streams a rate, and
            `http://camera/snap.jpg#interval=0.5` asks for a picture every half second; `...#max_edge=20000` and
            `...#max_area=200000000` allow larger pictures, `...#hosts=cdn.example.com` lets a server lead to another
            host, `...#hwaccel=cuda` decodes on a GPU and `...#hwaccel=none` on the processor, `rtsp://...#markers=trusted`
            takes an HEVC picture for complete at its RTP marker. A `Path` is always the file of that name.
        live: True plays a recording at its own pace as if it were a camera. False reads an HTTP address as a recording
            that ends, every frame, and draws a synthetic stream as fast as it is asked for. None: cameras and
            addresses are live, files and HTTP addresses that say their length are not, `synthetic` is when it has no
            end.
        open_timeout_s: Longest wait for a connection; None for that of `recovery`, or 5 s without.
        read_timeout_s: Longest wait for data; None for that of `recovery`, or 3 s without.
        options: Options of the reader underneath, for built-in sources those of FFmpeg: `rtsp_transport` is `tcp`, the
            default, or `udp`.
        recovery: How cameras and live addresses are connected again when they are lost, see `Recovering`. None: they
            are not. Files, `synthetic` and plug-ins do without.
        on_state: Hears of every change of state of a source that recovers.
        limits: How large pictures may be, if the address does not say.
    Raises:
        SourceError: If it cannot be opened, or no reader knows its scheme. Its `code` tells programs what is wrong.
        ConfigError: If `live` is False for a source that cannot be anything but live, or a time-out is none.
    """
    policy = None if recovery is None else recovery.with_timeouts(open_timeout_s, read_timeout_s)
    timeouts_s = (open_timeout_s or 5.0, read_timeout_s or 3.0) if policy is None else (policy.connect_s, policy.lost_s)
    settings = _Settings(SourceOptions(live, timeouts_s, dict(options or {}), on_state), policy, limits)
    if isinstance(spec, Path):
        return _open_file(Address(str(spec), str(spec)), settings)
    scheme = scheme_of(str(spec))
    if scheme is not None and scheme not in _OPENERS:
        plugin = _PLUGINS.open(scheme, str(spec), settings.options)
        if plugin is not None:
            source = cast(Source, plugin)
            return source if scheme in _PLUGINS.own else Limited(source, limits_of(str(spec)) or limits)
        raise _unknown(str(spec), scheme)
    address = _address(str(spec), scheme)
    if isinstance(spec, int) or is_device(address.target):
        return _open_camera(address, settings)
    return _OPENERS[scheme or "file"](address, settings)


def check_source(spec: str, *, live: bool | None = None, decodes: bool = True) -> None:
    """Refuse a source that `open_source` would refuse, as far as that can be told at once and without a connection.

    Args:
        spec: As for `open_source`.
        live: As for `open_source`.
        decodes: Whether to open an ordinary file, decode its first picture and close it. What only reads its name and
            its kind sees no more than that it is there.
    Raises:
        SourceError: As `open_source`: a file that is missing or no video, an unknown scheme, no address.
        ConfigError: As `open_source`.
    """
    scheme = scheme_of(spec)
    if scheme is not None and scheme not in _OPENERS:
        if scheme not in known_schemes():
            raise _unknown(spec, scheme)
        return  # a plug-in judges its own addresses
    address = _address(spec, scheme)
    options = SourceOptions(live)
    if is_device(address.target) or scheme not in (None, "file", "pipe", "synthetic", "http", "https"):
        _refuse_not_live(address, options)
    elif scheme in ("http", "https"):
        if live is not False:
            _refuse_rate(address)
    elif scheme == "synthetic":
        _open_synthetic(address, _Settings(options, None, USUAL_LIMITS)).close()
    else:
        path = _path(address)
        is_ordinary = check_file(path, address.name)
        if decodes and is_ordinary and playlist_text(Path(path)) is None:  # a playlist may lead to a server
            _file(address, path, _Settings(options, None, USUAL_LIMITS)).close()


def _address(spec: str, scheme: str | None) -> Address:
    """Take an address apart and refuse settings that are not for its scheme."""
    address = parse_address(spec)
    if address.interval_s is not None and scheme not in ("http", "https"):
        raise ConfigError(f"{address.name}: interval is for http:// addresses that give one picture: leave it out")
    if address.hosts and scheme not in ("http", "https", "file", None):
        raise ConfigError(f"{address.name}: hosts is for http:// addresses and playlists: leave it out")
    if address.trusts_markers and scheme != "rtsp":
        raise ConfigError(f"{address.name}: markers is for rtsp:// addresses: leave it out")
    if scheme in _WITH_HOST and not _HOST.match(address.target):
        raise ConfigError(f"{address.name} names no host; expected {scheme}://HOST/PATH")
    return address


def _unknown(spec: str, scheme: str) -> SourceError:
    return misnamed(
        SourceError(
            f"no reader for {redact(spec)}: the scheme {scheme!r} is unknown. Known are: {', '.join(known_schemes())}; "
            "anything without a scheme is a file name, a number is a camera"
        )
    )


def _open_file(address: Address, settings: _Settings) -> Source:
    source = _file(address, _path(address), settings)
    return Realtime(source) if settings.options.live else source


def _path(address: Address) -> str:
    return file_of_url(address.target) if scheme_of(address.target) == "file" else address.target


def _file(address: Address, target: str, settings: _Settings) -> FileSource:
    options = settings.options
    return FileSource(
        target,
        name=address.name,
        stream=address.stream,
        rate_hz=address.rate_hz,
        timeouts_s=options.timeouts_s,
        options=options.backend,
        limits=settings.limits_of(address),
        hosts=Hosts(address.hosts),
        hwaccel=address.hwaccel,
    )


def _open_camera(address: Address, settings: _Settings) -> Source:
    options = settings.options
    _refuse_not_live(address, options)
    device = address.target.removeprefix("camera:").removeprefix("v4l2:")
    name = f"/dev/video{device}" if device.isdecimal() else device

    def connect() -> Source:
        limits = settings.limits_of(address)
        return CameraSource(name, timeouts_s=options.timeouts_s, options=options.backend, limits=limits)

    return settings.watched(name, connect, connections_in_parallel=1)


def _open_network(address: Address, settings: _Settings) -> Source:
    options = settings.options
    _refuse_not_live(address, options)

    def connect() -> Source:
        return NetworkSource(
            address.target,
            name=address.name,
            stream=address.stream,
            timeouts_s=options.timeouts_s,
            no_frame_limit_s=settings.no_frame_limit_s,
            options=options.backend,
            limits=settings.limits_of(address),
            trusts_markers=address.trusts_markers,
            hwaccel=address.hwaccel,
        )

    return settings.watched(address.name, connect)


def _open_http(address: Address, settings: _Settings) -> Source:
    options = settings.options
    if options.live is False:
        return _file(address, address.target, settings)
    _refuse_rate(address)
    http = HttpOpener(
        address,
        timeouts_s=options.timeouts_s,
        no_frame_limit_s=settings.no_frame_limit_s,
        options=options.backend,
        is_paced=bool(options.live),
        limits=settings.limits_of(address),
    )
    return settings.watched(address.name, http.open)


def _open_synthetic(address: Address, settings: _Settings) -> Source:
    parsed, live = SyntheticSpec.parse(address.target), settings.options.live
    problem = settings.limits_of(address).problem(parsed.width, parsed.height)
    if problem is not None:
        raise too_large(address.name, problem)
    return SyntheticSource(parsed, live=live if live is not None else parsed.frame_count is None)


def _refuse_not_live(address: Address, options: SourceOptions) -> None:
    _refuse_rate(address)
    if options.live is False:
        raise ConfigError(f"{address.name} is live by nature: leave `live` out, or record it to a file first")


def _refuse_rate(address: Address) -> None:
    if address.rate_hz is not None:
        raise ConfigError(f"{address.name} is live, its frames have the times at which they come: leave fps out")


_OPENERS: dict[str, Callable[[Address, _Settings], Source]] = {
    "file": _open_file,
    "pipe": _open_file,
    "camera": _open_camera,
    "v4l2": _open_camera,
    "synthetic": _open_synthetic,
    "http": _open_http,
    "https": _open_http,
    **dict.fromkeys(("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "tcp", "udp"), _open_network),
}
