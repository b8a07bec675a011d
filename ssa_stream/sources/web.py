"""Opens an address of a web server in such a way that FFmpeg goes to no other host by itself."""

from collections.abc import Mapping
from io import BytesIO
from typing import cast
from urllib.parse import urlsplit

import av
from av.container import InputContainer

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.sources.byte_stream import WEB_PROTOCOLS, ByteStream, open_bytes
from ssa_stream.sources.hosts import Hosts
from ssa_stream.sources.nested import PLAYLIST_OPTIONS, NestedOpener, playlist_of
from ssa_stream.sources.redirects import NOT_FOLLOWED, follow, options_for

__all__ = ["ALONE", "is_named_as_playlist", "open_web", "refused_by"]

# Demuxers that open other addresses, or devices, by themselves.
_LEAD_ELSEWHERE = frozenset(
    "alsa concat dash fbdev hls image2 imf kmsgrab lavfi mlv oss rtp rtsp sap sdp video4linux2 v4l2 vobsub "
    "webm_dash_manifest x11grab".split()
)
ALONE = {
    "format_whitelist": ",".join(
        sorted(name for names in av.formats_available for name in names.split(",") if name not in _LEAD_ELSEWHERE)
    )
}
"""FFmpeg's options for what shall name nothing else."""
# A playlist's segments are no scripts either.
WITH_PLAYLISTS = {"format_whitelist": ALONE["format_whitelist"] + ",hls"}
# FFmpeg takes an address that ends in `.jpg` for a file of that name; read by its content it is one picture.
_PICTURES = {
    b"\xff\xd8\xff": "jpeg_pipe",
    b"\x89PNG": "png_pipe",
    b"BM": "bmp_pipe",
    b"RIFF": "webp_pipe",
    b"II*\0": "tiff_pipe",
    b"MM\0*": "tiff_pipe",
}
_DESCRIPTIONS = (b"v=0", b"ffconcat", b"# VobSub", b"MLVI")
_HEAD = 16
# Of an answer that is one picture, in bytes: a server may send on for ever.
_ONE_PICTURE = {"end_offset": "200000000"}


def is_named_as_playlist(url: str) -> bool:
    """Whether its name ends as that of an HLS playlist."""
    return urlsplit(url).path.lower().endswith((".m3u8", ".m3u"))


def refused_by(container: InputContainer) -> tuple[str, ...]:
    """What an open container has led to that was not followed, with how to allow it."""
    opener = container.io_open
    return tuple(opener.refused) if isinstance(opener, NestedOpener) else ()


def open_web(
    url: str,
    *,
    name: str,
    format_name: str | None,
    options: Mapping[str, str],
    timeouts_s: tuple[float, float],
    hosts: Hosts,
) -> InputContainer:
    """Open an address.

    Args:
        url: The address, credentials included.
        name: What to call it in messages.
        format_name: Force a demuxer, None to let FFmpeg find out.
        options: FFmpeg options of format and protocol.
        timeouts_s: Longest wait for opening and for one read.
        hosts: To which other hosts it may lead.
    Raises:
        SourceError: It leads where it may not be followed.
        av.FFmpegError: It cannot be opened.
    """

    def connect(url_now: str, *, format_name: str | None = format_name, is_alone: bool = True) -> InputContainer:
        own = {**ALONE, "protocol_whitelist": WEB_PROTOCOLS} if is_alone else {}
        ends = _ONE_PICTURE if format_name is not None and format_name.endswith("_pipe") else {}
        given = {**options_for(url_now, url, options), **own, **ends, **NOT_FOLLOWED}
        return av.open(url_now, format=format_name, options=given, timeout=timeouts_s)

    def followed(format_name: str | None, *, is_alone: bool = True) -> InputContainer:
        container, _ = follow(
            url,
            lambda url_now: connect(url_now, format_name=format_name, is_alone=is_alone),
            asked=url,
            name=name,
            hosts=hosts,
            options=options,
            timeout_s=timeouts_s[0],
        )
        return container

    if not is_named_as_playlist(url) or format_name is not None:
        try:
            return followed(format_name)
        except av.error.ArgumentError:  # of a demuxer that leads elsewhere, among other things
            if format_name is not None:
                raise
    with open_bytes(url, asked=url, name=name, hosts=hosts, options=options, timeouts_s=timeouts_s) as stream:
        text = _playlist(stream, url, name, sum(timeouts_s))
        head = b"" if text is not None else stream.read(_HEAD)
    if text is not None:
        return _open_playlist(text, url, name=name, options=options, timeouts_s=timeouts_s, hosts=hosts)
    picture = next((pipe for begin, pipe in _PICTURES.items() if head.startswith(begin)), None)
    if picture is None and head.startswith(_DESCRIPTIONS) and not hosts.are_any:
        raise SourceError(
            f"cannot open {name}: it answers with a description that leads to other addresses, which was not "
            "followed. To allow it, add #hosts=any to the address",
            SourceErrorCode.ELSEWHERE,
        )
    return followed(picture, is_alone=picture is not None or not hosts.are_any)


def _playlist(stream: ByteStream, url: str, name: str, timeout_s: float) -> bytes | None:
    try:
        return playlist_of(stream, url, timeout_s)
    except SourceError as error:
        raise SourceError(f"cannot open {name}: {error}", SourceErrorCode.UNREADABLE) from None


def _open_playlist(
    text: bytes,
    url: str,
    *,
    name: str,
    options: Mapping[str, str],
    timeouts_s: tuple[float, float],
    hosts: Hosts,
) -> InputContainer:
    opener = NestedOpener(url, name=name, hosts=hosts, options=options, timeouts_s=timeouts_s)
    file = NamedBytes(text)
    file.name = url
    try:
        container = av.open(
            file,
            format="hls",
            options={**options, **PLAYLIST_OPTIONS, **WITH_PLAYLISTS},
            timeout=timeouts_s,
            io_open=opener,
        )
    except av.FFmpegError:
        if not opener.refused:
            raise
    else:
        opener.opened()
        if container.streams.video or not opener.refused:
            return cast(InputContainer, container)
        container.close()
    raise SourceError(f"cannot open {name}: {'; '.join(opener.refused)}", next(iter(opener.refused.values())))


class NamedBytes(BytesIO):
    """Bytes as a file that FFmpeg finds others by the name of."""

    name: str
