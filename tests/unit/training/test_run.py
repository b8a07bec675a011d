"""Runs: resuming is exact, the folder holds what it promises, wrong use is told."""

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from ssa_stream.checkpoints import load_checkpoint, read_info
from ssa_stream.errors import CheckpointError, ConfigError, SsaStreamError
from ssa_stream.training import StepReport, TrainConfig, Validation, train
from ssa_stream.training.config import Stage
from ssa_stream.training.data.batch import BrokenSample
from ssa_stream.training.loop.trainer import Trainer
from tests.support.data_sets import ROOTS
from tests.support.tiny_model import tiny_config


class _Recorder:
    """Notes what it is told; may ask to stop after some steps."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.reports: list[StepReport] = []
        self.validations: list[tuple[str, int, bool]] = []
        self.broken: list[str] = []
        self._stop_after = stop_after

    def on_step(self, report: StepReport) -> None:
        self.reports.append(report)

    def on_validation(self, stage: Stage, step: int, validation: Validation, *, is_best: bool) -> None:
        self.validations.append((stage.name, step, is_best))

    def on_broken(self, stage: Stage, sample: BrokenSample) -> None:
        self.broken.append(sample.sample)

    def should_stop(self) -> bool:
        return len(self.reports) == self._stop_after


def _run(settings: dict[str, Any], folder: Path, stop_after: int | None = None, **options: Any) -> _Recorder:
    recorder = _Recorder(stop_after)
    config = TrainConfig.from_mapping(settings)
    complete = train(config, folder, observer=recorder, should_stop=recorder.should_stop, accelerator="cpu", **options)
    assert complete == (stop_after is None)
    return recorder


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "last.safetensors").state_dict()


def _steps(path: Path) -> list[int]:
    with path.open(encoding="utf-8") as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_run_stopped_anywhere_and_resumed_ends_bitwise_equal(settings: dict[str, Any], tmp_path: Path) -> None:
    """In CLIP's stage, within a stage, at a stage's last step; weights, figures and best score agree."""
    whole = _run(settings, tmp_path / "whole")
    for stop_after in (1, 5, 3):
        _run(settings, tmp_path / "a", stop_after=stop_after, resume=True)
    parts = _run(settings, tmp_path / "a", resume=True)
    ours, theirs = _weights(tmp_path / "a"), _weights(tmp_path / "whole")
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []
    assert parts.reports[-1].figures["loss"] == whole.reports[-1].figures["loss"]
    for name in ("train_images.csv", "validation_tiny.csv"):
        assert _steps(tmp_path / "a" / name) == _steps(tmp_path / "whole" / name)


@pytest.mark.slow
def test_run_killed_after_a_saved_state_repeats_the_lost_steps(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill saves nothing; the run goes on from the last saved state, and no line of the log is doubled."""
    _run(settings, tmp_path / "whole")

    class _Killed(Exception):
        pass

    step = Trainer._step

    def dying(self: Trainer, *args: Any, **kwargs: Any) -> dict[str, float]:
        if self.progress.stage == 1 and self.progress.step == 3:
            raise _Killed
        return step(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", dying)
        with pytest.raises(_Killed):
            _run(settings, tmp_path / "killed")
    resumed = _run(settings, tmp_path / "killed", resume=True)
    assert [report.step for report in resumed.reports if report.stage.name == "images"] == [3, 4]
    ours, theirs = _weights(tmp_path / "killed"), _weights(tmp_path / "whole")
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []
    assert _steps(tmp_path / "killed" / "train_images.csv") == [5, 6, 7, 8]


@pytest.mark.slow
def test_motion_stage_killed_run_continues_identically(settings: dict[str, Any], tmp_path: Path) -> None:
    """The frames that were kept are gone with the process; what is computed again is the same to the bit."""
    del settings["stages"][0], settings["stages"][-1]
    _run(settings, tmp_path / "whole")
    _run(settings, tmp_path / "stopped", stop_after=7)  # in the second stage
    _run(settings, tmp_path / "stopped", resume=True)
    ours, theirs = _weights(tmp_path / "stopped"), _weights(tmp_path / "whole")
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []


def test_run_leaves_checkpoints_figures_and_settings(settings: dict[str, Any], tmp_path: Path) -> None:
    """Validations come at their interval and at each stage's end; CLIP's do not choose the best checkpoint."""
    recorder = _run(settings, tmp_path / "run")
    assert [entry[:2] for entry in recorder.validations] == [
        (name, step) for name in ("clip", "images", "motion", "tiny") for step in (3, 4)
    ]
    assert [best for _, _, best in recorder.validations][:3] == [False, False, True]
    assert read_info(tmp_path / "run" / "best.safetensors").notes["run"] == "test"
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"config.yaml", "state.pt", "best.safetensors", "last.safetensors", "tensorboard"} <= names
    assert _steps(tmp_path / "run" / "train_tiny.csv") == [13, 14, 15, 16]


@pytest.mark.slow
def test_clip_is_trained_in_its_stage_and_frozen_after_it(settings: dict[str, Any], tmp_path: Path) -> None:
    """What the first stage left of CLIP is what the last checkpoint holds."""
    _run(settings, tmp_path / "run", stop_after=5)
    after_clip = _weights(tmp_path / "run")
    _run(settings, tmp_path / "run", resume=True)
    end = _weights(tmp_path / "run")
    changed = {name for name in end if not torch.equal(end[name], after_clip[name])}
    assert changed
    assert not any(name.startswith("clip.") for name in changed)


@pytest.mark.slow
def test_run_starts_from_weights(settings: dict[str, Any], tmp_path: Path) -> None:
    """`init` takes all of them, `clip` those of CLIP."""
    _run(settings, tmp_path / "first", stop_after=1)
    first = _weights(tmp_path / "first")
    del settings["stages"][0]
    _run(settings, tmp_path / "second", stop_after=1, init=tmp_path / "first" / "last.safetensors")
    _run(settings, tmp_path / "third", stop_after=1, clip=tmp_path / "first" / "last.safetensors")
    for folder in ("second", "third"):
        weights = _weights(tmp_path / folder)
        assert all(torch.equal(weights[name], first[name]) for name in first if name.startswith("clip."))


@pytest.mark.slow
def test_run_starts_from_a_network_that_lacks_what_is_ours(settings: dict[str, Any], tmp_path: Path) -> None:
    """Moments begin at zero and are trained, presence stays zero until it is set; other sizes are refused."""
    del settings["stages"][:2], settings["stages"][1:]
    _run(settings, tmp_path / "first", stop_after=1)
    init = tmp_path / "first" / "last.safetensors"
    sizes = tiny_config().to_mapping()
    ours = {"frame_decoder": {"mask_moments": True}, "video_decoder": {"presence": True}}
    deeper = ours | {"frame_decoder": {"mask_moments": True, "num_layers": 3}}
    for name, changed in (("ours", ours), ("deeper", deeper)):
        parts = {part: sizes[part] | fields for part, fields in changed.items()}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(sizes | parts), encoding="utf-8")
    _run(settings | {"model": str(tmp_path / "ours.yaml")}, tmp_path / "second", stop_after=1, init=init)
    first, second = _weights(tmp_path / "first"), _weights(tmp_path / "second")
    presence = {"video_decoder.presence.weight", "video_decoder.presence.bias"}
    assert set(second) - set(first) == {"mask_moments.embed.weight"} | presence
    assert second["mask_moments.embed.weight"].abs().max() > 0
    assert not any(second[name].any() for name in presence)
    same = "pixel_decoder.layers.0.deformable.value_proj.weight"  # not trained in a motion stage
    assert torch.equal(second[same], first[same])
    with pytest.raises(ConfigError, match="of other sizes than"):
        _run(settings | {"model": str(tmp_path / "deeper.yaml")}, tmp_path / "third", init=init)
    with pytest.raises(ConfigError, match="of other sizes than"):  # what it has is not taken off
        _run(settings, tmp_path / "fourth", init=tmp_path / "second" / "last.safetensors")


def test_existing_run_is_not_overwritten(settings: dict[str, Any], tmp_path: Path) -> None:
    """Without --resume it is an error, and with other settings too."""
    _run(settings, tmp_path, stop_after=1)
    with pytest.raises(ConfigError, match="holds a run already"):
        _run(settings, tmp_path)
    settings["stages"][1]["steps"] = 7
    with pytest.raises(ConfigError, match="other settings of stages"):
        _run(settings, tmp_path, resume=True)


def test_run_whose_settings_have_other_names_is_told(settings: dict[str, Any], tmp_path: Path) -> None:
    """One of an earlier version: its state cannot be gone on with, its weights can be started from."""
    _run(settings, tmp_path, stop_after=1)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    state["config"]["mean_decay"] = state["config"].pop("ema_decay")
    torch.save(state, tmp_path / "state.pt")
    with pytest.raises(ConfigError, match=r"other settings of ema_decay.*--init .*last\.safetensors"):
        _run(settings, tmp_path, resume=True)


@pytest.mark.slow
def test_resumed_run_may_log_and_save_differently(settings: dict[str, Any], tmp_path: Path) -> None:
    """What is computed does not depend on it."""
    _run(settings, tmp_path, stop_after=1)
    settings |= {"save_every": 5, "log_every": 2}
    _run(settings, tmp_path, resume=True)


def test_damaged_state_is_told(settings: dict[str, Any], tmp_path: Path) -> None:
    """Not a traceback of pickle."""
    _run(settings, tmp_path, stop_after=1)
    (tmp_path / "state.pt").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="not a whole training state"):
        _run(settings, tmp_path, resume=True)


def test_diverged_loss_ends_the_run(settings: dict[str, Any], tmp_path: Path) -> None:
    """With words on what to change."""
    for stage in settings["stages"]:
        stage["optimizer"] = {"lr": 1e9, "schedule": "steps", "clip_norm": 1e9}
    del settings["stages"][0]
    settings["stages"][0]["steps"] = 50
    with pytest.raises(SsaStreamError, match=r"optimizer\.lr"):
        _run(settings, tmp_path)


def test_processes_that_do_not_know_of_each_other_are_refused(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torchrun without --devices would train as many networks in one folder."""
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="--devices 2"):
        _run(settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_run_on_a_public_data_set_skips_broken_samples_and_resumes_exactly(tiny_yaml: str, tmp_path: Path) -> None:
    """What was skipped is told in both runs; too small a share ends the run."""
    root = tmp_path / "data"
    for part in ("train", "meta_expressions/train"):
        shutil.copytree(ROOTS["ref-youtube-vos"] / part, root / part)
    for picture in min((root / "train" / "JPEGImages").iterdir()).iterdir():
        picture.write_bytes(b"no picture")
    place = f"ref-youtube-vos:{root}"
    data = {"source": "referring", "sets": [{"data": place}], "short_edges_px": [32], "broken_share": 0.9}
    stage = {
        **{"kind": "clips", "name": "real", "steps": 3, "batch": 2, "frames": [2, 2], "data": data},
        **{"loss": {"num_points": 16, "frame_layers": 1}, "optimizer": {"lr": 1e-3}},
    }
    validation = {"every": 9, "data": place, "split": "train", "clips": 9, "frames": 2, "size": [32, 32]}
    settings = {"name": "test", "model": tiny_yaml, "save_every": 9, "validation": validation, "stages": [stage]}
    whole = _run(settings, tmp_path / "whole")
    _run(settings, tmp_path / "parts", stop_after=1)
    _run(settings, tmp_path / "parts", resume=True)
    ours, theirs = _weights(tmp_path / "parts"), _weights(tmp_path / "whole")
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []
    assert whole.broken
    assert len(set(whole.broken)) == len(whole.broken)
    with (tmp_path / "whole" / "validation_real.csv").open(encoding="utf-8") as file:
        assert all(float(row["broken"]) > 0 for row in csv.DictReader(file))
    stage["data"] = data | {"broken_share": 0.0}
    with pytest.raises(ConfigError, match=r"1 samples are broken, and data.broken_share allows 0: ref-youtube-vos:"):
        _run(settings, tmp_path / "strict")
