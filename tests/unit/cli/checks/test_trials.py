"""Sources that are tried: what is seen of each, in bounded time, whatever it does."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssa_stream.cli.checks.facts import gather
from ssa_stream.cli.checks.outputs import free_space, outputs_problem
from ssa_stream.cli.checks.trials import Trial, try_source, try_sources
from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.sources import Frame, Source, SourceInfo
from tests.support.scripted_source import ScriptedSource


def _pipeline(streams: dict[str, Any], **sections: Any) -> PipelineConfig:
    return PipelineConfig.from_mapping({"model": {"random_weights": True}, "streams": streams, **sections})


def test_sources_of_a_pipeline_are_tried_at_the_same_time() -> None:
    """One that can be read, one that is not there, and two that must not be read."""
    began_s = time.monotonic()
    config = _pipeline({
        "scene": {"source": "synthetic@64x48,50fps"},
        "other": {"source": "synthetic@32x32,50fps"},
        "absent": {"source": "no-such-file.mp4"},
        "pipe": {"source": "-"},
        "browser": {"source": "webrtc"},
    })  # fmt: skip
    trials = {trial.stream: trial for trial in try_sources(config, 0.3)}
    assert time.monotonic() - began_s < 5  # less than the time limit of a single one
    scene = trials["scene"]
    assert (scene.live, scene.size, scene.nominal_hz, scene.problem) == (True, (48, 64), 50.0, "")
    assert scene.measured_hz is not None
    assert 10 < scene.measured_hz < 60
    assert trials["other"].frames > 1
    assert trials["absent"].code == SourceErrorCode.NOT_FOUND
    assert trials["absent"].opened_s is None
    assert "once" in trials["pipe"].skipped
    assert "browser" in trials["browser"].skipped


class _Silent(Source):
    """Opens, and then says nothing until it is closed."""

    def __init__(self) -> None:
        self.closed, self.was_told = threading.Event(), False

    @property
    def info(self) -> SourceInfo:
        """A camera."""
        return SourceInfo("silent", live=True, fps=25.0)

    def frames(self) -> Iterator[Frame]:
        """None."""
        self.was_told = self.closed.wait(5)
        yield from ()

    def close(self) -> None:
        """Let the reader go."""
        self.closed.set()


def test_source_that_opens_and_gives_no_picture_is_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """That it was opened is told, too."""
    monkeypatch.setattr("ssa_stream.cli.checks.trials._FIRST_FRAME_S", 0.05)
    trial, source = Trial("cam0", "silent"), _Silent()
    try_source(trial, lambda: source, 0.05)
    assert source.was_told
    assert trial.opened_s is not None
    assert trial.problem == "silent was opened, but no picture came within 0.1 s"


@pytest.mark.parametrize(
    ("error", "code", "problem"),
    [
        (SourceError("rtsp://me:secret@cam is gone", SourceErrorCode.REFUSED), "refused", "rtsp://***@cam is gone"),
        (ZeroDivisionError("odd"), "", "unexpected ZeroDivisionError: odd"),
    ],
    ids=["foreseen", "unforeseen"],
)
def test_error_of_a_source_is_what_was_found(error: Exception, code: str, problem: str) -> None:
    """Without secrets, and none of them ends the command."""
    trial = Trial("cam0", "cam")

    def fail() -> Source:
        raise error

    try_source(trial, fail, 0.1)
    assert (trial.code, trial.problem) == (code, problem)


def test_short_source_is_read_to_its_end_and_closed() -> None:
    """Its frames are counted."""
    trial, source = Trial("cam0", "cam"), ScriptedSource([0, 1, 2])
    try_source(trial, lambda: source, 5.0)
    assert (trial.frames, trial.problem, trial.skipped) == (3, "", "")


def test_outputs_are_looked_at_without_being_written(tmp_path: Path) -> None:
    """A folder that is missing is a finding; the space of one that is there is told."""
    stream = {"source": "synthetic", "outputs": [str(tmp_path / "a.mp4")]}
    config = _pipeline({"cam0": stream}, decoder={"checkpoint": str(tmp_path / "new" / "states")})
    assert outputs_problem(config) == ""
    assert list(free_space(config)) == [str(tmp_path)]
    absent = _pipeline({"cam0": {**stream, "outputs": [str(tmp_path / "nowhere" / "a.mp4")]}})
    assert "nowhere" in outputs_problem(absent)
    (tmp_path / "a.mp4").write_bytes(b"kept")
    assert "a.mp4" in outputs_problem(config)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]


def test_pipeline_is_tried_only_if_that_is_asked_for(tmp_path: Path) -> None:
    """Prompts that are too long are found, those of later changes, too."""
    file = tmp_path / "p.yaml"
    file.write_text(
        "model: {random_weights: true}\nstreams: {cam0: {source: 'synthetic@64x48', prompts: [a dog], "
        f"changes: [{{at_s: 1, prompts: ['{'the red circle ' * 40}']}}]}}}}\n"
    )
    assert gather(str(file)).tried is None
    tried = gather(str(file), 0.1).tried
    assert tried is not None
    (prompt,) = tried.long_prompts
    assert prompt.startswith("stream cam0: 'the red circle")
    assert [trial.frames > 0 for trial in tried.trials] == [True]
