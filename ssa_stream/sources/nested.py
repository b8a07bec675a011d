"""What a playlist names, opened for FFmpeg: from hosts that are allowed, and no more of a playlist than makes sense."""

from collections.abc import Mapping
from io import BytesIO
from urllib.parse import urljoin

import av

from ssa_stream.errors import SourceError
from ssa_stream.playlist_names import URI, lines_of, names_of
from ssa_stream.sources.byte_stream import ByteStream, open_bytes
from ssa_stream.sources.hosts import Hosts

__all__ = ["PLAYLIST_OPTIONS", "NestedOpener", "playlist_of"]

MOST_BYTES = 4_000_000
"""Of one playlist: some ten thousand segments."""
PLAYLIST_OPTIONS = {"http_persistent": "0", "http_multiple": "0", "protocol_whitelist": "crypto,data"}
"""FFmpeg's options: it opens nothing by itself, and has no connections of its own to use again."""
_BEGIN = b"#EXTM3U"
_MARK = b"\xef\xbb\xbf"
_HEAD = 16
_MOST_REFUSED = 5
# What the demuxer says of one address: its key, and which part of it.
_OWN_OPTIONS = frozenset({"key", "iv", "offset", "end_offset"})


def playlist_of(stream: ByteStream, url: str, timeout_s: float) -> bytes | None:
    """Read the text of a playlist; None if the answer is none, and then nothing of it is read.

    Args:
        stream: The answer, from its first byte.
        url: What was asked for. If it was redirected, names become whole addresses, as FFmpeg knows no other base.
        timeout_s: Longest time for all of it.
    Raises:
        SourceError: It is longer than a playlist can be, or does not come in time.
    """
    head = b""
    while len(head) < _HEAD and (data := stream.read(_HEAD)):
        head += data
    if not head.removeprefix(_MARK).lstrip().startswith(_BEGIN):
        stream.unread(head)
        return None
    rest = stream.read_all(MOST_BYTES, timeout_s)
    if rest is None:
        raise SourceError(
            f"the playlist is longer than {MOST_BYTES:,} bytes, or did not come within {timeout_s:g} s: expected one "
            "that names its last segments, or a recording of some hours"
        )
    return head + rest if stream.url == url else _absolute(head + rest, stream.url)


def _absolute(text: bytes, base: str) -> bytes:
    lines = [
        URI.sub(lambda match: urljoin(base, match[0]), line) if line.startswith("#") else line and urljoin(base, line)
        for line in lines_of(text.decode("utf-8", "surrogateescape"))
    ]
    return "\n".join(lines).encode("utf-8", "surrogateescape")


class NestedOpener:
    """Opens what FFmpeg's HLS demuxer asks for.

    It never raises, because FFmpeg goes on with what is there: what may not be followed, and what cannot be had, is an
    empty file.

    Attributes:
        refused: What was not followed, with how to allow it, each once.
    """

    def __init__(
        self,
        asked: str | None,
        *,
        name: str,
        hosts: Hosts,
        options: Mapping[str, str],
        timeouts_s: tuple[float, float],
        text: str = "",
    ) -> None:
        """Begin.

        Args:
            asked: The address of the playlist; None for one that is a file of this machine.
            name: What to call it in messages.
            hosts: To which other hosts it may lead.
            options: FFmpeg options of the protocol.
            timeouts_s: Longest wait for opening and for one read.
            text: Of a playlist that is a file of this machine: the files that it names may be read, and those that
                such files name. A playlist on a server names no files.
        """
        self._files = _files(text)
        self.refused: dict[str, None] = {}
        self._asked, self._name, self._hosts = asked, name, hosts
        self._options, self._timeouts_s = options, timeouts_s

    def __call__(self, url: str, flags: int, options: Mapping[str, str]) -> ByteStream | BytesIO:
        """Open one address, as PyAV's `io_open` asks for it."""
        is_file = url.removeprefix("crypto+") in self._files
        if not is_file and not self._hosts.allows(self._asked, url):
            self._refuse(self._hosts.refusal("its playlist leads", self._asked, url))
            return BytesIO()
        try:
            stream = open_bytes(
                url,
                asked=self._asked,
                name=self._name,
                hosts=self._hosts,
                options=self._options,
                own_options={key: value for key, value in options.items() if key in _OWN_OPTIONS},
                timeouts_s=self._timeouts_s,
                is_file=is_file,
            )
            text = playlist_of(stream, url, sum(self._timeouts_s))
        except SourceError as error:
            self._refuse(str(error).removeprefix(f"cannot open {self._name}: "))
        except (av.FFmpegError, OSError, ValueError, RuntimeError):
            pass
        else:
            if text is None:
                return stream
            stream.close()
            if is_file:
                self._files |= _files(text.decode("utf-8", "surrogateescape"))
            return BytesIO(text)
        return BytesIO()

    def _refuse(self, text: str) -> None:
        if len(self.refused) < _MOST_REFUSED:
            self.refused.setdefault(text)


def _files(text: str) -> set[str]:
    return {name for name in names_of(text) if name.lower().startswith("file:")}
