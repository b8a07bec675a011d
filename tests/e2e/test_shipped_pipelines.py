"""Every shipped pipeline, started as a user would, finds what it looks for; `browser` is in test_browser_example.py."""

import json
import os
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from ssa_stream.configs import config_names
from tests.support.command_line import CONSOLE_SCRIPT, read_until, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400), pytest.mark.usefixtures("warm_python")]

# What a user adds, and what has to be found, by stream and sentence.
PIPELINES = {
    "demo": ([], {("scene", "the red circle")}),
    "two-streams": ([], {("left", "the yellow circle"), ("right", "the red heart"), ("right", "the cyan arrow")}),
    "webcam": (
        ["--source", "synthetic@320x180,5fps", "-p", "webcam=the red circle"],
        {("webcam", "the red circle")},
    ),
}
PAGES = {"browser"}
SIGHTINGS = 3


def test_each_shipped_pipeline_is_tried() -> None:
    """One that is added has to be named here or in test_browser_example.py."""
    assert set(config_names("pipeline")) == {*PIPELINES, *PAGES}


@pytest.mark.parametrize("name", PIPELINES)
def test_shipped_pipeline_finds_what_it_looks_for(name: str, tmp_path: Path) -> None:
    """In every stream, as `watch` shows it: masks that are not empty, and more of them than masks that are."""
    options, expected = PIPELINES[name]
    addresses = ["--publish", "tcp://127.0.0.1:*", "--requests", "tcp://127.0.0.1:*"]
    command: list[str | Path] = [CONSOLE_SCRIPT, "up", name, *addresses, *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with running(command, cwd=tmp_path, stderr=subprocess.PIPE, env=environment) as graph:
        ready = re.search(r"ready: masks at (\S+),", read_until(graph.stderr, "ready:"))
        assert ready is not None
        watch = [CONSOLE_SCRIPT, "watch", "--json", "--address", ready[1]]
        with running(watch, cwd=tmp_path, stdout=subprocess.PIPE, env=environment) as watcher:
            assert watcher.stdout is not None
            found: Counter[tuple[str, str]] = Counter()
            with watcher.stdout as lines:
                while min(found[one] for one in expected) < SIGHTINGS:
                    line = json.loads(lines.readline())
                    sighted = any(track["area_px"] for track in line["tracks"])
                    found[line["stream"], line["prompt"]["text"]] += 1 if sighted else -1
        graph.send_signal(signal.SIGINT)
        _, printed = graph.communicate()
    assert graph.returncode == 0, printed
