"""What a playlist names, opened for FFmpeg: from hosts that are allowed, and no more of a playlist than makes sense."""

import time
from collections.abc import Mapping
from io import BytesIO

import av

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.playlist_names import URI, lines_of, names_of
from ssa_stream.sources.byte_stream import ByteStream, open_bytes
from ssa_stream.sources.hosts import Hosts, joined

__all__ = ["PLAYLIST_OPTIONS", "NestedOpener", "playlist_of"]

MOST_BYTES = 4_000_000
"""Of one playlist: some ten thousand segments."""
PLAYLIST_OPTIONS = {"http_persistent": "0", "http_multiple": "0", "protocol_whitelist": "crypto,data"}
"""FFmpeg's options: it opens nothing by itself, and has no connections of its own to use again."""
_BEGIN = b"#EXTM3U"
_MARK = b"\xef\xbb\xbf"
_HEAD = 16
_MOST_REFUSED = 5
# Variants and renditions in one list. FFmpeg asks for each of them before the first picture.
_MOST_VARIANTS = 500
# Lists of variants that a list of variants names, however deep; HLS has none, and FFmpeg would follow circles.
_MOST_LISTS = 6
# Segments in a row without a byte: a server that has nothing else goes on for ever.
_MOST_EMPTY = 200
# Before FFmpeg knows the streams: all variants, and some segments of each.
_MOST_ASKED = 2 * _MOST_VARIANTS
# Of the time for opening, until the first segment: this error says more than that of whoever waits for the connection.
_SHARE = 0.8
_KEY = 16
_VARIANT = (b"#EXT-X-STREAM-INF", b"#EXT-X-MEDIA:")
# What the demuxer says of one address: its key, and which part of it.
_OWN_OPTIONS = frozenset({"key", "iv", "offset", "end_offset"})


def playlist_of(stream: ByteStream, url: str, timeout_s: float) -> bytes | None:
    """Read the text of a playlist; None if the answer is none, and then nothing of it is read.

    Args:
        stream: The answer, from its first byte.
        url: What was asked for. If it was redirected, names become whole addresses, as FFmpeg knows no other base.
        timeout_s: Longest time for all of it.
    Raises:
        SourceError: It is longer than a playlist can be, names too many variants, or does not come in time.
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
    text = head + rest
    variants = _variants(text)
    if variants > _MOST_VARIANTS:
        raise SourceError(
            f"the playlist names {variants:,} variants: expected at most {_MOST_VARIANTS}. "
            "Give the address of one of them",
            SourceErrorCode.UNREADABLE,
        )
    return text if stream.url == url else _absolute(text, stream.url)


def _variants(text: bytes) -> int:
    return sum(text.count(tag) for tag in _VARIANT)


def _absolute(text: bytes, base: str) -> bytes:
    lines = [
        URI.sub(lambda match: joined(base, match[0]), line) if line.startswith("#") else line and joined(base, line)
        for line in lines_of(text.decode("utf-8", "surrogateescape"))
    ]
    return "\n".join(lines).encode("utf-8", "surrogateescape")


class NestedOpener:
    """Opens what FFmpeg's HLS demuxer asks for.

    It never raises, because FFmpeg goes on with what is there: what may not be followed, and what cannot be had, is an
    empty file. So is everything once a playlist turns out to lead nowhere: FFmpeg itself would follow it for ever.

    Attributes:
        refused: What was not followed, with what to do about it, each once; and the code of that error.
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
        self.refused: dict[str, SourceErrorCode] = {}
        self._asked, self._name, self._hosts = asked, name, hosts
        self._options, self._timeouts_s = options, timeouts_s
        self._first_s = _SHARE * timeouts_s[0]
        self._first_until_s: float | None = time.monotonic() + self._first_s
        self._is_opening = True
        self._asked_for = self._lists = self._empty = 0
        self._is_endless = False

    def opened(self) -> None:
        """FFmpeg knows the streams: from now on it may ask as often as the stream is long."""
        self._is_opening = False

    def __call__(self, url: str, flags: int, options: Mapping[str, str]) -> ByteStream | BytesIO:
        """Open one address, as PyAV's `io_open` asks for it."""
        self._limit()
        if self._is_endless:
            return BytesIO()
        is_file = url.removeprefix("crypto+") in self._files
        if not is_file and not self._hosts.allows(self._asked, url):
            self._refuse(self._hosts.refusal("its playlist leads", self._asked, url), SourceErrorCode.ELSEWHERE)
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
            self._refuse(str(error).removeprefix(f"cannot open {self._name}: "), error.code)
        except (av.FFmpegError, OSError, ValueError, RuntimeError):
            self._note_segment(is_empty=True)
        else:
            if text is None:
                head = stream.read(_KEY + 1)
                stream.unread(head)
                if not head or len(head) > _KEY:  # not a key
                    self._note_segment(is_empty=not head)
                return stream
            stream.close()
            return BytesIO(self._playlist(text, is_file=is_file))
        return BytesIO()

    def _playlist(self, text: bytes, *, is_file: bool) -> bytes:
        if _variants(text):
            self._lists += 1
            if self._lists > _MOST_LISTS:
                self._give_up(
                    f"its list of variants leads to more than {_MOST_LISTS} other such lists, perhaps in a circle: "
                    "expected variants with segments. Give the address of one of them",
                    SourceErrorCode.UNREADABLE,
                )
                return b""
        if is_file:
            self._files |= _files(text.decode("utf-8", "surrogateescape"))
        return text

    def _limit(self) -> None:
        """See that a request does not come too late, nor too often."""
        if self._first_until_s is not None and time.monotonic() > self._first_until_s:
            self._give_up(
                f"no segment came within {self._first_s:g} s, while its playlists were read: give the address of one "
                "variant, or allow more time for connecting",
                SourceErrorCode.TIMEOUT,
            )
        self._asked_for += self._is_opening
        if self._is_opening and self._asked_for > _MOST_ASKED:
            self._give_up(
                f"after {_MOST_ASKED:,} requests for playlists and segments there was no picture: check what it serves",
                SourceErrorCode.UNREADABLE,
            )

    def _note_segment(self, *, is_empty: bool) -> None:
        self._empty = self._empty + 1 if is_empty else 0
        if not is_empty:
            self._first_until_s = None
        if self._empty >= _MOST_EMPTY:
            self._give_up(
                f"{_MOST_EMPTY} segments in a row were empty or could not be had: check what fills the playlist",
                SourceErrorCode.UNREADABLE,
            )

    def _give_up(self, text: str, code: SourceErrorCode) -> None:
        if not self._is_endless:
            self._is_endless = True
            self.refused = {text: code, **self.refused}

    def _refuse(self, text: str, code: SourceErrorCode) -> None:
        if len(self.refused) < _MOST_REFUSED:
            self.refused.setdefault(text, code)


def _files(text: str) -> set[str]:
    return {name for name in names_of(text) if name.lower().startswith("file:")}
