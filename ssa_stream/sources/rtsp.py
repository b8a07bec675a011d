"""Open an RTSP stream so that its pictures are complete at their last packet, where that is possible."""

from collections.abc import Mapping
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from av.container import Flags, InputContainer

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.picture_limits import PictureLimits
from ssa_stream.sources.container import open_container
from ssa_stream.sources.hosts import NO_OTHER_HOSTS, Hosts, joined
from ssa_stream.sources.nal_units import NAL_CODECS
from ssa_stream.sources.redirects import MOST_REDIRECTS, with_user
from ssa_stream.sources.rtsp_relay import RtspRelay

__all__ = ["WHOLE_CODECS", "Relayed", "can_be_relayed", "open_relayed"]

_UNPARSED = cast(int, Flags.no_parse.value) | cast(int, Flags.no_fillin.value)
_NAL_CODECS = frozenset(codec.ffmpeg_name for codec in NAL_CODECS.values())
WHOLE_CODECS = frozenset({"mjpeg", "vp8", "vp9", "av1"})
"""Of these FFmpeg hands out whole pictures, which it knows by their markers itself."""


class Relayed(NamedTuple):
    """A container that is read through a relay."""

    container: InputContainer
    relay: RtspRelay


def can_be_relayed(url: str, options: Mapping[str, str]) -> bool:
    """Whether the packets of an address can be looked at: they come in the connection itself, and not encrypted."""
    return urlsplit(url).scheme.lower() == "rtsp" and options.get("rtsp_transport") == "tcp" and "fflags" not in options


def open_relayed(
    url: str,
    *,
    name: str,
    timeouts_s: tuple[float, float],
    options: Mapping[str, str],
    limits: PictureLimits,
    hosts: Hosts = NO_OTHER_HOSTS,
    trusts_markers: bool = False,
) -> Relayed | None:
    """Open an RTSP stream through a relay; None if it is to be opened as any other.

    Redirects are followed here: FFmpeg would follow them to any host, and show the password there.

    Args:
        url: See `can_be_relayed`.
        name: What to call it in messages.
        timeouts_s: Longest wait for opening and for one read, in seconds.
        options: FFmpeg options of format and protocol.
        limits: How large its pictures may be.
        hosts: Where redirects may lead.
        trusts_markers: See `NetworkSource`.
    Raises:
        SourceError: It does not answer, refuses the user, or leads where it may not be followed.
    """
    asked = url
    for _ in range(MOST_REDIRECTS + 1):
        try:
            relay = RtspRelay(url, timeout_s=timeouts_s[0], options=options, trusts_markers=trusts_markers)
        except TimeoutError:
            raise SourceError(f"cannot open {name}: it did not answer in time", SourceErrorCode.TIMEOUT) from None
        except (OSError, ValueError):  # FFmpeg says it better
            if url is asked:
                return None
            raise SourceError(
                f"cannot open {name}: it redirects to where nothing answers", SourceErrorCode.REFUSED
            ) from None
        try:
            container = open_container(
                relay.url,
                name=name,
                timeouts_s=timeouts_s,
                options={**relay.options, "fflags": "+noparse+nofillin"},
                limits=limits,
            )
        except SourceError:
            relay.close()
            if relay.redirect is None:
                raise
        else:
            return _told_apart(container, relay)
        location = joined(url, relay.redirect)
        if not hosts.allows(asked, location):
            raise SourceError(
                f"cannot open {name}: {hosts.refusal('it redirects', asked, location)}", SourceErrorCode.ELSEWHERE
            )
        url = with_user(location, url) if Hosts.same(url, location) else location
    raise SourceError(
        f"cannot open {name}: it redirects more than {MOST_REDIRECTS} times", SourceErrorCode.SERVER_ERROR
    )


def _told_apart(container: InputContainer, relay: RtspRelay) -> Relayed | None:
    """The container, if its codecs can be read without a parser; otherwise it is closed."""
    codecs = {stream.codec_context.name for stream in container.streams.video}
    if codecs <= _NAL_CODECS and codecs:
        return Relayed(container, relay)
    if codecs <= WHOLE_CODECS and codecs:
        container.flags &= ~_UNPARSED  # of what is read from now on
        return Relayed(container, relay)
    container.close()
    relay.close()
    return None
