"""The soak, for half a minute: a real server, real peers, a fault of each."""

import json
import sys
from pathlib import Path

import pytest

from tests.support.command_line import ROOT, run_command
from tests.support.components import require
from tests.support.rtsp_server import HOW_TO_GET, rtsp_server_available

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_half_a_minute_of_faults_leaves_no_frame_unaccounted_for(tmp_path: Path) -> None:
    """Its exit code says so; what it found is written."""
    require("an RTSP server (GStreamer)", rtsp_server_available(), HOW_TO_GET)
    found = tmp_path / "soak.json"
    words = ("--minutes", "0.5", "--fps", "4", "--every", "2", "--json", found)
    done = run_command(*words, cwd=ROOT, program=(sys.executable, "-m", "benchmarks.soak"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("sound\n")
    report = json.loads(found.read_text())
    assert {stream: one["remainder"] for stream, one in report["balances"].items()} == {"rtsp": 0, "camera": 0}
    assert all(one["published"] > 10 for one in report["balances"].values())
    assert {one["fault"][2] for one in report["recoveries"]} == {"rtsp", "camera", "watcher"}
    held = {name: pair[1]["types"] for name, pair in report["inside"].items()}
    assert all(sum(types.values()) < 50_000 for types in held.values()), "of what lives from the start on none is told"
    assert held["gateway"]["ssa_stream.nodes.gateway.webrtc.peer.Peer"] <= 4, "two are there, two may just have left"
    assert "launcher" in held
