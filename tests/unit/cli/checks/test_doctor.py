"""`ssa-stream doctor` on healthy machines, and on broken ones, all described by facts."""

import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ssa_stream.cli.checks.facts import Camera, Facts, Gpu, PipelineFacts, gather
from ssa_stream.cli.checks.findings import CHECKS, CLIENT_CHECKS, PIPELINE_CHECKS, examine, examine_sources
from ssa_stream.cli.checks.trials import Trial
from ssa_stream.cli.main import app
from ssa_stream.extras import install_command
from ssa_stream.keys import make_keys
from ssa_stream.nodes.pipeline import PipelineConfig

RUNNER = CliRunner()


def _pipeline(source: str = "synthetic", **values: Any) -> PipelineConfig:
    return PipelineConfig.from_mapping({"streams": {"cam0": {"source": source}}} | values)


HEALTHY = Facts(
    pipeline=_pipeline(),
    memory_bytes=8 * 2**30,
    gpu=Gpu(name="A card", memory_bytes=16 * 2**30, driver=True),
    cameras=(Camera("/dev/video0", "Webcam", True),),
    shared_bytes=2**30,
    checkpoint="ssa-tiny: 19 MiB",
)
# A machine with one thing wrong: which check says so, how bad it is, and what it says to do.
BROKEN = {
    "old python": ({"python": (3, 9)}, "python", "fail", "install Python 3.11"),
    "no zmq": ({"missing": {"client": ("zmq",)}}, "client", "fail", "pip install"),
    "no curve": ({"has_curve": False}, "client", "warn", "pyzmq"),
    "no torch": ({"missing": {"engine": ("torch",)}, "gpu": None}, "engine", "fail", install_command("engine")),
    "no openvino": (
        {"pipeline": _pipeline(model={"engine": "openvino"}), "engines": ("onnxruntime",)},
        "engines",
        "fail",
        install_command("openvino"),
    ),
    "no aiohttp": ({"missing": {"webrtc": ("aiohttp",)}}, "browsers and monitors", "warn", install_command("webrtc")),
    "bad pipeline": ({"pipeline": None, "pipeline_problem": "no such file"}, "pipeline", "fail", "correct"),
    "no weights": ({"checkpoint": "", "checkpoint_problem": "no x"}, "checkpoint", "fail", "--random-weights"),
    "one core": ({"cores": 1}, "processor", "warn", "share"),
    "little memory": ({"memory_bytes": 2**29}, "memory", "warn", "fused"),
    "no gpu": ({"gpu": Gpu()}, "gpu", "warn", "small models"),
    "driver but no cuda": ({"gpu": Gpu(driver=True, problem="no CUDA")}, "gpu", "warn", "build of torch"),
    "gpu wanted": (
        {"gpu": Gpu(), "pipeline": _pipeline(model={"device": "cuda"})},
        "gpu",
        "fail",
        "--gpus all",
    ),
    "no camera": ({"cameras": ()}, "camera", "warn", "synthetic"),
    "camera wanted": ({"cameras": (), "pipeline": _pipeline("0")}, "camera", "fail", "--device /dev/video0"),
    "other camera wanted": ({"pipeline": _pipeline("camera:/dev/video4")}, "camera", "fail", "sources list"),
    "camera of others": ({"cameras": (Camera("/dev/video0", "", False),)}, "camera", "warn", "usermod"),
    "port taken": ({"taken": {"tcp://127.0.0.1:5555": "in use"}}, "ports", "fail", "--publish"),
    "small shm": ({"shared_bytes": 64 * 2**20}, "shared memory", "warn", "--shm-size"),
    "no shm": ({"shared_bytes": None}, "shared memory", "warn", "fused"),
    "no temp": ({"temp_problem": "Read-only file system"}, "temporary folder", "fail", "TMPDIR"),
    "too few files": ({"open_files": 64, "open_files_now": 64}, "file limit", "fail", "ulimit"),
    "few files": ({"open_files": 256, "open_files_now": 256}, "file limit", "warn", "ulimit"),
    "no keys": ({"keys_problem": "there are none"}, "keys", "fail", "keys init"),
    "open secrets": ({"open_secrets": ("k/server.key_secret",)}, "keys", "fail", "chmod 600 k/server.key_secret"),
    "open to all": (
        {"pipeline": _pipeline(public={"publish": "tcp://*:5555", "insecure": True})},
        "keys",
        "warn",
        "public.keys",
    ),
}


def test_machine_that_is_well_has_nothing_to_do() -> None:
    """All checks pass, and nothing is advised."""
    findings = list(examine(HEALTHY, CHECKS))
    assert [(finding.verdict, finding.todo) for finding in findings] == [("ok", "")] * len(CHECKS)
    assert all(finding.found for finding in findings)


@pytest.mark.parametrize(("changes", "check", "verdict", "todo"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_found_with_what_to_do(changes: dict[str, Any], check: str, verdict: str, todo: str) -> None:
    """By the check whose matter it is."""
    findings = {finding.check: finding for finding in examine(replace(HEALTHY, **changes), CHECKS)}
    assert findings[check].verdict == verdict
    assert findings[check].found
    assert todo in findings[check].todo
    others = [name for name, finding in findings.items() if finding.verdict == "fail" and name != check]
    assert others == []


def test_every_check_can_fail_or_warn() -> None:
    """One that never does would be no check."""
    assert {check for _, check, _, _ in BROKEN.values()} == set(CHECKS)


@pytest.mark.parametrize(
    ("facts", "arguments", "code"),
    [
        (HEALTHY, [], 0),
        (replace(HEALTHY, gpu=Gpu()), [], 0),
        (replace(HEALTHY, python=(3, 9)), [], 1),
        (replace(HEALTHY, missing={"engine": ("torch",)}), ["--client"], 0),
    ],
    ids=["healthy", "warned", "broken", "client"],
)
def test_exit_code_tells_whether_what_is_needed_works(
    monkeypatch: pytest.MonkeyPatch, facts: Facts, arguments: list[str], code: int
) -> None:
    """Also as JSON, which says the same."""
    monkeypatch.setattr("ssa_stream.cli.checks.facts.gather", lambda *_: facts)
    assert RUNNER.invoke(app, ["doctor", *arguments]).exit_code == code
    result = RUNNER.invoke(app, ["doctor", "--json", *arguments])
    assert result.exit_code == code
    plain = json.loads(result.output)
    assert plain["ok"] is (code == 0)
    assert len(plain["findings"]) == len(CLIENT_CHECKS if arguments else CHECKS)


def test_this_machine_is_looked_at(tmp_path: Path) -> None:
    """A port that is in use, secrets that others can read, and a pipeline that names both."""
    make_keys(tmp_path / "keys")
    (tmp_path / "keys/server.key_secret").chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        file = tmp_path / "pipeline.yaml"
        file.write_text(
            f"streams: {{cam0: {{source: synthetic}}}}\nmodel: {{random_weights: true}}\n"
            f"public: {{publish: '{taken}', requests: 'tcp://127.0.0.1:*', keys: {tmp_path / 'keys'}}}\n"
        )
        facts = gather(str(file))
    assert list(facts.taken) == [taken]
    assert facts.open_secrets == (str(tmp_path / "keys/server.key_secret"),)
    assert facts.checkpoint == "random weights, as the pipeline says"
    assert facts.missing == {}


def test_pipeline_that_does_not_exist_is_a_finding() -> None:
    """Not an error of the command: the other checks still help."""
    facts = gather("no-such-pipeline")
    assert facts.pipeline is None
    assert "no-such-pipeline" in facts.pipeline_problem


GOOD = Trial(
    "cam0", "rtsp://***@cam/1", opened_s=0.4, first_s=1.2, live=True, codec="h264", size=(1080, 1920),
    nominal_hz=25.0, measured_hz=24.8, frames=75,
)  # fmt: skip
TRIALS = {
    "good": ({}, "ok", "rtsp://***@cam/1: live, 1920x1080, h264, 24.8 fps (it says 25), opened in 0.4 s", ""),
    "file": ({"live": False, "measured_hz": 200.0}, "ok", "a recording, 1920x1080, h264, decoded at 200.0 fps", ""),
    "slow": ({"measured_hz": 11.0}, "warn", "11.0 fps (it says 25)", "light"),
    "too short to judge": ({"measured_hz": 11.0, "frames": 5}, "ok", "11.0 fps", ""),
    "losses": ({"lost": {"corrupt_packets": 3}}, "warn", "3 corrupt packets", "cable"),
    "cut off": ({"warnings": ("it was cut off",)}, "warn", "it was cut off", "whole"),
    "refused": ({"problem": "cannot open", "code": "refused"}, "fail", "cannot open (refused)", "host and port"),
    "no password": (
        {"address": "rtsp://cam/1", "problem": "no", "code": "auth_failed"},
        "fail", "no (auth_failed)", "give user name",
    ),
    "wrong password": ({"problem": "no", "code": "auth_failed"}, "fail", "no (auth_failed)", "password are wrong"),
    "unforeseen": ({"problem": "unexpected X"}, "fail", "unexpected X", "ssa-stream run"),
    "pipe": ({"skipped": "it can be read once only"}, "ok", "not tried, as it can be read once only", ""),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "verdict", "found", "todo"), TRIALS.values(), ids=TRIALS)
def test_source_that_was_tried_is_judged(changes: dict[str, Any], verdict: str, found: str, todo: str) -> None:
    """By what it gave; advice follows where something is to be done."""
    (finding,) = examine_sources([replace(GOOD, **changes)])
    assert (finding.check, finding.verdict) == ("source cam0", verdict)
    assert found in finding.found
    assert todo in finding.todo
    assert bool(finding.todo) == (verdict != "ok")


@pytest.mark.parametrize(
    ("tried", "check", "verdict", "found"),
    [
        (PipelineFacts(), None, "ok", ""),
        (PipelineFacts(outputs_problem="no folder"), "outputs", "fail", "no folder"),
        (PipelineFacts(long_prompts=("stream cam0: 'x': too long",)), "prompts", "warn", "too long"),
        (PipelineFacts(disk_bytes={"/data": 2**29, "/other": 2**34}), "disk", "warn", "0.5 GiB free in /data"),
    ],
    ids=["well", "outputs", "prompts", "disk"],
)
def test_what_a_pipeline_needs_beside_its_sources_is_judged(
    tried: PipelineFacts, check: str | None, verdict: str, found: str
) -> None:
    """One thing is wrong at a time."""
    findings = {one.check: one for one in examine(replace(HEALTHY, tried=tried), PIPELINE_CHECKS)}
    assert [name for name, one in findings.items() if one.verdict != "ok"] == ([] if check is None else [check])
    if check is not None:
        assert findings[check].verdict == verdict
        assert found in findings[check].found
        assert findings[check].todo


def test_failed_source_of_a_named_pipeline_is_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """And JSON has what was seen of each source."""
    facts = replace(HEALTHY, tried=PipelineFacts(trials=(GOOD, replace(GOOD, problem="broken"))))
    monkeypatch.setattr("ssa_stream.cli.checks.facts.gather", lambda *_: facts)
    result = RUNNER.invoke(app, ["doctor", "demo", "--json"])
    assert result.exit_code == 1
    plain = json.loads(result.output)
    assert [source["problem"] for source in plain["sources"]] == ["", "broken"]
    assert plain["sources"][0]["size"] == [1080, 1920]
