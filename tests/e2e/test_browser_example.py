"""The example of a program that is a camera, as a user runs it, with a real gateway and graph."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import ROOT
from tests.support.gateway import PATIENCE_S, serving

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PROGRAM = (sys.executable, str(ROOT / "examples" / "browser_refer.py"))
PIPELINE: dict[str, Any] = {
    "model": {"checkpoint": "ssa-tiny"},
    "session": {"window": 2},
    "streams": {"camera": {"source": "webrtc", "prompts": ["the blue square"]}},
}
MASKS = re.compile(r"frame \d+: #\d+ [01]\.\d\d at \d+,\d+-\d+,\d+(, \d+ ms after the camera)?")


async def _run_example(*arguments: str) -> tuple[int | None, list[str], str]:
    """Exit code, lines of stdout, and stderr."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        async with asyncio.timeout(2 * PATIENCE_S):
            out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode().splitlines(), errors.decode()


async def test_example_sends_its_camera_asks_and_prints_masks(tmp_path: Path) -> None:
    """As its docstring promises; a stream that is not there is told in one line."""
    async with serving(tmp_path, PIPELINE) as served:
        url = served.pages[0]
        code, lines, errors = await _run_example("--url", url, "--prompt", "the red circle", "--num-masks", "10")
        assert code == 0, errors
        assert re.fullmatch(r"applies from frame \d+", lines[0])
        assert len(lines) > 1
        assert all(MASKS.fullmatch(line) for line in lines[1:]), lines

        code, lines, errors = await _run_example("--url", url, "--stream", "none")
        assert (code, lines) == (1, [])
        assert errors == "404: there is no stream 'none'; there are: camera\n"
