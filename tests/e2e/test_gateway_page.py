"""The page on screens of four sizes, and how it comes back when the server went away: in a real browser."""

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from tests.support.chromium import Page, chromium_path, open_page
from tests.support.command_line import write_tiny_config
from tests.support.components import require
from tests.support.gateway import CameraTrack, Peer, count_peers, gateway, serving, until_no_peers
from tests.support.page_fit import expect_fit

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.usefixtures("warm_python", "no_idle_threads")]

LONG = (
    "the " + "w" * 90 + " that stands behind all the other things which can be seen at the far end of the long street"
)
AWAKE = "dispatchEvent(new Event('online')), 0"


@pytest.fixture(autouse=True)
def _browser() -> None:
    require("a browser (Chromium)", chromium_path() is not None, "apt-get install chromium")


def _pipeline(folder: Path) -> dict[str, Any]:
    """A scene, and a camera on the network that is not there; the network is made in no time."""
    return {
        "session": {"window": 2, "short_edge_px": 64},
        "model": {"name": str(write_tiny_config(folder)), "random_weights": True},
        "streams": {
            "scene": {"source": "synthetic@160x96,5fps", "live": True, "prompts": ["the red circle"]},
            "street": {"source": "rtsp://127.0.0.1:9/street", "prompts": [LONG, "the blue square"]},
        },
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _start(page: Page, stream: str) -> None:
    await page.until("document.getElementById('source').options.length > 0")
    await page.evaluate(
        f"(() => {{ const source = document.getElementById('source'); source.value = {stream!r};"
        " source.dispatchEvent(new Event('change')); document.getElementById('start').click(); })()"
    )
    await page.until("document.getElementById('status').textContent.startsWith('Connected')")


async def _expect_a_wait_for_the_first_masks(page: Page) -> None:
    """Until masks come nothing is green, and nobody is told that nothing is there."""
    said = json.loads(await page.evaluate("JSON.stringify(said)"))
    connected = [one for one in said if one[1].startswith("Connected")]
    wait = ["busy", "Connected. Waiting for the first masks…", "Waiting for the first masks…", ""]
    assert connected[0] == wait
    await page.until("document.getElementById('status').textContent === 'Connected to scene.'")
    assert await page.evaluate("[bar.dataset.level, hint.checkVisibility()]") == ["good", False]


# What is said at each change of the status: level, status, text over the video, what was found.
LISTEN = """globalThis.said = [], new MutationObserver(() => said.push([
  bar.dataset.level, document.getElementById('status').textContent, hint.hidden ? '' : hint.textContent,
  document.getElementById('found').textContent,
])).observe(document.getElementById('status'), { childList: true }), 0"""


async def _expect_equal_sentences_refused_kindly(page: Page) -> None:
    """An equal sentence is not sent; examples are those that are no prompts yet."""
    chips = "[...document.querySelectorAll('#examples button')].map((one) => one.textContent)"
    assert await page.evaluate(chips) == ["the green star"]
    await page.type("#text", "The  RED circle")
    await page.until(
        "document.getElementById('notice').textContent === 'You are looking for “the red circle” already.'"
    )
    await page.evaluate("document.getElementById('text').value = ''; 0")


async def _expect_overload_in_plain_words(page: Page) -> None:
    """On a phone the words take less than a quarter of the screen; those for operators are behind a tap."""
    await page.call("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True)
    overload = "overloaded: 15 pictures/s come, 2/s get masks; the encoder takes 98 % of the time; what helps: " + (
        "a CUDA GPU (model.device), a smaller session.short_edge_px, fewer pictures per second from the source, " * 3
    )
    state = json.dumps({"source_hz": 15, "masks_hz": 2.2, "overload": overload})
    script = f"""(async () => {{
      const {{ overloadWords }} = await import('/words.js'), {{ StatusBar }} = await import('/status_bar.js');
      const {{ text, detail }} = overloadWords({state});
      new StatusBar(bar, bar.querySelector('.try').onclick).trouble(text, detail);
      const height = () => bar.getBoundingClientRect().height, dot = bar.querySelector('.dot'), closed = height();
      const colour = getComputedStyle(dot).backgroundColor, isShown = reason.querySelector('p').checkVisibility();
      reason.open = true;
      const opened = height(), full = reason.querySelector('p').textContent;
      reason.open = false;
      return [trouble.textContent, isShown, closed, opened, full, colour];
    }})()"""
    text, is_shown, closed_px, opened_px, full, colour = await page.evaluate(script)
    assert text == "The server is too slow for this video: 2 of 15 pictures a second get masks."
    assert (is_shown, full) == (False, overload)
    assert closed_px < 740 / 4 > 0 < opened_px < 740 / 3
    assert colour in ("rgb(150, 105, 10)", "rgb(232, 185, 63)"), "amber"
    await page.evaluate("trouble.hidden = reason.hidden = true; bar.removeAttribute('data-trouble'); 0")


async def _expect_hint_without_the_name_of_its_card(page: Page) -> None:
    """Hints come as the graph says them, with the name of the prompt."""
    script = """(async () => {
      const { PromptList } = await import('/prompt_list.js');
      const ul = document.createElement('ul'), template = document.getElementById('prompt');
      const list = new PromptList({ list: ul, template, threshold: () => 0.5, command: () => null });
      list.show([{ id: 'p2', text: 'the dog', colour: [1, 2, 3] }]);
      list.hint('p2', 'prompt p2: ssa-tiny does not know "dog"');
      return ul.querySelector('.hint-line').textContent;
    })()"""
    assert await page.evaluate(script) == 'ssa-tiny does not know "dog"'


async def _press(page: Page, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        await page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)


async def test_page_fits_every_screen_and_comes_back_with_its_prompts(tmp_path: Path) -> None:
    """All of it with one browser; the server is killed, and then started anew, behind its back."""
    (tmp_path / "profile").mkdir()
    port, pipeline = _free_port(), _pipeline(tmp_path)
    address = "--port", str(port)
    prompts = "[...document.querySelectorAll('#prompts .name')].map((one) => one.textContent)"
    async with open_page(tmp_path / "profile") as page:
        async with serving(tmp_path, pipeline, *address) as served:
            # As a server says that has a checkpoint with a vocabulary of its own.
            await page.call("Page.addScriptToEvaluateOnNewDocument", source=WITH_CHECKPOINT)
            await page.go(served.pages[0])
            await _start(page, "street")
            await _expect_words_about_the_source(page)
            await page.evaluate("document.querySelector('.graphs-box').open = true")
            await page.evaluate("document.querySelector('#prompts li:nth-child(2) .settings').click()")
            await expect_fit(page)
            await page.evaluate("document.querySelector('#prompts li:nth-child(1) .name').click()")
            await expect_fit(page)
            await page.evaluate("document.getElementById('start').click()")

            await page.evaluate(LISTEN)
            await _start(page, "scene")
            await _expect_a_wait_for_the_first_masks(page)
            await _expect_equal_sentences_refused_kindly(page)
            await _expect_overload_in_plain_words(page)
            await _expect_hint_without_the_name_of_its_card(page)
            await _expect_edited_in_place(page)
            await page.type("#text", "the blue square moving left")
            await page.until("document.querySelectorAll('#prompts li').length === 2")
            before = await page.evaluate(prompts)

            await page.until("'index' in document.getElementById('stage').dataset")
            await page.evaluate("document.getElementById('notice').textContent = 'an error'")
            os.kill(served.gateway_pid(), signal.SIGKILL)
            await page.evaluate(AWAKE)  # else it takes until WebRTC misses the server
            await page.until("document.getElementById('bar').dataset.level !== 'good'")
            await page.until("document.getElementById('status').textContent.startsWith('Connected')")
            await page.until("'index' in document.getElementById('stage').dataset")
            assert await page.evaluate("document.getElementById('notice').textContent") != "an error"
            assert await page.evaluate(prompts) == before == ["the pink heart", "the blue square moving left"]
        await page.until("/^Trying again in \\d+ s/.test(document.querySelector('.retry').textContent)")
        assert await page.evaluate("document.querySelector('.try').checkVisibility()")
        # From its own folder the graph would bring them back itself.
        async with serving(tmp_path, pipeline, *address, "--state", str(tmp_path / "another")):
            await page.evaluate(AWAKE)  # else the last pause may be a long one
            await page.until("document.getElementById('status').textContent.startsWith('Connected')")
            await page.until(f"JSON.stringify({prompts}) === JSON.stringify({json.dumps(before)})")
            await page.until("'index' in document.getElementById('stage').dataset")
            await page.evaluate("document.getElementById('start').click()")
            await page.until("document.getElementById('status').textContent === 'Stopped.'")
        assert page.problems == []


WITH_CHECKPOINT = """
const ask = globalThis.fetch;
globalThis.fetch = async (path, options) => {
  const response = await ask(path, options);
  if (path !== 'api/streams' || !response.ok) return response;
  const checkpoint = { name: 'ssa-tiny', domain: 'drawn shapes', examples: ['the red circle', 'the green star'] };
  return new Response(JSON.stringify({ ...await response.json(), checkpoint }), { status: 200 });
};
"""


async def _expect_words_about_the_source(page: Page) -> None:
    """What is wrong, what the checkpoint knows, what could be typed."""
    trouble = await page.until("document.getElementById('trouble').textContent")
    assert trouble.startswith("No pictures from the source: ")
    assert "drawn shapes only" in await page.evaluate("document.getElementById('domain').textContent")
    assert "the red circle" in await page.evaluate("document.getElementById('text').placeholder")
    await page.evaluate("document.querySelector('#examples button:nth-child(2)').click()")
    assert await page.evaluate("document.activeElement.value") == "the green star"
    await page.evaluate("document.getElementById('text').value = ''; 0")


async def _expect_edited_in_place(page: Page) -> None:
    """Escape leaves the sentence as it was, Enter changes it; the prompt keeps its id and its colour."""
    card = "(() => { const one = document.querySelector('#prompts li'); return [one.dataset.id,"
    card += " one.querySelector('.swatch').style.background, one.querySelector('.name').textContent]; })()"
    prompt_id, colour, text = await page.evaluate(card)
    assert text == "the red circle"
    await page.evaluate("document.querySelector('#prompts .name').click()")
    await page.call("Input.insertText", text="nothing")
    await _press(page, "Escape")
    assert await page.evaluate(card) == [prompt_id, colour, text]
    assert await page.evaluate("document.activeElement.className") == "name"
    await page.evaluate("document.querySelector('#prompts .name').click()")
    await page.type("#prompts .sentence", "the pink heart")
    await page.until("document.querySelector('#prompts .name').textContent === 'the pink heart'")
    assert await page.evaluate(card) == [prompt_id, colour, "the pink heart"]
    await page.until("document.getElementById('notice').textContent.includes('instead of “the red circle”')")


@pytest.mark.usefixtures("media_on_loopback")
async def test_page_keeps_its_camera_open_until_the_gateway_is_back(tmp_path: Path) -> None:
    """Then another one has taken the stream: the page says so, once."""
    (tmp_path / "profile").mkdir()
    port, track = _free_port(), "document.getElementById('video').srcObject?.getVideoTracks()[0]"
    async with open_page(tmp_path / "profile") as page:
        async with gateway(tmp_path, port=port) as url:
            await page.go(url)
            await _start(page, "cam")
            before = await page.evaluate(f"{track}.id")
        await page.until("document.querySelector('.retry').textContent")
        assert await page.evaluate(f"{track}.readyState") == "live"
        async with gateway(tmp_path, port=port), aiohttp.ClientSession() as session:
            await page.until("document.getElementById('status').textContent.startsWith('Connected')")
            assert (await page.evaluate(f"{track}.id"), await count_peers(url)) == (before, 1)
            await page.evaluate("document.getElementById('start').click()")
            await until_no_peers(url)
            other = Peer(CameraTrack([np.zeros((96, 160, 3), dtype=np.uint8)]))
            await other.begin(session, url + "whip/cam")
            await page.evaluate("document.getElementById('start').click()")
            await page.until("document.getElementById('status').textContent.startsWith('Another camera')")
            assert await page.evaluate("document.getElementById('start').textContent") == "Start"
            assert not await page.evaluate("document.querySelector('.try').checkVisibility()")
            assert await page.evaluate(f"{track}?.readyState ?? null") is None
            await other.close()


RECONNECTING = """(async () => {
  const { Reconnector } = await import('/reconnect.js'), { Refusal } = await import('/connection.js');
  Math.random = () => -1.9;  // the shortest pauses: 0.04 of the usual ones
  const lasting = (isFreed = true) => Object.assign(new EventTarget(), {
    isConnected: true, close: () => Promise.resolve(isFreed) });
  const ends = (code, one = lasting()) => {
    setTimeout(() => one.dispatchEvent(new CustomEvent('end', { detail: { code, text: '' } })));
    return one;
  };
  const away = () => { throw new TypeError('Failed to fetch'); };
  const refuse = (status) => () => { throw new Refusal(status, ''); };
  const STOPPED = 'stopped by the user while it waits', cases = {
    'server away': [away, away, () => lasting()],
    'places taken': [refuse(503), () => lasting()],
    'wrong token': [refuse(401), () => lasting()],
    'no such stream': [away, refuse(404), () => lasting()],
    "another's camera": [refuse(409), () => lasting()],
    'our own camera, which the server has not missed yet': [
      () => ends('connection', lasting(false)), refuse(409), () => lasting()],
    'lost': [() => ends('connection'), () => lasting()],
    'server restarted': [() => ends('gateway'), away, () => lasting()],
    [STOPPED]: [away, () => lasting()],
    'too much sent': [() => ends('bitrate'), () => lasting()],
  };
  const found = {};
  for (const [name, steps] of Object.entries(cases)) {
    let made = 0;
    const one = new Reconnector(async () => steps[made++]());
    await new Promise((done) => {
      one.addEventListener('phase', ({ detail: { phase } }) => {
        const isStopped = phase === 'waiting' && name === STOPPED;
        if (isStopped) { one.stop(); one.wake(); setTimeout(done, 300); }
        if (phase === 'stopped' && name !== STOPPED || phase === 'connected' && made === steps.length) done();
      });
      one.start();
    });
    found[name] = [made, one.isWanted];
  }
  return found;
})()"""


async def test_page_tries_again_what_may_pass_and_nothing_else(tmp_path: Path) -> None:
    """How often a connection is made, and whether it is still wanted at the end."""
    (tmp_path / "profile").mkdir()
    async with gateway(tmp_path) as url, open_page(tmp_path / "profile") as page:
        await page.go(url)
        assert await page.evaluate(RECONNECTING) == {
            "server away": [3, True],
            "places taken": [2, True],
            "wrong token": [1, False],
            "no such stream": [2, False],
            "another's camera": [1, False],
            "our own camera, which the server has not missed yet": [3, True],
            "lost": [2, True],
            "server restarted": [3, True],
            "stopped by the user while it waits": [1, False],
            "too much sent": [1, False],
        }
        for name, (before, now, own, expected) in RESTORED.items():
            given = json.dumps([before, now, own, sorted({*before[1].items(), *SEEN.items()})])
            script = RESTORE.replace("GIVEN", given)
            assert (name, await page.evaluate(script)) == (name, expected)


RESTORE = """(async () => {
  const { commandsToRestore } = await import('/restore.js'), [before, now, own, known] = GIVEN;
  const listed = (prompts) => Object.entries(prompts).map(([id, text]) => ({ id, text }));
  const state = ([version, prompts]) => ({ version, prompts: listed(prompts) });
  const commands = commandsToRestore(state(before), state(now), {
    own: new Set(own), known: new Set(known.map(([id, text]) => `${id}\n${text}`)) });
  return commands.map(({ type, prompt_id = '', text = '' }) => [type, prompt_id, text].join(' ').trim());
})()"""
SEEN = {"p1": "circle"}
"""What the pipeline began with when the page came."""
RESTORED: dict[str, tuple[tuple[int, dict[str, str]], tuple[int, dict[str, str]], list[str], list[str]]] = {
    "the server went on, others changed": ((3, {"p1": "star"}), (4, {"p2": "ring"}), ["star"], []),
    "the server remembered": ((3, {"p1": "star"}), (3, {"p1": "star"}), ["star"], []),
    "the server forgot": (
        (4, {"p1": "star", "p2": "ring"}),
        (1, {"p1": "circle"}),
        ["star"],
        ["add p1 star", "add p2 ring"],
    ),
    "what was removed is removed again": ((3, {"p2": "ring"}), (1, {"p1": "circle"}), [], ["remove p1", "add p2 ring"]),
    "the pipeline has another prompt now": (
        (3, {"p1": "star"}),
        (1, {"p1": "cup", "p2": "fork"}),
        ["star"],
        ["add  star"],
    ),
    "others were faster: only what was asked for here, and nothing is taken from them": (
        (5, {"p1": "star", "p2": "ring", "p3": "cup"}),
        (2, {"p1": "circle", "p2": "fork"}),
        ["star", "cup"],
        ["add  star", "add p3 cup"],
    ),
}
