"""`ssa-stream checkpoint` as a user meets it: exit codes, one red line, tables, and what is on disk afterwards."""

import builtins
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from ssa_stream import __version__
from ssa_stream.checkpoints import load_checkpoint, read_info, save_checkpoint
from ssa_stream.checkpoints.golden_folder import read_folder
from ssa_stream.checkpoints.reference import from_reference, reference_layout
from ssa_stream.checkpoints.seeded import seeded_state
from ssa_stream.cli.main import main
from ssa_stream.extras import install_command
from ssa_stream.knowledge import Knowledge, knowledge_of
from ssa_stream.model import SSA
from tests.support.tiny_model import tiny_config
from tests.unit.checkpoints.golden_cases import SMALL, changed_folder


@pytest.fixture(scope="module")
def state() -> Mapping[str, Tensor]:
    """A small network's tensors in the reference's names."""
    return seeded_state(reference_layout(tiny_config()))


@pytest.fixture
def files(tmp_path: Path, state: Mapping[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a reference checkpoint and the network's YAML; the working folder of the test."""
    torch.save({"model": dict(state)}, tmp_path / "published.pth")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny_config().to_mapping()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the console script in this process."""
    monkeypatch.setattr(sys, "argv", ["ssa-stream", *words])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_convert_halves_the_file_and_keeps_notes_and_knowledge(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same network in another type of numbers."""
    config = tiny_config()
    torch.manual_seed(0)
    model = SSA(config)
    known = Knowledge("big", "kitchens", frozenset({"cup"}), ("the cup",))
    save_checkpoint(files / "big.safetensors", model, config, notes={"steps": "7"}, knowledge=known)
    words = ("convert", "big.safetensors", "--dtype", "float16", "-o", "small.safetensors")
    assert run(monkeypatch, "checkpoint", *words) == 0
    big, small = read_info(files / "big.safetensors"), read_info(files / "small.safetensors")
    assert small.size_bytes < 0.6 * big.size_bytes
    assert small.notes["steps"] == "7"
    assert knowledge_of(files / "small.safetensors").words == frozenset({"cup"})
    loaded = load_checkpoint(files / "small.safetensors")
    for (name, old), new in zip(model.named_parameters(), loaded.parameters(), strict=True):
        assert torch.equal(new, old.half().float()), name
    shown = capsys.readouterr().out
    assert "F16" in shown
    assert "kitchens, 1 words; such as: the cup" in shown


def test_import_info_export_round_trip(
    files: Path, state: Mapping[str, Tensor], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In, looked at, out again: the same tensors."""
    words = ("import", "published.pth", "--model", "tiny.yaml", "-o", "ours.safetensors")
    assert run(monkeypatch, "checkpoint", *words) == 0
    assert run(monkeypatch, "checkpoint", "info", "ours.safetensors") == 0
    shown = capsys.readouterr().out
    for told in ("tiny-test", "CLIP weights", "inside", "imported from", "published.pth", "pixel_decoder", "F32"):
        assert told in shown
    assert run(monkeypatch, "checkpoint", "export", "ours.safetensors", "-o", "back.pth") == 0
    back = torch.load("back.pth", weights_only=True)["model"]
    assert list(back) == list(state)
    assert all(torch.equal(back[key], state[key]) for key in state)


def test_import_in_half_precision_without_clip(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest file: bfloat16, CLIP left out."""
    words = ("import", "published.pth", "--model", "tiny.yaml", "-o", "x.safetensors")
    assert run(monkeypatch, "checkpoint", *words, "--dtype", "bfloat16", "--no-include-clip") == 0
    info = read_info("x.safetensors")
    assert info.dtypes.keys() == {"BF16"}
    assert not info.contains_clip


def test_import_with_clip_from_a_checkpoint(
    files: Path, state: Mapping[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reference checkpoint without CLIP, completed from one of ours."""
    learned = {key: tensor for key, tensor in state.items() if not key.startswith("backbone.clip_model.")}
    torch.save({"model": learned}, "learned.pth")
    save_checkpoint("whole.safetensors", from_reference(state, tiny_config()), tiny_config())
    words = ("checkpoint", "import", "learned.pth", "--model", "tiny.yaml", "-o", "x.safetensors")
    assert run(monkeypatch, *words) == 1
    assert run(monkeypatch, *words, "--clip", "whole.safetensors") == 0
    assert read_info("x.safetensors").contains_clip
    load_checkpoint("x.safetensors")


@pytest.mark.parametrize(
    ("extra", "tag"),
    [(["--download-clip"], "default"), (["--download-clip", "some_tag"], "some_tag"),
     (["--download-clip", "--dtype", "float16"], "default"), (["--download-clip=x"], "x")],
    ids=["bare", "tag", "before_option", "equals"],
)  # fmt: skip
def test_download_clip_is_asked_for_with_or_without_tag(
    files: Path, state: Mapping[str, Tensor], monkeypatch: pytest.MonkeyPatch, extra: list[str], tag: str
) -> None:
    """The option's value may be left out."""
    asked: list[str] = []
    prefix = "backbone.clip_model."
    clip = {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}

    def fake(config: object, tag: str) -> dict[str, Tensor]:
        asked.append(tag)
        return clip

    monkeypatch.setattr("ssa_stream.checkpoints.download_clip", fake)
    words = ("import", "published.pth", "--model", "tiny.yaml", "-o", "x.safetensors", *extra)
    assert run(monkeypatch, "checkpoint", *words) == 0
    assert asked == [tag]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["info", "nowhere.safetensors"], 2, "there is no file nowhere.safetensors"),
        (["info", "published.pth"], 1, "checkpoint import published.pth"),
        (["import", "published.pth", "--model", "ssa-huge", "-o", "x"], 2, "ssa-huge"),
        (["import", "published.pth", "--model", "ssa-base", "-o", "x"], 1, "missing"),
        (["import", "published.pth", "--model", "ssa-tiny", "-o", "x"], 1, "has frame_decoder.mask_moments, which"),
        (["import", "published.pth", "--model", "tiny.yaml", "-o", "x", "--clip", "a", "--download-clip"], 2, "both"),
        (["import", "published.pth", "--model", "tiny.yaml", "-o", "x", "--download-clip"], 2, "publishes no weights"),
        (["import", "published.pth", "--model", "tiny.yaml", "-o", "no/x"], 2, "create it"),
        (["import", "tiny.yaml", "--model", "tiny.yaml", "-o", "x"], 1, "not a whole torch file"),
        (["import", "published.pth", "-o", "x"], 2, "--model"),
        (["import", "published.pth", "--model", "tiny.yaml", "-o", "x", "--dtype", "int8"], 2, "int8"),
        (["export", "published.pth", "-o", "x"], 1, "not a whole safetensors file"),
        (["verify", "nowhere"], 2, "config.json"),
        (["verify", ".", "--device", "tpu9"], 2, "tpu9"),
    ],
    ids=lambda value: "_".join(value[:2]) if isinstance(value, list) else None,
)
def test_mistake_is_one_message_and_an_exit_code(
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    told: str,
) -> None:
    """On stderr, without a stack trace, and nothing is written."""
    before = set(files.iterdir())
    assert run(monkeypatch, "checkpoint", *words) == code
    captured = capsys.readouterr()
    assert told in " ".join(captured.err.split())
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert set(files.iterdir()) == before


def test_verify_prints_stages_and_writes_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All agree: status 0, a table in the order of computation, and the same as JSON."""
    monkeypatch.setenv("COLUMNS", "120")
    golden = changed_folder(tmp_path)
    assert run(monkeypatch, "checkpoint", "verify", str(golden), "--json", str(tmp_path / "report.json")) == 0
    shown = capsys.readouterr().out
    assert "all stages of all cases agree" in shown
    places = [shown.index(f" {stage} ") for stage in ("tokens", "stem", "ms0", "perm", "mask_logits", "masks_merge")]
    assert places == sorted(places)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["passed"]
    assert report["first_deviation"] is None
    assert [case["name"] for case in report["cases"]] == ["T2_long"]


@pytest.mark.slow
def test_verify_of_other_weights_fails_and_names_the_first_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1."""
    folder = read_folder(changed_folder(tmp_path))
    weights = from_reference(seeded_state(folder.layout), folder.config)
    weights["adapters.2.text_proj.weight"] = -weights["adapters.2.text_proj.weight"]
    save_checkpoint(tmp_path / "other.safetensors", weights, folder.config)
    words = ("checkpoint", "verify", str(tmp_path), "--checkpoint", str(tmp_path / "other.safetensors"))
    assert run(monkeypatch, *words) == 1
    assert "first deviation: gate2 in case" in capsys.readouterr().out


def test_version_and_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The two questions that every program answers."""
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.strip() == f"ssa-stream {__version__}"
    assert run(monkeypatch, "--help") == 0
    assert "checkpoint" in capsys.readouterr().out
    assert run(monkeypatch, "checkpoint", "import", "--help") == 0
    assert "--download-clip" in capsys.readouterr().out


def test_help_loads_no_engine_package() -> None:
    """Quick, and on a machine without torch."""
    program = (
        "import sys; sys.argv = ['ssa-stream', 'checkpoint', '--help']\n"
        "from ssa_stream.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "heavy = {'torch', 'open_clip', 'timm', 'safetensors', 'scipy', 'cv2', 'av'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stderr


def test_missing_engine_names_the_extra(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a base install the command says what to install, status 2."""
    genuine = builtins.__import__

    def without_torch(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return genuine(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    assert run(monkeypatch, "checkpoint", "verify", str(SMALL)) == 2
    assert f"install it with: {install_command('engine')}" in capsys.readouterr().err


def test_bug_is_not_dressed_up_as_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that no extra brings is our mistake, and shows its stack trace."""

    def broken(path: object) -> None:
        raise ModuleNotFoundError("No module named 'ssa_stream.nowhere'", name="ssa_stream.nowhere")

    monkeypatch.setattr("ssa_stream.checkpoints.read_info", broken)
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        run(monkeypatch, "checkpoint", "info", "x")


def test_import_for_training_reports_and_marks_the_file(
    files: Path, state: Mapping[str, Tensor], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A part of the tensors is enough; what was taken is told, and a conversion keeps the mark."""
    torch.save({key: tensor for key, tensor in state.items() if not key.startswith("vita_")}, files / "coco.pth")
    words = ("import", "coco.pth", "--model", "tiny.yaml", "--for-training", "-o", "start.safetensors")
    assert run(monkeypatch, "checkpoint", *words) == 0
    shown = capsys.readouterr().out
    assert "a start for training only" in shown
    assert "video_decoder" in shown
    assert "tensors; --list names them" in shown
    assert run(monkeypatch, "checkpoint", *words, "--list", "--overwrite") == 0
    listed = [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("random: ")]
    assert "video_decoder.query_position.weight" in listed
    assert {key.partition(".")[0] for key in listed} == {"video_decoder", "video_mask_features"}
    assert (
        run(monkeypatch, "checkpoint", *(word for word in words if word != "--for-training"), "--list", "--overwrite")
        == 2
    )
    assert "expected --for-training" in capsys.readouterr().err
    assert run(monkeypatch, "checkpoint", "convert", "start.safetensors", "-o", "same.safetensors") == 0
    assert not read_info(files / "same.safetensors").is_trained
