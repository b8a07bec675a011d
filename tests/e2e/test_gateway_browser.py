"""The page in a real browser, with a camera that shows a rendered scene and the network that comes with the package."""

import asyncio
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import aiohttp
import lz4.block
import numpy as np
import pytest

from ssa_stream.checkpoints import shipped_checkpoints
from ssa_stream.data import demo_scene, render
from ssa_stream.viz.colours import PALETTE
from tests.support.chromium import Page, chromium_path, open_page, write_camera
from tests.support.command_line import run_command, write_tiny_config
from tests.support.components import require
from tests.support.gateway import count_peers, gateway, serving, until_no_peers
from tests.support.threads import in_thread

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.usefixtures("warm_python", "no_idle_threads")]

PIPELINE: dict[str, Any] = {
    "model": {"checkpoint": "ssa-tiny"},
    "streams": {"camera": {"source": "webrtc", "prompts": ["the red circle"]}},
}
SCENE: dict[str, Any] = {
    "model": {"checkpoint": "ssa-tiny"},
    "streams": {"scene": {"source": "synthetic@640x360,10fps", "live": True, "prompts": ["the red circle"]}},
}
# Colours of things in the scene.
RED, BLUE = (230, 20, 20), (20, 60, 230)


@pytest.fixture(autouse=True)
def _browser() -> None:
    require("a browser (Chromium)", chromium_path() is not None, "apt-get install chromium")


@pytest.fixture
def network() -> None:
    """The network that comes with the package."""
    require("the checkpoint ssa-tiny", "ssa-tiny" in shipped_checkpoints(), "a whole checkout")


@pytest.fixture
def camera(tmp_path: Path) -> Path:
    """Four seconds of the scene."""
    scene, path = demo_scene(640, 360, 30), tmp_path / "camera.mjpeg"
    write_camera(path, [np.ascontiguousarray(render(scene, number).image) for number in range(120)])
    return path


def _profile(folder: Path, name: str = "profile") -> Path:
    (folder / name).mkdir()
    return folder / name


SHARE = """(() => {
  // Which share of the pixels under the masks of a prompt has a colour, in the picture below them.
  const shown = stageOfPage.shown, masks = shown.masks.get(ID);
  if (!masks || !shown.picture) return null;
  const canvas = new OffscreenCanvas(masks.size[1], masks.size[0]), context = canvas.getContext('2d');
  context.drawImage(shown.picture.bitmap, 0, 0, canvas.width, canvas.height);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let inside = 0, right = 0, all = 0;
  for (let at = 0; at < canvas.width * canvas.height; at++) {
    const isColour = COLOUR.every((value, i) => Math.abs(pixels[4 * at + i] - value) < 60);
    all += isColour;
    if (!masks.labels.some((labels) => labels[at])) continue;
    inside++;
    right += isColour;
  }
  return inside ? [right / inside, right / Math.max(1, all), inside] : [0, 0, 0];
})()"""


async def _share(page: Page, prompt_id: str, colour: tuple[int, int, int]) -> list[float] | None:
    """Share of a prompt's masks that lies on a colour, and share of the colour that they cover."""
    script = SHARE.replace("ID", repr(prompt_id)).replace("COLOUR", str(list(colour)))
    found: list[float] | None = await page.evaluate(script)
    return found


async def _until_on(page: Page, prompt_id: str, colour: tuple[int, int, int]) -> list[float]:
    """Wait until the masks lie on the thing of a colour."""
    best = [0.0, 0.0, 0.0]
    for _ in range(400):
        found = await _share(page, prompt_id, colour)
        if found and min(found[:2]) > min(best[:2]):
            best = found
        if min(best[:2]) > 0.6:
            return best
        await asyncio.sleep(0.1)
    raise AssertionError(f"masks of {prompt_id} lie on {colour} by {best}")


COUNT = """(() => {
  // How many pixels of what is shown have a colour, and the colours beside the prompts.
  const shown = document.getElementById('SHOWN');
  const width = shown.videoWidth ?? shown.width, height = shown.videoHeight ?? shown.height;
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext('2d');
  context.drawImage(shown, 0, 0);
  const pixels = context.getImageData(0, 0, width, height).data;
  let count = 0;
  for (let at = 0; at < pixels.length; at += 4)
    count += COLOUR.every((value, i) => Math.abs(pixels[at + i] - value) <= OFF);
  return [count, ...[...document.querySelectorAll('#prompts .swatch')].map((one) => one.style.background)];
})()"""


async def _until_drawn_in(page: Page, place: int, *, shown: str = "stage", off: int = 0) -> list[str]:
    """Wait until lines have a colour of the palette; gives the colours beside the prompts."""
    script = COUNT.replace("SHOWN", shown).replace("COLOUR", str(list(PALETTE[place]))).replace("OFF", str(off))
    for _ in range(200):
        count, *swatches = await page.evaluate(script)
        if count > 150:
            return [str(one) for one in swatches]
        await asyncio.sleep(0.1)
    raise AssertionError(f"{count} pixels of {PALETTE[place]}")


def _css(place: int) -> str:
    return f"rgb{PALETTE[place]}"


async def _start(page: Page, url: str) -> None:
    await page.go(url)
    await page.until("document.getElementById('source').options.length > 0")
    await page.evaluate("document.getElementById('start').click()")
    await page.until("document.getElementById('status').textContent.startsWith('Connected')")


@pytest.mark.usefixtures("network")
async def test_page_masks_lie_on_what_is_named_and_follow_the_prompt(tmp_path: Path, camera: Path) -> None:
    """Camera in, masks on the red circle; typed: the blue square; stopped and started; then watched by the server."""
    async with serving(tmp_path, PIPELINE) as served:
        url = served.pages[0]
        async with open_page(_profile(tmp_path), camera) as page:
            await _start(page, url)
            await page.until("document.getElementById('stage').dataset.matched === 'yes'")
            await _until_on(page, "p1", RED)
            assert await _until_drawn_in(page, 0) == [_css(0)]
            assert abs(float(await page.evaluate("document.getElementById('stage').dataset.offBy"))) < 150

            await page.type("#text", "the blue square moving left")
            added = await page.until("document.querySelector('#prompts li:nth-child(2)')?.dataset.id")
            await page.evaluate("document.querySelector('#prompts li:first-child .remove').click()")
            await page.until("document.querySelectorAll('#prompts li').length === 1")
            await _until_on(page, added, BLUE)
            assert await _until_drawn_in(page, 1) == [_css(1)]  # as it was, though the first prompt is gone
            shot = os.environ.get("SSA_STREAM_SCREENSHOT")
            if shot:
                await page.screenshot(Path(shot))

            await page.evaluate(
                "globalThis.saved = []; const make = URL.createObjectURL; let size = 0;"
                "URL.createObjectURL = (blob) => { size = blob.size; return make(blob); };"
                "HTMLAnchorElement.prototype.click = function () { saved.push([this.download, size]); }; 0"
            )
            await page.evaluate("document.getElementById('snapshot').click()")
            await page.until("saved.length === 1")
            await page.evaluate("document.getElementById('record').click()")
            await page.until("document.getElementById('record').ariaPressed === 'true'")
            await asyncio.sleep(1.5)  # of which the recording is
            await page.evaluate("document.getElementById('record').click()")
            await page.until("saved.length === 2")
            (picture, picture_bytes), (film, film_bytes) = await page.evaluate("saved")
            assert picture.endswith(".png")
            assert film.endswith((".webm", ".mp4"))
            assert min(picture_bytes, film_bytes) > 5000

            await page.evaluate("document.querySelector('#prompts .on').click()")
            await page.until("document.querySelector('#prompts .count').textContent === '0 found'")
            await page.evaluate("document.querySelector('#prompts .on').click()")

            await page.evaluate("document.getElementById('start').click()")
            await page.until("document.getElementById('status').textContent === 'Stopped.'")
            await until_no_peers(url)
            await page.evaluate("document.getElementById('start').click()")
            await page.until("document.getElementById('stage').dataset.matched === 'yes'")
            await _until_on(page, added, BLUE)
            assert page.problems == []


@pytest.mark.usefixtures("network")
async def test_page_scene_of_the_server_is_watched_in_both_ways(tmp_path: Path) -> None:
    """The page draws on pictures that were sent to it, told by their RTP time; then the server draws."""
    async with serving(tmp_path, SCENE) as served, open_page(_profile(tmp_path)) as page:
        await _start(page, served.pages[0])
        await page.until("document.getElementById('stage').dataset.matched === 'yes'")
        await _until_on(page, "p1", RED)
        await page.evaluate("document.getElementById('start').click()")
        await page.evaluate("document.getElementById('mode').value = 'server'")
        await page.evaluate("document.getElementById('start').click()")
        await page.until("document.getElementById('video').videoWidth === 640")
        assert await _until_drawn_in(page, 0, shown="video", off=40) == [_css(0)]
        assert page.problems == []


async def test_page_says_how_a_source_is_tried_again_and_nobody_its_password(tmp_path: Path) -> None:
    """In plain words. Looked for everywhere: page, log, health, metrics, what is published."""
    pipeline = {
        "session": {"window": 2, "short_edge_px": 64},
        "model": {"name": str(write_tiny_config(tmp_path)), "random_weights": True},
        "streams": {"door": {"source": "rtsp://me:hush@127.0.0.1:9/door?token=hush"}},
    }
    options = "--health", "127.0.0.1:0"
    async with serving(tmp_path, pipeline, *options) as served, open_page(_profile(tmp_path)) as page:
        await page.go(served.pages[0])
        await page.until("document.getElementById('source').options.length > 0")
        await page.evaluate("document.getElementById('start').click()")
        words = await page.until(
            "document.getElementById('trouble').textContent.match(/No pictures.*Next try in.*/)?.[0]"
        )
        assert re.fullmatch(r"No pictures from the source: .+\. Next try in \d+ s \(attempt \d+\)\.", words)

        (health,) = re.findall(r"health at (\S+)/readyz", served.log)
        (publish,) = re.findall(r"masks at ([^,\s]+)", served.log)
        told = {"page": await page.evaluate("document.documentElement.outerHTML")}
        async with aiohttp.ClientSession() as session:
            for url in (health + "/readyz", health + "/metrics", served.pages[0] + "api/streams"):
                async with session.get(url) as response:
                    told[url] = await response.text()
        shown = await in_thread(lambda: run_command("status", "--json", "--address", publish, cwd=tmp_path))
        told |= {"status": shown.stdout, "log": served.log}
        source = json.loads(shown.stdout)["streams"]["door"]["source"]
        assert (source["status"], source["code"]) == ("lost", "refused")
        assert source["attempt"] >= 1
        assert {name for name, text in told.items() if "hush" in text} == set()


async def test_page_that_is_closed_or_killed_frees_everything(tmp_path: Path, camera: Path) -> None:
    """Closed it says goodbye; killed it is missed after a while."""
    async with gateway(tmp_path, limits={"silence_s": 3.0}) as url:
        for number, is_killed in enumerate((False, True)):
            async with open_page(_profile(tmp_path, f"profile{number}"), camera) as page:
                await page.go(url)
                await page.until("document.getElementById('source').options.length > 0")
                await page.evaluate("document.getElementById('start').click()")
                await page.until("document.getElementById('status').textContent.startsWith('Connected')")
                assert await count_peers(url) == 1
                if is_killed:
                    os.killpg(page.pid, signal.SIGKILL)
                else:
                    await page.call("Page.navigate", url="about:blank")
                await until_no_peers(url)


async def test_page_needs_no_mouse_and_says_what_things_are(tmp_path: Path) -> None:
    """Every control has a name; Tab reaches all; nothing is wider than a phone; it is dark where dark is preferred."""
    async with gateway(tmp_path) as url, open_page(_profile(tmp_path), width=360, height=740, dark=True) as page:
        await page.call("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True)
        await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        await page.go(url)
        await page.until("document.getElementById('source').options.length > 0")
        unnamed = await page.evaluate(
            "[...document.querySelectorAll('button,input,select')].filter(e => e.offsetParent"
            " && !(e.labels?.[0]?.textContent.trim() || e.textContent.trim() || e.ariaLabel)).map(e => e.id)"
        )
        assert unnamed == []
        reached = set()
        for _ in range(14):
            for kind in ("keyDown", "keyUp"):
                await page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
            reached.add(await page.evaluate("document.activeElement.id"))
        assert {"source", "mode", "start", "text"} <= reached
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert sum(int(value) for value in background.strip("rgb()").split(",")) < 200
        small = await page.evaluate(
            "[...document.querySelectorAll('button,select')].filter(e => e.offsetParent && e.offsetHeight < 44)"
            ".map(e => e.id)"
        )
        assert small == []


async def test_page_unpacks_label_maps_as_python_does(tmp_path: Path) -> None:
    """LZ4 blocks of several kinds; damaged ones are refused."""
    random = np.random.default_rng(0)
    maps = [
        np.zeros(5000, dtype=np.uint8),
        random.integers(0, 255, 3000, dtype=np.uint8),
        np.repeat(random.integers(0, 3, 200, dtype=np.uint8), random.integers(1, 700, 200)),
        np.array([7], dtype=np.uint8),
    ]
    async with gateway(tmp_path) as url, open_page(_profile(tmp_path)) as page:
        await page.go(url)
        for labels in maps:
            packed = list(lz4.block.compress(labels.tobytes(), store_size=False))
            call = f"m.unpackLz4(new Uint8Array({packed}), SIZE)"
            script = f"import('/masks.js').then(m => Array.from({call}))".replace("SIZE", str(len(labels)))
            assert await page.evaluate(script) == labels.tolist()
            broken = f"import('/masks.js').then(m => {call}).then(() => 'taken', () => 'refused')"
            broken = broken.replace("SIZE", str(len(labels) + 1))
            assert await page.evaluate(broken) == "refused"


async def test_page_token_is_asked_for_or_taken_from_the_link(tmp_path: Path) -> None:
    """And it does not stay in the address."""
    shown = "document.getElementById('source').options.length > 0"
    async with gateway(tmp_path, token="secret") as url, open_page(_profile(tmp_path)) as page:
        await page.go(url)
        await page.until("!document.getElementById('token-form').hidden")
        await page.type("#token", "wrong")
        await page.until("!document.getElementById('token-form').hidden")
        assert not await page.evaluate(shown)
        await page.type("#token", "")
        await page.evaluate("document.getElementById('token').value = 'secret'")
        await page.type("#token", "")
        await page.until(shown)
        await page.evaluate("sessionStorage.clear()")
        await page.go("about:blank")
        await page.go(url + "#token=secret")
        await page.until(shown)
        assert await page.evaluate("location.hash") == ""
