"""The subscriber's example, as a user runs it."""

import re
import sys
from pathlib import Path

import pytest

from ssa_stream.protocols import EncodedPicture, Topic, encode
from tests.support.command_line import ROOT, run_command
from tests.support.mask_messages import circle, mask_message, publishing

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

PROGRAM = (sys.executable, ROOT / "examples" / "mask_subscriber.py")


def _with_picture(number: int) -> list[bytes | memoryview]:
    message, buffers = mask_message([circle()], number, picture=EncodedPicture(buffer=1, size=(36, 64)))
    buffers.add_bytes(f"picture {number}".encode())
    return encode(message, buffers, topic=Topic("cam0", "masks", "p1"))


def test_example_prints_the_masks_that_come(tmp_path: Path) -> None:
    """As its docstring promises."""
    with publishing(lambda number: [_with_picture(number)]) as address:
        words = ("--address", address, "--num-frames", "3", "--max-age", "60", "--pictures", "seen")
        result = run_command(*words, cwd=tmp_path, program=PROGRAM)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert re.fullmatch(r"cam0 0\.\d+ 'the sentence p1': 1 at \(30, 18\)  age \d+ ms, missed \d+", line)
    saved = {path.name: path.read_bytes() for path in (tmp_path / "seen").iterdir()}
    assert saved == {f"cam0-{line.split()[1]}.jpg": b"picture " + line.split()[1][2:].encode() for line in lines}


def test_example_says_when_nobody_is_there(tmp_path: Path) -> None:
    """In one line."""
    words = ("--address", "tcp://127.0.0.1:1", "--timeout", "0.1")
    result = run_command(*words, cwd=tmp_path, program=PROGRAM)
    assert result.returncode == 1
    assert result.stderr.startswith("error: there was no publisher at tcp://127.0.0.1:1")
