"""All streams on one page, in a real browser."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.chromium import Page, chromium_path, open_page
from tests.support.components import require
from tests.support.gateway import gateway, serving
from tests.support.page_fit import expect_fit

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.usefixtures("warm_python", "no_idle_threads")]

LONG = "the " + "w" * 90 + " that stands behind all the other things which can be seen at the end of the street"
PIPELINE: dict[str, Any] = {
    "model": {"checkpoint": "ssa-tiny"},
    "streams": {
        "left": {"source": "synthetic@320x180,4fps", "live": True, "prompts": ["the red circle"]},
        "right": {"source": "synthetic@320x180,4fps", "live": True, "prompts": ["the green star"]},
        "street": {"source": "rtsp://127.0.0.1:9/street", "prompts": [LONG]},
        "phone": {"source": "webrtc", "prompts": ["the red circle"]},
    },
}
JSON = {"Content-Type": "application/json"}
# How many pixels of a stream's picture have about the colour of its first prompt.
COLOURED = """((name) => {
  const tile = document.querySelector(`[data-stream=${name}]`), image = tile.querySelector('.shown');
  const canvas = document.createElement('canvas'), { naturalWidth: width, naturalHeight: height } = image;
  const context = Object.assign(canvas, { width, height }).getContext('2d');
  context.drawImage(image, 0, 0);
  const wanted = getComputedStyle(tile.querySelector('.swatch')).backgroundColor.match(/\\d+/g).map(Number);
  const { data } = context.getImageData(0, 0, width, height);
  let count = 0;
  for (let at = 0; at < data.length; at += 4)
    if (wanted.every((one, i) => Math.abs(one - data[at + i]) < 40)) count++;
  return count;
})"""


def _of(stream: str, selector: str) -> str:
    return f"document.querySelector('[data-stream={stream}] {selector}')"


def _texts(stream: str) -> str:
    return f"[...document.querySelectorAll('[data-stream={stream}] .name')].map((one) => one.textContent)"


async def test_wall_shows_all_streams_changes_prompts_and_comes_back(tmp_path: Path) -> None:
    """Pictures with masks of two scenes, and words for two streams without any; one browser for everything."""
    require("a browser (Chromium)", chromium_path() is not None, "apt-get install chromium")
    (tmp_path / "profile").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with serving(tmp_path, PIPELINE, "--port", str(port)) as served, open_page(tmp_path / "profile") as page:
        url = served.pages[0]
        await page.go(url + "wall")
        for stream in ("left", "right"):
            await page.until(f"{_of(stream, '.count')}?.textContent === '1 found'")
            await page.until(f"{_of(stream, '.shown')}.naturalWidth > 0")
            # The scene itself has some 40 pixels of such a colour.
            await page.until(f"{COLOURED}('{stream}') > 100", 30.0)
            size = await page.evaluate(
                f"(({{ naturalWidth: w, naturalHeight: h }}) => [w, h])({_of(stream, '.shown')})"
            )
            assert size == [320, 180]
            await page.until(f"parseFloat({_of(stream, '.rate')}.textContent) > 0")
        hints = [await page.evaluate(f"{_of(one, '.hint')}.textContent") for one in ("street", "phone")]
        assert (hints[0][:26], hints[1]) == ("No pictures from the sourc", "No camera is sending to this stream.")
        await expect_fit(page)
        await _expect_prompts_changed(page, url)

        os.kill(served.gateway_pid(), signal.SIGKILL)
        await page.until("document.getElementById('bar').dataset.level !== 'good'")
        before = await page.evaluate(f"{_of('right', '.shown')}.src")
        await page.until("document.getElementById('status').textContent === '4 streams'")
        await page.until(f"{_of('right', '.shown')}.src !== '{before}'")
        assert await page.evaluate(_texts("left")) == ["the blue square", "the purple ring"]

        await page.evaluate(f"{_of('right', 'h2 a')}.click()")
        await page.until("document.getElementById('status')?.textContent === 'Connected to right.'")
        assert page.problems == []


async def _expect_prompts_changed(page: Page, url: str) -> None:
    """In place, by its id; added; removed; and what the server refuses is said."""
    prompt_id = await page.evaluate(f"{_of('left', 'li')}.dataset.id")
    await page.evaluate(f"{_of('left', '.name')}.click()")
    await page.type("[data-stream=left] .sentence", "the blue square")
    await page.until(f"{_of('left', '.name')}.textContent === 'the blue square'")
    assert await page.evaluate(f"{_of('left', 'li')}.dataset.id") == prompt_id
    await page.type("[data-stream=left] .text", "the purple ring")
    await page.until(f"{_texts('left')}.length === 2")
    async with aiohttp.ClientSession() as session, session.get(url + "api/streams") as response:
        streams = {one["name"]: one for one in (await response.json())["streams"]}
    assert [one["text"] for one in streams["left"]["prompts"]] == ["the blue square", "the purple ring"]
    # Somebody else is faster: the page learns of it from the refusal.
    gone = '{ method: "POST", headers: { "Content-Type": "application/json" }, body: \'{"type":"set","prompts":[]}\' }'
    removed = (
        f"fetch('api/streams/street/prompts', {gone}).then(() => {{ {_of('street', '.remove')}.click(); return 0; }})"
    )
    await page.evaluate(removed)
    await page.until(f"{_of('street', '.note')}.textContent === 'Somebody has removed this prompt already.'")
    await page.until(f"{_texts('street')}.length === 0")


async def test_wall_and_prompts_over_http_are_refused_in_words(tmp_path: Path) -> None:
    """Token, origin, type, length, form: each with its status."""
    path, key = "api/streams/file/prompts", {"Authorization": "Bearer secret"}
    async with gateway(tmp_path, token="secret") as url, aiohttp.ClientSession() as session:

        async def post(data: bytes, **headers: str) -> tuple[int, str]:
            async with session.post(url + path, data=data, headers=key | JSON | headers) as response:
                return response.status, await response.text()

        assert (await post(b'{"type": "list"}', Authorization="Bearer wrong"))[0] == 401
        assert (await post(b'{"type": "list"}', Origin="http://elsewhere.example"))[0] == 403
        assert (await post(b'{"type": "list"}', **{"Content-Type": "text/plain"}))[0] == 415
        status, text = await post(b"add a dog")
        assert (status, '"code":"invalid"' in text, '{\\"type\\":\\"add\\"' in text) == (400, True, True)
        status, text = await post(b'{"type": "add", "text": "%s"}' % (b"a" * 20_000))
        assert (status, '"code":"too_large"' in text) == (413, True)
        assert (await post(b"a" * 100_000))[0] == 413
        statuses = {}
        for asked in ("wall", "wall.html", "api/wall?after=1e3", "api/wall?after=-1", "api/wall?after=12"):
            async with session.get(url + asked, headers=key) as response:
                statuses[asked] = response.status
        wanted = {"wall": 200, "wall.html": 404, "api/wall?after=1e3": 400, "api/wall?after=-1": 400}
        assert statuses == wanted | {"api/wall?after=12": 200}
        async with session.get(url + "api/wall") as response:
            assert response.status == 401
        async with session.post(url + "api/streams/none/prompts", data=b"{}", headers=key | JSON) as response:
            assert (response.status, "cam, file" in await response.text()) == (404, True)
