"""Take the pictures of the page that the documents show: `ssa-stream serve` on the synthetic scene, seen by Chromium.

There is one for each width of a screen: phone, tablet, laptop, desktop; two of them are of the dark page. They are
taken when every prompt has had masks in every frame for a while and nothing was dropped meanwhile. On a machine that is
busy with other work this may not happen: then the tool says so and writes nothing, and fewer frames per second may help
(`--fps 2`), or a shorter while (`--while 5`). `wall.png` is the page of all streams, of three scenes.

    python -m tools.page_picture docs/images
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
from PIL import Image

from tests.support.chromium import Page, open_page
from tests.support.gateway import serving

PROMPTS = ("the red circle", "the purple ring", "the pink heart")
SCREENS = ((360, 740, "light"), (768, 1024, "dark"), (1280, 800, "light"), (1920, 1080, "dark"))
"""Width and height in pixels, and what the user prefers."""
_COLOURS = 256
_PATIENCE_S = 180.0
_SETTLES_S = 1.0
"""Until the next picture of the video is drawn in the new size."""


async def take_pictures(target: Path, folder: Path, fps: float, while_s: float) -> None:
    """Serve, look, and write the pictures: `page-WIDTH.png`.

    Args:
        target: Folder for them.
        folder: An empty one, for files of the browser and of the graph.
        fps: Frames per second of the scene.
        while_s: How long everything must have gone well.
    Raises:
        RuntimeError: The page was never well for long enough.
    """
    pipeline = {
        "model": {"checkpoint": "ssa-tiny"},
        "flow": {"staleness_s": 3.0},
        "streams": {"scene": {"source": f"synthetic@640x360,{fps:g}fps", "live": True, "prompts": list(PROMPTS)}},
    }
    async with serving(folder, pipeline) as served, open_page(folder) as page:
        await page.go(served.pages[0])
        await page.until("document.getElementById('source').options.length > 0")
        await page.evaluate("document.getElementById('start').click()")
        await page.until("document.getElementById('status').textContent.startsWith('Connected')")
        await _until_well(page, served.pages[0], while_s)
        await page.until("parseFloat(document.getElementById('fps-value').textContent) > 0")
        for width, height, scheme in SCREENS:
            await page.call(
                "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
            )
            await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            await page.until("document.querySelectorAll('#prompts .count:not(:empty)').length > 0")
            await asyncio.sleep(_SETTLES_S)
            path = target / f"page-{width}.png"
            await page.screenshot(path)
            _make_small(path)


WALL = {
    "door": ["the red circle", "the purple ring"],
    "yard": ["the green star"],
    "hall": ["the blue square", "the pink heart"],
}


async def take_wall(target: Path, folder: Path, fps: float) -> None:
    """Serve three scenes and a camera that is not there, look at all of them, and write the picture: `wall.png`.

    Args:
        target: Folder for it.
        folder: An empty one, for files of the browser and of the graph.
        fps: Frames per second of each scene.
    """
    streams: dict[str, Any] = {
        name: {"source": f"synthetic@480x270,{fps:g}fps", "live": True, "prompts": prompts}
        for name, prompts in WALL.items()
    }
    streams["gate"] = {"source": "rtsp://127.0.0.1:9/gate", "prompts": ["a red car"]}
    pipeline = {"model": {"checkpoint": "ssa-tiny"}, "flow": {"staleness_s": 3.0}, "streams": streams}
    width, height = 1280, 800
    async with serving(folder, pipeline) as served, open_page(folder, width=width, height=height) as page:
        await page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        await page.go(served.pages[0] + "wall")
        found = "[...document.querySelectorAll('.count')].filter((one) => one.textContent === '1 found').length"
        await page.until(f"{found} === {sum(len(prompts) for prompts in WALL.values())}", _PATIENCE_S)
        await page.screenshot(target / "wall.png")
        _make_small(target / "wall.png")


async def _until_well(page: Page, url: str, while_s: float) -> None:
    """Wait until all prompts were found without a break and without a drop for a while."""
    loop = asyncio.get_running_loop()
    deadline_s, well_since_s, drops = loop.time() + _PATIENCE_S, loop.time(), -1.0
    counts, dropped = list[str](), drops
    while loop.time() - well_since_s < while_s:
        if loop.time() > deadline_s:
            raise RuntimeError(f"not well for {while_s:g} s within {_PATIENCE_S:g} s: {counts}, {dropped:g} drops")
        counts = await page.evaluate("[...document.querySelectorAll('#prompts .count')].map((one) => one.textContent)")
        dropped = await _dropped(url)
        if counts != ["1 found"] * len(PROMPTS) or dropped != drops:
            well_since_s, drops = loop.time(), dropped
        await asyncio.sleep(0.2)


def _make_small(path: Path) -> None:
    """Write a picture again with few colours: it has flat areas mostly, and the repository keeps it for ever."""
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(
            _COLOURS, method=Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE
        )
    few.save(path, optimize=True)


async def _dropped(url: str) -> float:
    async with aiohttp.ClientSession() as session, session.get(url + "metrics") as response:
        return dropped_frames(await response.text())


def dropped_frames(metrics: str) -> float:
    """Return how many frames a graph has dropped, from what it answers to `/metrics`."""
    lines = metrics.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("ssa_stream_frames_dropped_total{"))


def main() -> None:
    """Read the options, take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to write page-WIDTH.png")
    parser.add_argument("--fps", type=float, default=5.0, help="of the scene")
    parser.add_argument("--wall-fps", type=float, default=1.0, help="of each scene of the page of all streams")
    parser.add_argument("--while", type=float, default=20.0, dest="while_s", metavar="S", help="seconds without a drop")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(take_pictures(options.folder, Path(folder), options.fps, options.while_s))
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(take_wall(options.folder, Path(folder), options.wall_fps))
    except RuntimeError as error:
        sys.exit(f"page_picture: {error}")


if __name__ == "__main__":
    main()
