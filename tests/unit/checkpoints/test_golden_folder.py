"""A golden folder's description and cases: what ours cannot be is refused, what is unknown is noted."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssa_stream.checkpoints import save_checkpoint, verify_folder
from ssa_stream.checkpoints.golden_folder import read_folder
from ssa_stream.checkpoints.reference import from_reference
from ssa_stream.checkpoints.seeded import seeded_state
from ssa_stream.errors import CheckpointError
from tests.unit.checkpoints.golden_cases import SMALL, Change, changed_folder


@pytest.mark.slow
def test_checkpoint_takes_the_place_of_the_seeded_weights(tmp_path: Path, checkpoint: Path) -> None:
    """The same weights from a file agree, others do not, and another network is refused."""
    golden = changed_folder(tmp_path)
    folder = read_folder(golden)
    state = from_reference(seeded_state(folder.layout), folder.config)
    save_checkpoint(tmp_path / "same.safetensors", state, folder.config)
    assert verify_folder(golden, checkpoint=tmp_path / "same.safetensors").passed
    state["video_decoder.classifier.bias"] = state["video_decoder.classifier.bias"] + 0.1
    save_checkpoint(tmp_path / "other.safetensors", state, folder.config)
    assert not verify_folder(golden, checkpoint=tmp_path / "other.safetensors").passed
    with pytest.raises(CheckpointError, match=r"another network.*adapter_dim is 16, not 256"):
        verify_folder(golden, checkpoint=checkpoint)


@pytest.mark.slow
def test_partial_case_is_compared_as_far_as_it_goes(tmp_path: Path) -> None:
    """Other folders may record less, or more."""

    def change(arrays: dict[str, Any]) -> None:
        for name in [name for name in arrays if name.startswith(("stem", "pred_", "mask_logits"))]:
            del arrays[name]
        arrays["novelty"] = np.zeros(3)

    report = verify_folder(changed_folder(tmp_path, change))
    assert report.passed
    assert report.cases[0].notes == (
        "not recorded: mask_logits, pred_fg_prob, pred_logits, pred_mask_embed, selection, stem",
        "recorded, but not known here: novelty",
    )


def edited(tmp_path: Path, **fields: Any) -> Path:
    """A golden folder whose description has other fields, dots in names standing for nesting."""
    folder = changed_folder(tmp_path)
    described = json.loads((folder / "config.json").read_text())
    for name, value in fields.items():
        *outer, last = name.split("__")
        inner = described
        for part in outer:
            inner = inner[part]
        inner[last] = value
    (folder / "config.json").write_text(json.dumps(described))
    return folder


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"mask_dim": 128}, "mask_dim is 128"),
        ({"num_classes": 2}, "num_classes is 2"),
        ({"pixel_encoder__levels": 4}, "levels is 4"),
        ({"pixel_mean": [0.0, 0.0, 0.0]}, "pixel_mean"),
        ({"pixel_std": [1.0, 1.0]}, "pixel_std"),
        ({"size_divisibility": 64}, "size_divisibility is 64"),
        ({"video_decoder__queries": 10}, "queries is 10"),
        ({"frame_decoder__hidden": 32}, "hidden is 32"),
        ({"frame_decoder__heads": 7}, "7 heads"),
        ({"stage_dims": [40, 80, 160, 321]}, "stage_dims"),
        ({"text_feature_dim": 64}, "text_feature_dim is 64"),
        ({"test_run_chunk_size": 0}, "test_run_chunk_size is 0"),
        ({"output_threshold": 1.5}, "output_threshold is 1.5"),
        ({"conv_dim": "wide"}, "conv_dim"),
        ({"adapter_hidden_dim": 128}, "keys.json"),
        ({"video_decoder__input_projection": False}, "keys.json"),
        ({"clip__vision_cfg": {}}, "timm_model_name"),
        ({"clip__text_cfg": {"width": "x"}}, "text_cfg.width"),
    ],
    ids=lambda value: None if isinstance(value, str) else "_".join(value),
)
def test_description_that_ours_cannot_be_is_refused(tmp_path: Path, fields: dict[str, Any], told: str) -> None:
    """Each field is checked; none is passed over in silence."""
    with pytest.raises(CheckpointError, match=told):
        verify_folder(edited(tmp_path, **fields))


@pytest.mark.slow
def test_description_with_more_fields_is_noted(tmp_path: Path) -> None:
    """A newer writer may say more than is known here."""
    report = verify_folder(edited(tmp_path, novelty=1, video_decoder__novelty=2))
    assert report.passed
    assert "novelty, video_decoder.novelty" in report.notes[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("config.json", "{", "cannot read"),
        ("config.json", "[]", "golden description"),
        ("keys.json", "[[1, 2]]", "list of"),
        ("keys.json", "[]", "missing"),
        ("T2_long.npz", "no zip", "not a readable"),
    ],
    ids=["cut", "list", "other_keys", "no_keys", "no_case"],
)
def test_damaged_folder_is_refused(tmp_path: Path, name: str, content: str, told: str) -> None:
    """The file is named."""
    folder = changed_folder(tmp_path)
    (folder / name).write_text(content)
    with pytest.raises(CheckpointError, match=told) as caught:
        verify_folder(folder)
    assert name in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda arrays: arrays.pop("sentence"), "lacks the inputs sentence"),
        (lambda arrays: arrays.update(frames=arrays["frames"].astype(np.float32)), "float32"),
        (lambda arrays: arrays.update(height=np.array(0)), "positive"),
        (lambda arrays: [arrays.pop(name) for name in list(arrays) if name not in
                         ("frames", "sentence", "height", "width")], "none of the network's stages"),
    ],
    ids=["no_sentence", "float_frames", "no_height", "nothing_recorded"],
)  # fmt: skip
def test_unusable_case_is_refused(tmp_path: Path, change: Change, told: str) -> None:
    """Inputs are checked before the network runs."""
    with pytest.raises(CheckpointError, match=told):
        verify_folder(changed_folder(tmp_path, change))


def test_folder_without_cases_is_refused(tmp_path: Path) -> None:
    """Nothing compared is nothing verified."""
    shutil.copy(SMALL / "config.json", tmp_path)
    with pytest.raises(CheckpointError, match="no case"):
        verify_folder(tmp_path)
    with pytest.raises(CheckpointError, match="cannot read"):
        verify_folder(tmp_path / "nowhere")
