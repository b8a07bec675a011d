"""A pipe is read as it comes, and no wait for it is without a limit."""

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ssa_stream.addresses import descriptor_of
from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.sources import FileSource, Frame
from tests.support.video_files import read_number, write_video


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """A FIFO that nobody has opened."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def _writing(fifo: Path, data: bytes, until: Callable[[], object] = lambda: None) -> threading.Thread:
    def write() -> None:
        with open(fifo, "wb") as file:
            file.write(data)
            file.flush()
            until()

    thread = threading.Thread(target=write)
    thread.start()
    return thread


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.h264"])
def test_fifo_with_a_writer_plays(tmp_path: Path, fifo: Path, name: str) -> None:
    """Containers that can be read without seeking."""
    writer = _writing(fifo, write_video(tmp_path / name, 20).read_bytes())
    with FileSource(fifo) as source:
        assert [read_number(frame.image) for frame in source.frames()] == list(range(20))
    writer.join()


def test_fifo_without_a_writer_is_waited_for_so_long(fifo: Path) -> None:
    """Then there is one clear error."""
    began_s = time.monotonic()
    with pytest.raises(SourceError, match=r"nobody wrote to it within 0\.3 s") as caught:
        FileSource(fifo, timeouts_s=(0.3, 5.0))
    assert caught.value.code is SourceErrorCode.TIMEOUT
    assert time.monotonic() - began_s < 3


def test_fifo_whose_writer_falls_silent_is_stalled(tmp_path: Path, fifo: Path) -> None:
    """What came before was delivered."""
    data = write_video(tmp_path / "a.ts", 200).read_bytes()
    done = threading.Event()
    writer = _writing(fifo, data[: len(data) * 4 // 5], done.wait)
    frames: list[Frame] = []
    try:
        with FileSource(fifo, timeouts_s=(5.0, 0.3)) as source, pytest.raises(SourceError, match="stalled") as caught:
            frames.extend(source.frames())
    finally:
        done.set()
        writer.join()
    assert caught.value.code is SourceErrorCode.STALLED
    assert frames


def test_fifo_that_is_closed_empty_says_so(fifo: Path) -> None:
    """The program that writes failed."""
    writer = _writing(fifo, b"")
    with pytest.raises(SourceError, match="ended without output"):
        FileSource(fifo)
    writer.join()


def test_close_ends_a_read_of_a_silent_pipe(tmp_path: Path, fifo: Path) -> None:
    """From another thread, long before the limit."""
    data = write_video(tmp_path / "a.ts", 200).read_bytes()
    done = threading.Event()
    writer = _writing(fifo, data[: len(data) * 4 // 5], done.wait)
    source = FileSource(fifo, timeouts_s=(5.0, 60.0))
    closer = threading.Timer(0.3, source.close)
    closer.start()
    began_s = time.monotonic()
    list(source.frames())
    assert time.monotonic() - began_s < 10
    done.set()
    for thread in (writer, closer):
        thread.join()


@pytest.mark.parametrize(
    ("address", "expected"),
    [("-", 0), ("pipe:", 0), ("pipe:0", 0), ("pipe:3", 3), ("/dev/stdin", 0), ("a.mp4", None), ("pipe:x", None)],
)
def test_address_of_a_descriptor(address: str, expected: int | None) -> None:
    """As FFmpeg's users write them."""
    assert descriptor_of(address) == expected


def test_socket_and_device_are_refused(tmp_path: Path) -> None:
    """Neither waits."""
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s"))
        with pytest.raises(SourceError, match="is a socket"):
            FileSource(tmp_path / "s")
    for device in ("/dev/null", "/dev/zero"):
        with pytest.raises(SourceError, match="character device"):
            FileSource(device)
