"""The example of a program that is a camera, as a user runs it, with a real gateway and graph."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.chromium import chromium_path, open_page
from tests.support.command_line import ROOT
from tests.support.components import require
from tests.support.gateway import PATIENCE_S, serving

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.usefixtures("warm_python")]

PROGRAM = (sys.executable, str(ROOT / "examples" / "browser_refer.py"))
SUBSCRIBER = (sys.executable, str(ROOT / "examples" / "mask_subscriber.py"))
PIPELINE: dict[str, Any] = {
    "model": {"checkpoint": "ssa-tiny"},
    "session": {"window": 2},
    "streams": {"camera": {"source": "webrtc", "prompts": ["the blue square"]}},
}
MASKS = re.compile(r"frame \d+: #\d+ [01]\.\d\d at \d+,\d+-\d+,\d+(, \d+ ms after the camera)?")


WATCH = """(async () => {
  const connection = new RTCPeerConnection(), video = document.createElement('video');
  connection.addTransceiver('video', { direction: 'recvonly' });
  connection.ontrack = (event) => { video.srcObject = new MediaStream([event.track]); };
  globalThis.watched = Object.assign(video, { muted: true, autoplay: true });
  await connection.setLocalDescription(await connection.createOffer());
  while (connection.iceGatheringState !== 'complete') await new Promise((done) => setTimeout(done, 20));
  const answer = await fetch('/whep/camera', {
    method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: connection.localDescription.sdp });
  await connection.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
  return answer.status;
})()"""
BLUE_PIXELS = """(() => {
  // How many pixels of the picture are blue.
  const canvas = new OffscreenCanvas(640, 360), context = canvas.getContext('2d');
  context.drawImage(watched, 0, 0);
  const pixels = context.getImageData(0, 0, 640, 360).data;
  let blue = 0;
  for (let at = 0; at < pixels.length; at += 4) {
    blue += pixels[at] < 90 && pixels[at + 1] < 130 && pixels[at + 2] > 150;
  }
  return blue;
})()"""


async def _run_example(*arguments: str, program: tuple[str, str] = PROGRAM) -> tuple[int | None, list[str], str]:
    """Exit code, lines of stdout, and stderr."""
    process = await asyncio.create_subprocess_exec(
        *program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
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


async def test_shipped_page_finds_what_the_examples_ask_for(tmp_path: Path) -> None:
    """The pipeline `browser`, with the example as its camera and the other example as a robot that sees the same masks.

    As the docstrings of both promise; a stream that is not there is told in one line.
    """
    async with serving(tmp_path, "browser") as served:
        url = served.pages[0]
        robot = ("--address", served.publish_address, "--stream", "camera", "--num-frames", "6", "--max-age", "60")
        robot_task = asyncio.create_task(_run_example(*robot, "--timeout", "90", program=SUBSCRIBER))
        code, lines, errors = await _run_example("--url", url, "--prompt", "the red circle", "--num-masks", "10")
        robot_code, seen, robot_errors = await robot_task
        assert robot_code == 0, robot_errors
        assert (
            sum(re.match(r"camera \d+\.\d+ 'the red circle': \d+ at \(\d+, \d+\)", line) is not None for line in seen)
            > 3
        )
        assert code == 0, errors
        assert re.fullmatch(r"applies from frame \d+", lines[0])
        assert len(lines) > 1
        assert all(MASKS.fullmatch(line) for line in lines[1:]), lines

        code, lines, errors = await _run_example("--url", url, "--stream", "none")
        assert (code, lines) == (1, [])
        assert errors == "404: there is no stream 'none'; there are: camera, scene\n"


async def test_example_is_seen_by_a_browser(tmp_path: Path) -> None:
    """What it sends comes out of the same gateway, in a page of Chromium that plays it over WHEP."""
    require("a browser (Chromium)", chromium_path() is not None, "apt-get install chromium")
    (tmp_path / "profile").mkdir()
    async with serving(tmp_path, PIPELINE) as served, open_page(tmp_path / "profile") as page:
        url = served.pages[0]
        await page.go(url)
        example = asyncio.create_task(_run_example("--url", url, "--num-masks", "90"))
        try:
            assert await page.evaluate(WATCH) == 201
            await page.until("watched.videoWidth === 640 && watched.currentTime > 0.5")
            assert await page.evaluate(BLUE_PIXELS) > 500  # the scene's square; nothing else there is blue
            code, lines, errors = await example
        finally:
            example.cancel()
        assert code == 0, errors
        frames = {line.split(":")[0] for line in lines[1:]}  # a line for each mask, of what was found in a frame
        assert 70 < len(frames) <= 90
