"""A graph at addresses of IPv4 and of IPv6: every client of it finds it there."""

import asyncio
import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.support.command_line import CONSOLE_SCRIPT, read_until, run_command, running, write_tiny_config
from tests.support.gateway import PATIENCE_S, Peer, serving
from tests.support.waiting import until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.usefixtures("no_idle_threads", "media_on_loopback", "warm_python"),
]

_READY = re.compile(r"ready: masks at (\S+), requests at (\S+)")


def _pipeline(folder: Path, host: str) -> dict[str, Any]:
    return {
        "model": {"name": str(write_tiny_config(folder)), "random_weights": True},
        "session": {"window": 2, "short_edge_px": 64},
        "public": {"publish": f"tcp://{host}:*", "requests": f"tcp://{host}:*"},
        "streams": {"scene": {"source": "synthetic@160x96,10fps", "live": True, "prompts": ["the red circle"]}},
    }


def _change_and_watch(said: str, folder: Path) -> None:
    """`prompt` and `watch` with the addresses that a graph has told."""
    found = _READY.search(said.replace("\n", " "))
    assert found is not None, said
    publish, requests = found.groups()
    changed = run_command("prompt", "set", "scene", "the blue square", "--address", requests, cwd=folder)
    assert changed.returncode == 0, changed.stderr
    watched = run_command("watch", "scene", "--address", publish, "--count", "1", "--json", cwd=folder)
    assert watched.returncode == 0, watched.stderr
    assert json.loads(watched.stdout)["stream"] == "scene"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"], ids=["ipv4", "ipv6"])
def test_up_is_found_by_watch_and_prompt(tmp_path: Path, host: str) -> None:
    """The commands of a robot's owner."""
    file = tmp_path / "pipeline.yaml"
    file.write_text(yaml.safe_dump({"name": "families", "flow": {"staleness_s": 20.0}, **_pipeline(tmp_path, host)}))
    with running([CONSOLE_SCRIPT, "up", file, "--threads", "1"], cwd=tmp_path, stderr=subprocess.PIPE) as process:
        said = read_until(process.stderr, "requests at")
        _change_and_watch(said, tmp_path)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"], ids=["ipv4", "ipv6"])
async def test_serve_gets_masks_and_asks_for_prompts(tmp_path: Path, host: str) -> None:
    """The gateway is a client as others are; robots watch beside it, while the scene runs for the viewer."""
    async with serving(tmp_path, _pipeline(tmp_path, host)) as served, aiohttp.ClientSession() as session:
        viewer = Peer()
        await viewer.begin(session, served.pages[0] + "whep/scene")
        await until(lambda: bool(viewer.masks), "masks")
        answer = await viewer.ask(type="set", prompts=["the heart"])
        assert [one["text"] for one in answer["prompts"]] == ["the heart"]
        await asyncio.to_thread(_change_and_watch, served.log, tmp_path)
        await viewer.close()
