"""A network on public data sets: what it sees, what is scored, and that the figures are those of `score`."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ssa_stream.data.kinds import parse_data
from ssa_stream.errors import ConfigError
from ssa_stream.evaluation import (
    EvaluationConfig,
    ObjectSamples,
    ReferringDataset,
    RunSettings,
    evaluate,
    sample_objects,
    summarise_objects,
)
from ssa_stream.evaluation.predictors import Candidates, OfflinePredictor
from ssa_stream.evaluation.score.request import ScoreRequest
from ssa_stream.evaluation.score.scoring import score_predictions
from ssa_stream.input_warnings import InputWarning
from ssa_stream.run_lengths import encode_counts
from ssa_stream.streaming import SessionConfig
from tests.support.data_sets import ROOTS
from tests.support.tiny_model import tiny_model

A2D = parse_data(f"a2d-sentences:{ROOTS['a2d-sentences']}")
SETTINGS = EvaluationConfig(session=SessionConfig(window=3))


@pytest.fixture(autouse=True)
def quick_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of a network: masks are the brighter parts of frames, some scores are equal."""

    def candidates(_: OfflinePredictor, frames: NDArray[np.uint8], sentence: str) -> Iterator[Candidates]:
        light = frames.mean(axis=3)
        masks = np.stack([light > level for level in (60, 90, 120, 255)])
        scores = np.array([1, light.mean() // 40, len(sentence) % 3, 0], np.float32)
        yield Candidates(0, scores, masks)

    monkeypatch.setattr(OfflinePredictor, "candidates", candidates)


def results_of(samples: Sequence[ObjectSamples]) -> list[dict[str, object]]:
    """The same answers as a results file."""
    return [
        {
            "image_id": name,
            "category_id": 1,
            "segmentation": {"size": [*mask.shape], "counts": encode_counts(mask).decode()},
            "score": float(score),
        }
        for one in samples
        for name, masks, scores in zip(one.sample_ids, one.masks, one.scores, strict=True)
        for mask, score in zip(masks, scores, strict=True)
    ]


def test_figures_of_a_network_are_those_of_its_answers_scored_from_a_file(tmp_path: Path) -> None:
    """One definition: what `eval` says and what `score` says are equal to the last digit."""
    data = ReferringDataset.of_place(A2D)
    samples = list(sample_objects(tiny_model(), data, "offline", SETTINGS))
    settings = RunSettings.of("offline", SETTINGS, model="tiny", data=data.name, fps=data.fps)
    figures = summarise_objects(settings, samples).groups[0].figures
    (tmp_path / "predictions.json").write_text(json.dumps(results_of(samples)))
    report = score_predictions(ScoreRequest(A2D, None, tmp_path, workers=1))
    assert not report.deviations
    assert figures.samples == 19
    ours = (*figures.precision, figures.overall_iou, figures.mean_iou, figures.mean_ap, figures.ap_small)
    names = (*(f"P@0.{k}" for k in range(5, 10)), "overall_iou", "mean_iou", "mAP 0.5:0.95", "AP 0.5:0.95 S")
    assert ours == tuple(report.figures[name] for name in names)
    assert figures.mean_ap_top1 == report.variants["top1_only"].figures["mAP 0.5:0.95"]
    assert figures.overall_iou > 0


class RecordedData(ReferringDataset):
    """Remembers which frames were read."""

    read: dict[str, list[tuple[int, ...]]]

    def frames(self, video: str, indices: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """Read them."""
        assert indices is not None
        self.read.setdefault(video, []).append(tuple(indices))
        return super().frames(video, indices)


def test_annotated_frame_is_seen_in_a_window_around_it() -> None:
    """Also `offline`; the first frame is repeated before the clip."""
    data = RecordedData.of_place(A2D)
    assert isinstance(data, RecordedData)
    data.read = {}
    config = EvaluationConfig(session=SessionConfig(window=8))
    samples = list(sample_objects(tiny_model(), data, "offline", config))
    assert data.read["_9x-YzQ0w1E"][0] == (0, 0, 0, 0, 0, 1, 2, 3)
    assert sum(map(len, data.read.values())) == sum(len(one.targets) for one in samples) == 19
    for one in samples:
        for name, masks in zip(one.sample_ids, one.masks, strict=True):
            video, frame = str(name).removeprefix("v_").rsplit("_i_", 1)[0].rsplit("_f_", 1)
            (alone,) = data.frames(video, (int(frame) - 1,))
            assert np.array_equal(masks[0], alone.mean(axis=2) > 60), name


def test_picture_is_seen_once() -> None:
    """A picture is no clip that stands still."""
    data = RecordedData.of_place(parse_data(f"refcoco:{ROOTS['refcoco']}"))
    assert isinstance(data, RecordedData)
    data.read = {}
    samples = list(sample_objects(tiny_model(), data, "windowed", SETTINGS))
    assert {indices for read in data.read.values() for indices in read} == {(0,)}
    assert sorted(name for one in samples for name in one.sample_ids) == [1, 2, 3, 4, 5, 6]


def test_broken_annotations_leave_their_video_out(tmp_path: Path) -> None:
    """It is named; the others are evaluated. Where all are broken, there is nothing to evaluate."""
    root = tmp_path / "a2d_sentences"
    shutil.copytree(ROOTS["a2d-sentences"], root)
    masks = root / "text_annotations/a2d_annotation_with_instances"
    (masks / "sqU4reExact/00003.h5").write_bytes(b"no HDF5")
    data = ReferringDataset.of_place(parse_data(f"a2d-sentences:{root}"))
    assert [warning.about for warning in data.left_out] == ["video sqU4reExact"]
    assert "sqU4reExact" not in [video.name for video in data.videos]
    assert len(data.videos) > 1
    shutil.rmtree(masks)
    with pytest.raises(ConfigError, match="is missing"):
        ReferringDataset.of_place(parse_data(f"a2d-sentences:{root}"))


def test_broken_clip_is_told_and_left_out(tmp_path: Path) -> None:
    """Its annotations are there, its frames are not."""
    root = tmp_path / "a2d_sentences"
    shutil.copytree(ROOTS["a2d-sentences"], root)
    (root / "Release/clips320H/sqU4reExact.mp4").write_bytes(b"no video")
    told: list[InputWarning] = []
    data = ReferringDataset.of_place(parse_data(f"a2d-sentences:{root}"))
    samples = list(sample_objects(tiny_model(), data, "windowed", SETTINGS, told.append))
    assert sum(len(one.targets) for one in samples) == 14
    assert ["sqU4reExact" in warning.about for warning in told] == [True]


def test_clips_of_single_annotated_frames_cannot_be_scored_as_clips() -> None:
    """The error names the protocol that can."""
    with pytest.raises(ConfigError, match="--protocol a2d"):
        evaluate(tiny_model(), ReferringDataset.of_place(A2D), "windowed", SETTINGS)
