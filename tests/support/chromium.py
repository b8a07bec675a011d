"""A real headless Chromium, driven through its debugging protocol: no other package is needed for that."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from av import CodecContext, VideoFrame
from numpy.typing import NDArray

__all__ = ["Page", "chromium_path", "open_page", "write_camera"]

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--mute-audio",
    "--hide-scrollbars",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-port=0",
)
_START_S, _CALL_S, _END_S = 40.0, 60.0, 5.0
_POLL_S = 0.1


def chromium_path() -> str | None:
    """Where the browser is; None if there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def write_camera(path: Path, pictures: list[NDArray[np.uint8]]) -> None:
    """Write what the browser takes for its camera: pictures `(H, W, 3)` uint8 RGB, 30 a second, over and over."""
    height, width = pictures[0].shape[:2]
    encoder: Any = CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.framerate, encoder.time_base = 30, Fraction(1, 30)
    encoder.options = {"qmin": "2", "qmax": "3"}
    with path.open("wb") as file:
        for picture in [*pictures, None]:
            frame = None if picture is None else VideoFrame.from_ndarray(picture, format="rgb24")
            for packet in encoder.encode(frame):
                file.write(bytes(packet))


class Page:
    """One page of the browser.

    Attributes:
        problems: What the page wrote to its console as errors, and what it did not catch.
        pid: Process id of the browser.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, pid: int) -> None:
        self.problems: list[str] = []
        self.pid = pid
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def read(self) -> None:
        """Read what the browser says, until it ends."""
        async for message in self._socket:
            body = json.loads(message.data)
            waiting = self._waiting.pop(body.get("id", 0), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(body)
            elif body.get("method") == "Runtime.exceptionThrown":
                self.problems.append(str(body["params"]["exceptionDetails"]))
            elif body.get("method") == "Runtime.consoleAPICalled" and body["params"]["type"] == "error":
                self.problems.append(str(body["params"]["args"]))

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the debugging protocol."""
        number = next(self._numbers)
        self._waiting[number] = future = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(_CALL_S):
            answer = await future
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    async def go(self, url: str) -> None:
        """Open an address."""
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def evaluate(self, script: str) -> Any:
        """Value of an expression in the page; promises are waited for."""
        answer = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, f"{script}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    async def until(self, script: str, timeout_s: float = _CALL_S) -> Any:
        """Wait until an expression is true; returns its value."""
        deadline_s = time.monotonic() + timeout_s
        while not (value := await self.evaluate(script)):
            if time.monotonic() > deadline_s:
                status = await self.evaluate("document.getElementById('status')?.textContent")
                raise AssertionError(f"not within {timeout_s:g} s: {script}; status {status!r}; {self.problems}")
            await asyncio.sleep(_POLL_S)
        return value

    async def type(self, selector: str, text: str) -> None:
        """Put the cursor somewhere and type, with Enter at the end."""
        await self.evaluate(f"document.querySelector({selector!r}).focus()")
        await self.call("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13
            )

    async def screenshot(self, path: Path) -> None:
        """Write what the page looks like, PNG."""
        answer = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(answer["data"]))


@asynccontextmanager
async def open_page(
    profile: Path, camera: Path | None = None, *, width: int = 1280, height: int = 800, dark: bool = False
) -> AsyncIterator[Page]:
    """Start the browser with one page; it and all its processes are gone at the end.

    Args:
        profile: Empty folder.
        camera: What it takes for its camera, from `write_camera`; None: its own pattern.
        width: Of the window.
        height: Of the window.
        dark: Whether the user prefers dark pages.
    """
    path = chromium_path()
    assert path is not None, "no browser"
    flags = [*_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"]
    if camera is not None:
        flags.append(f"--use-file-for-fake-video-capture={camera}")
    if dark:
        flags.append("--blink-settings=preferredColorScheme=0")
    with (profile / "browser.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            path, *flags, "about:blank", stdout=log, stderr=log, start_new_session=True
        )
    try:
        port = await _port(profile, lambda: process.returncode is not None)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as response:
                target = next(one for one in await response.json() if one["type"] == "page")
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=2**26) as socket:
                page = Page(socket, process.pid)
                reading = asyncio.create_task(page.read())
                try:
                    await page.call("Page.enable")
                    await page.call("Runtime.enable")
                    yield page
                finally:
                    reading.cancel()
                    await asyncio.gather(reading, return_exceptions=True)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _port(profile: Path, has_ended: Callable[[], bool]) -> int:
    deadline_s, file = time.monotonic() + _START_S, profile / "DevToolsActivePort"
    while not (file.is_file() and file.read_text().strip()):
        assert not has_ended(), (profile / "browser.log").read_text(errors="replace")[-2000:]
        assert time.monotonic() < deadline_s, "the browser did not start in time"
        await asyncio.sleep(_POLL_S)
    return int(file.read_text().split()[0])
