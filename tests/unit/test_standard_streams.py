"""Writing to a stream whose reader is slow, gone, or has no room."""

import contextlib
import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator

import pytest

from ssa_stream.standard_streams import LossyWriter
from tests.support.background import has_ended_in_background

_PATIENCE_S = 20.0
_LINE = b"x" * 99 + b"\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def _read_all(descriptor: int, size: int) -> bytes:
    read = b""
    while len(read) < size:
        read += os.read(descriptor, 2**16)
    return read


def test_lines_come_whole_and_in_order(pipe: tuple[int, int]) -> None:
    """None is lost while there is a reader."""
    writer = LossyWriter(pipe[1])
    lines = [b"%d\n" % number for number in range(100)]
    for line in lines:
        assert writer.write(line) == len(line)
    assert writer.drain(_PATIENCE_S)
    assert _read_all(pipe[0], sum(map(len, lines))) == b"".join(lines)
    assert writer.lost == 0
    writer.end(_PATIENCE_S)


def test_writer_of_a_full_pipe_does_not_wait_and_counts(pipe: tuple[int, int]) -> None:
    """When the reader goes on, it is told where lines are missing; every line is there or counted."""
    written = 30_000
    writer = LossyWriter(pipe[1], capacity_bytes=10_000)
    for _ in range(written):
        writer.write(_LINE)
    lost = writer.lost
    assert lost > written // 2
    os.set_blocking(pipe[0], False)
    came = b""
    end_s = time.monotonic() + _PATIENCE_S
    while not writer.drain(0.01) and time.monotonic() < end_s:
        with contextlib.suppress(BlockingIOError):
            came += os.read(pipe[0], 2**16)
    writer.write(b"more\n")
    writer.end(_PATIENCE_S)
    with contextlib.suppress(BlockingIOError):
        came += os.read(pipe[0], 2**20)
    assert writer.lost == lost
    assert came.count(_LINE) == written - lost
    told = re.findall(rb"\(here (\d+) lines are missing: they could not be written\)\n", came)
    assert sum(map(int, told)) == lost
    assert came.endswith(b"more\n")


def test_end_does_not_wait_long_for_a_reader_that_has_stopped(pipe: tuple[int, int]) -> None:
    """What waits then is lost with the process; what is written after the end is counted."""
    writer = LossyWriter(pipe[1])
    writer.write(b"x" * 200_000 + b"\n")
    writer.end(0.05)
    assert os.read(pipe[0], 10) == b"x" * 10
    writer.write(b"too late\n")
    assert writer.lost == 1
    _read_all(pipe[0], 200_000 - 10)  # lets the thread end


def test_reader_that_is_gone_costs_lines_only(pipe: tuple[int, int]) -> None:
    """Each is counted."""
    os.close(pipe[0])
    writer = LossyWriter(pipe[1])
    for _ in range(3):
        writer.write(b"one\ntwo\n")
    assert writer.drain(_PATIENCE_S)
    assert writer.lost == 6
    began_s = time.monotonic()
    writer.end(_PATIENCE_S)
    assert time.monotonic() - began_s < _PATIENCE_S / 2


def test_disk_that_is_full_for_a_while_is_tried_again(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """And the log says what is missing."""
    is_full, write = True, os.write

    def limited(descriptor: int, data: bytes) -> int:
        if descriptor == pipe[1] and is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", limited)
    writer = LossyWriter(pipe[1])
    writer.write(b"lost\nlost, too\n")
    assert writer.drain(_PATIENCE_S)
    is_full = False
    writer.write(b"kept\n")
    writer.end(_PATIENCE_S)
    assert os.read(pipe[0], 1000) == b"(here 2 lines are missing: they could not be written)\nkept\n"


def test_last_lines_that_are_missing_are_told_at_the_end(pipe: tuple[int, int]) -> None:
    """Though nothing is written after them."""
    fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, 4096)
    writer = LossyWriter(pipe[1], capacity_bytes=200)
    writer.write(_LINE)
    writer.write(_LINE * 3)
    writer.end(_PATIENCE_S)
    assert os.read(pipe[0], 1000) == _LINE + b"(here 3 lines are missing: they could not be written)\n"


def test_fork_writes_by_itself(pipe: tuple[int, int]) -> None:
    """No thread is left in it that could."""
    writer = LossyWriter(pipe[1])
    writer.write(b"parent\n")
    assert writer.drain(_PATIENCE_S)
    child = os.fork()
    if child == 0:
        writer.write(b"child\n")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(pipe[0], 1000) == b"parent\nchild\n"
    writer.end(_PATIENCE_S)


def test_program_in_the_background_writes_to_a_terminal_that_forbids_it() -> None:
    """It would be stopped as a whole, with all that it serves."""
    write = "import sys; print('result', flush=True); print('log', file=sys.stderr, flush=True); "
    set_up = "from ssa_stream.standard_streams import finish_standard_streams, set_up_standard_streams as s; s(); "
    assert has_ended_in_background(f"{set_up}{write}finish_standard_streams(0)")
    assert not has_ended_in_background(write)
