"""What a web server or a file answers, as bytes: read through FFmpeg's protocols, redirects followed by us."""

import errno
import time
from collections.abc import Iterator, Mapping

import av
from av.container import InputContainer

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.sources.hosts import Hosts
from ssa_stream.sources.redirects import NOT_FOLLOWED, follow, options_for

__all__ = ["WEB_PROTOCOLS", "ByteStream", "open_bytes"]

_PART = 65_536
_PART_OPTION = {"raw_packet_size": str(_PART)}
WEB_PROTOCOLS = "http,https,tls,tcp,httpproxy,crypto,data"
"""What FFmpeg may open below an address; none of them leads anywhere else."""


class ByteStream:
    """An open answer as a file for FFmpeg: a read that fails is its end, and `problem` says so.

    Attributes:
        url: Where it came from, after redirects.
        problem: Why a read failed; None if none did.
    """

    def __init__(self, container: InputContainer, url: str) -> None:
        self.url = url
        self.problem: av.FFmpegError | None = None
        self._container = container
        self._packets: Iterator[bytes] = self._parts()
        self._left = b""
        self._at = 0
        self._size = container.size

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none at the end."""
        data = self._left or next(self._packets, b"")
        self._left = data[size:]
        self._at += len(data[:size])
        return data[:size]

    def read_all(self, most: int, timeout_s: float) -> bytes | None:
        """Return what is left; None if that is more than `most` bytes, or does not come in time."""
        whole, end_s = bytearray(), time.monotonic() + timeout_s
        while data := self.read(_PART):
            whole += data
            if len(whole) > most or time.monotonic() > end_s:
                return None
        return bytes(whole)

    def unread(self, data: bytes) -> None:
        """Put back what was read last."""
        self._left = data + self._left
        self._at -= len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a byte, counted as in files.

        Raises:
            OSError: The size is not known, or the server cannot give a part.
        """
        if whence == 2 and self._size < 0:
            raise OSError(errno.ESPIPE, "its size is not known")
        target = offset + (0, self._at, self._size)[whence]
        if target != self._at:
            self._container.seek(target, unsupported_byte_offset=True)
            self._packets, self._left, self._at = self._parts(), b"", target
        return target

    def tell(self) -> int:
        """Which byte comes next."""
        return self._at

    def seekable(self) -> bool:
        """Whether the size is known."""
        return self._size >= 0

    def readable(self) -> bool:
        """It is read only."""
        return True

    def close(self) -> None:
        """Let go of the connection."""
        self._packets = iter(())
        self._container.close()

    def __enter__(self) -> "ByteStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _parts(self) -> Iterator[bytes]:
        try:
            for packet in self._container.demux():
                if packet.size:
                    yield bytes(packet)
        except av.FFmpegError as error:
            # So ends an answer that did not say its length.
            if error.errno != errno.EIO or self._size >= 0:
                self.problem = error


def open_bytes(
    url: str,
    *,
    asked: str | None,
    name: str,
    hosts: Hosts,
    options: Mapping[str, str],
    own_options: Mapping[str, str] | None = None,
    timeouts_s: tuple[float, float],
    is_file: bool = False,
) -> ByteStream:
    """Open an address.

    Args:
        url: The address.
        asked: What the user gave, see `Hosts.allows`.
        name: What to call it in messages.
        hosts: Where it may lead.
        options: FFmpeg options of the protocol that the user gave, or that belong to the kind of address.
        own_options: Of this address alone, such as a key or a range.
        timeouts_s: Longest wait for opening and for one read.
        is_file: Whether it is a file of this machine that may be read.
    Raises:
        SourceError: It, or what it redirects to, may not be followed.
        av.FFmpegError: It cannot be opened.
    """
    if not is_file and not hosts.allows(asked, url):
        raise SourceError(f"cannot open {name}: {hosts.refusal('it leads', asked, url)}", SourceErrorCode.ELSEWHERE)

    def connect(url: str) -> InputContainer:
        given = {**options_for(url, asked, options), **(own_options or {}), **NOT_FOLLOWED, **_PART_OPTION}
        given["protocol_whitelist"] = "file,crypto" if is_file else WEB_PROTOCOLS
        return av.open(url, format="data", options=given, timeout=timeouts_s)

    container, last = follow(
        url, connect, asked=asked, name=name, hosts=hosts, options=options, timeout_s=timeouts_s[0]
    )
    return ByteStream(container, last)
