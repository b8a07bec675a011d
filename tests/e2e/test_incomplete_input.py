"""Input that is not all there, through the installed command line: it is processed, and what is missing is said."""

import json
import os
import re
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.command_line import run_command, write_tiny_config
from tests.support.video_files import write_video

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

NUM_FRAMES = 40
PROMPT = "the red circle"
LONG = " ".join(["the red circle that moves over the ground"] * 12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole video, one that was cut off, and a small network's configuration."""
    path = tmp_path_factory.mktemp("incomplete")
    muxer, encoder = {"movflags": "faststart"}, {"crf": "10", "g": "1"}
    whole = write_video(path / "whole.mp4", NUM_FRAMES, muxer=muxer, encoder=encoder).read_bytes()
    (path / "cut.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    write_tiny_config(path)
    return path


def _run(folder: Path, source: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    model = ["--random-weights", "--model", str(folder / "tiny.yaml"), "--device", "cpu"]
    return run_command("run", folder / source, *words, *model, cwd=cwd)


def _pipeline(folder: Path, **stream: Any) -> Path:
    path = folder / "pipeline.yaml"
    model = {"name": str(folder / "tiny.yaml"), "random_weights": True, "device": "cpu"}
    public = {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"}
    streams = {"cam": {"prompts": [PROMPT], **stream}}
    path.write_text(yaml.safe_dump({"model": model, "public": public, "streams": streams}))
    return path


def _accounted(report: dict[str, Any]) -> int:
    """Frames of a report that have masks or a reason why not."""
    frames = report["frames"]
    with_masks = sum(frames.values()) if isinstance(frames, dict) else frames
    return int(with_masks + sum(report["drops"].values()))


def test_run_of_a_cut_off_file_says_how_much_is_missing(folder: Path, tmp_path: Path) -> None:
    """In one line, in the JSON, and as an error only if that was asked for; results are complete either way."""
    done = _run(folder, "cut.mp4", "-p", PROMPT, "-o", "m.jsonl", "--json", "r.json", "--strict", cwd=tmp_path)
    report = json.loads((tmp_path / "r.json").read_text())
    count = report["frames"]
    assert 0 < count < NUM_FRAMES
    assert len((tmp_path / "m.jsonl").read_text().splitlines()) == count == report["read"]
    (warning,) = report["warnings"]
    assert warning["about"].endswith("cut.mp4")
    assert f"cut off: {NUM_FRAMES - count} of {NUM_FRAMES} frames" in warning["text"]
    assert sum("warning: " in line and "of 40 frames" in line for line in done.stderr.splitlines()) == 1
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: the input is incomplete (--strict): source ")
    assert _run(folder, "cut.mp4", "-p", PROMPT, cwd=tmp_path).returncode == 0


def test_graph_on_a_cut_off_file_says_how_much_is_missing(folder: Path, tmp_path: Path) -> None:
    """An event, a line at the end, the JSON; an error only if that was asked for."""
    pipeline = _pipeline(tmp_path, source=str(folder / "cut.mp4"))
    write_tiny_config(tmp_path)
    done = run_command("up", pipeline, "--json", "r.json", "--strict", cwd=tmp_path)
    report = json.loads((tmp_path / "r.json").read_text())
    count = report["frames"]["cam"]
    (warning,) = report["warnings"]
    assert warning["about"] == "stream cam"
    assert f"cut.mp4: it is cut off: {NUM_FRAMES - count} of {NUM_FRAMES} frames" in warning["text"]
    assert "event=input_warning stream=cam" in done.stderr
    assert sum(line.startswith("warning: stream cam") for line in done.stderr.splitlines()) == 1
    assert done.returncode == 1


def test_prompt_that_is_longer_than_clip_reads_is_told_at_once(folder: Path, tmp_path: Path) -> None:
    """The first prompts and later ones, in CLIP's tokens, and up to which words they are read."""
    done = _run(
        folder, "whole.mp4", "-p", LONG, "--at", f"0.5={LONG} again", "--max-frames", "8", "--json", "-", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    texts = [(one["about"], one["text"]) for one in json.loads(done.stdout)["warnings"]]
    assert [about for about, _ in texts] == ["prompt p1", "prompt p2"]
    assert "it has 96 of CLIP's tokens, and the first 75 are read, up to '..." in texts[0][1]
    assert "it has 97 of CLIP's tokens" in texts[1][1]
    lines = done.stderr.splitlines()
    begins = [line.partition(" p1")[0].partition(":")[0] for line in lines]
    assert begins.index("warning") < begins.index("done")


def test_graph_tells_of_a_prompt_that_is_longer_than_clip_reads(folder: Path, tmp_path: Path) -> None:
    """Also of one that is planned."""
    write_tiny_config(tmp_path)
    changes = [{"at_s": 1.0, "prompts": [f"{LONG} again"]}]
    pipeline = _pipeline(tmp_path, source=str(folder / "whole.mp4"), prompts=[LONG], changes=changes)
    done = run_command("up", pipeline, "--json", "-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    texts = [one["text"] for one in json.loads(done.stdout)["warnings"]]
    assert ["it has 96 of" in text for text in texts] == [True, False]
    assert "it has 97 of" in texts[1]


@pytest.mark.parametrize("words", [(), ("--max-frames", "7"), ("--realtime",)], ids=["whole", "ended", "live"])
def test_all_frames_that_were_read_are_accounted_for(folder: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    """By `run`: each has masks, or is counted with the reason why not; a live one reads the whole file."""
    done = _run(folder, "whole.mp4", "-p", PROMPT, "--json", "-", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["read"] == _accounted(report)
    assert report["read"] == NUM_FRAMES or words[:1] == ("--max-frames",)
    assert f"read {report['read']} frames: {report['frames']} with masks" in done.stderr


@pytest.mark.parametrize("stream", [{}, {"max_frames": 7}, {"live": True}], ids=["whole", "ended", "live"])
def test_all_frames_that_a_graph_read_are_accounted_for(folder: Path, tmp_path: Path, stream: dict[str, Any]) -> None:
    """As by `run`."""
    write_tiny_config(tmp_path)
    pipeline = _pipeline(tmp_path, source=str(folder / "whole.mp4"), **stream)
    done = run_command("up", pipeline, "--json", "-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["read"]["cam"] == _accounted(report)
    assert report["read"]["cam"] == NUM_FRAMES or "max_frames" in stream


def test_run_whose_source_fails_tells_its_figures(folder: Path, tmp_path: Path) -> None:
    """What came is written and accounted for, in the JSON too; then the error."""
    data = write_video(tmp_path / "a.ts", NUM_FRAMES).read_bytes()
    fifo, is_over = tmp_path / "pipe.ts", threading.Event()
    os.mkfifo(fifo)

    def write() -> None:
        with fifo.open("wb") as pipe:
            pipe.write(data)
            pipe.flush()
            is_over.wait(60)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        words = ["-p", PROMPT, "--stall-timeout", "1", "--json", "r.json", "-o", "m.jsonl"]
        model = ["--random-weights", "--model", str(folder / "tiny.yaml"), "--device", "cpu"]
        done = run_command("run", fifo, *words, *model, cwd=tmp_path)
    finally:
        is_over.set()
        writer.join()
    assert done.returncode == 1
    report = json.loads((tmp_path / "r.json").read_text())
    assert "sent nothing for 1 s" in report["failure"]
    assert report["read"] == _accounted(report) > 0
    assert len((tmp_path / "m.jsonl").read_text().splitlines()) == report["frames"]
    assert "ended by an error: " in done.stderr
    assert report["failure"] in done.stderr.splitlines()[-1]


def test_broken_video_costs_an_evaluation_that_video_only(folder: Path, tmp_path: Path) -> None:
    """It is named with the sentence and the file, as is a sentence that is too long; what was done is in the report."""
    made = run_command(
        "data", "synth", "--videos", "3", "--frames", "3", "--height", "64", "--width", "96", "-o", "val", cwd=tmp_path
    )
    assert made.returncode == 0, made.stderr
    path = tmp_path / "val" / "mask_dict.json"
    texts = tmp_path / "val" / "meta_expressions.json"
    content = json.loads(texts.read_text())
    meta = content["videos"]
    first, second, third = meta
    next(iter(meta[first]["expressions"].values()))["exp"] = LONG
    texts.write_text(json.dumps(content))
    broken = {str(number) for one in meta[second]["expressions"].values() for number in one["anno_id"]}
    masks = json.loads(path.read_text())
    wrong = {"size": [32, 48], "counts": "PP1"}
    masks |= {number: [wrong] * len(track) for number, track in masks.items() if number in broken}
    path.write_text(json.dumps(masks))
    write_tiny_config(tmp_path)
    words: list[str | Path] = [
        "eval",
        "--data",
        "val",
        "--random-weights",
        "--model",
        tmp_path / "tiny.yaml",
        "--json",
        "r.json",
    ]
    done = run_command(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert {clip["video"] for clip in report["clips"]} >= {first, third}
    assert report["complete"] is False
    (long,) = [one for one in report["warnings"] if one["about"].endswith(first)]
    assert "it has 96 of CLIP's tokens" in long["text"]
    report["warnings"].remove(long)
    assert report["warnings"]
    for warning in report["warnings"]:
        assert re.fullmatch(f"expression .+ of {second}", warning["about"])
        assert re.search(r"mask_dict\.json: masks of .* are of 48x32 pixels; expected 96x64", warning["text"])
        assert f"warning: {warning['about']}: " in done.stderr
    assert run_command(*words[:-1], "r2.json", "--strict", cwd=tmp_path).returncode == 1


def test_slow_source_keeps_its_memory(tmp_path: Path) -> None:
    """One frame every five seconds is a rate, not a row of pauses; a limit that is set counts."""
    write_tiny_config(tmp_path)
    write_video(tmp_path / "slow.mp4", 6, times_ms=[5000 * number for number in range(6)])
    for words, resets in (((), 0), (("--max-gap", "2"), 5)):
        done = _run(tmp_path, "slow.mp4", "-p", PROMPT, "-o", "-", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert sum(json.loads(line)["after_reset"] for line in done.stdout.splitlines()) == resets
    pipeline = _pipeline(tmp_path, source=str(tmp_path / "slow.mp4"), outputs=["m.jsonl"])
    assert run_command("up", pipeline, cwd=tmp_path).returncode == 0
    lines = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert [line["after_reset"] for line in lines] == [False] * 6
