"""Commands say which checkpoint runs, what it knows, and whether anything was found; through the installed command."""

import json
from pathlib import Path

import aiohttp
import av
import numpy as np
import pytest
import yaml

from tests.support.command_line import run_command
from tests.support.gateway import serving

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

RABBIT = "the big white rabbit"
DOMAIN = "checkpoint: ssa-tiny knows drawn shapes only"
HINT = 'ssa-tiny does not know "rabbit"; it knows drawn shapes'
ADVICE = "nothing found: ssa-tiny knows drawn shapes only"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short film of something that is no drawn shape."""
    path, rng = tmp_path_factory.mktemp("what_runs") / "garden.mp4", np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(4):
            noise = np.clip(rng.normal(120, 20, (64, 96, 3)), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_run_of_a_real_video_says_what_the_checkpoint_knows_and_that_nothing_was_found(
    video: Path, tmp_path: Path
) -> None:
    """Before anything else the checkpoint and the words that it lacks, also of later prompts; at the end the counts."""
    done = run_command(
        "run", video, "-p", RABBIT, "--at", "0.2=the dog", "--json", "r.json", "--device", "cpu", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith(DOMAIN)
    assert "--checkpoint" in lines[0]
    assert HINT in lines[1]
    assert 'does not know "dog"' in lines[2]
    assert f'"{RABBIT}": target found in 0 of 2 frames' in lines
    assert lines[-1].startswith(ADVICE)
    report = json.loads((tmp_path / "r.json").read_text())
    assert [(one["text"], one["frames"], one["found_frames"]) for one in report["prompts"]] == [
        (RABBIT, 2, 0),
        ("the dog", 2, 0),
    ]
    assert [warning["about"] for warning in report["warnings"]] == [f'prompt "{RABBIT}"', 'prompt "the dog"']


def test_graph_says_the_same_for_each_stream(video: Path, tmp_path: Path) -> None:
    """One stream finds its target, the other has a word that the checkpoint lacks, which is in the JSON."""
    scene = {"source": "synthetic@160x96,10fps,4frames", "prompts": ["the red circle"]}
    plain = {
        "model": {"device": "cpu"},
        "public": {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"},
        "streams": {"garden": {"source": str(video), "prompts": [RABBIT]}, "scene": scene},
    }
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(plain))
    done = run_command("up", "two.yaml", "--json", "r.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith(DOMAIN)
    assert HINT in lines[1]
    assert lines[-4:-2] == [
        f'garden "{RABBIT}": target found in 0 of 4 frames',
        'scene "the red circle": target found in 4 of 4 frames',
    ]
    assert lines[-2].startswith(f'garden "{RABBIT}" was not found: ssa-tiny knows drawn shapes only')
    assert lines[-1].endswith("may be something else")
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["prompts"]["scene"] == [{"id": "p1", "text": "the red circle", "frames": 4, "found_frames": 4}]
    assert [HINT in warning["text"] for warning in report["warnings"]] == [True]


def test_synthetic_source_needs_no_words_about_the_domain(tmp_path: Path) -> None:
    """The name alone; what was found is the last line. Random weights say that they mean nothing; no advice."""
    scene = ("run", "synthetic@160x96,10fps,4frames", "--device", "cpu")
    done = run_command(*scene, "-p", "the red circle", cwd=tmp_path)
    lines = done.stderr.splitlines()
    assert (done.returncode, lines[0]) == (0, "checkpoint: ssa-tiny"), done.stderr
    assert lines[-1] == '"the red circle": target found in 4 of 4 frames'
    assert "warning" not in done.stderr
    done = run_command(*scene, "-p", RABBIT, "--random-weights", "--threshold", "0.999", cwd=tmp_path)
    lines = done.stderr.splitlines()
    assert lines[0].startswith("random weights: the masks mean nothing")
    assert lines[-1] == f'"{RABBIT}": target found in 0 of 4 frames'


async def test_page_is_told_the_checkpoint_and_serve_ends_with_what_was_found(video: Path, tmp_path: Path) -> None:
    """Name, domain and examples for the page; the terminal says the same."""
    stream = {"source": str(video), "prompts": [RABBIT]}
    async with serving(tmp_path, {"model": {"device": "cpu"}, "streams": {"garden": stream}}) as served:
        async with aiohttp.ClientSession() as session, session.get(served.pages[0] + "api/streams") as response:
            told = (await response.json())["checkpoint"]
    assert (told["name"], told["domain"]) == ("ssa-tiny", "drawn shapes")
    assert "the red circle" in told["examples"]
    lines = served.log.splitlines()
    assert lines[0].startswith(DOMAIN)
    assert HINT in lines[1]
    assert any(line.startswith(f'"{RABBIT}": target found in 0 of ') for line in lines) or "no frame got masks" in lines
