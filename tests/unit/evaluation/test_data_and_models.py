"""Our data and a real network, small: what training and the command line call."""

from pathlib import Path

import numpy as np
import pytest

from ssa_stream.data import SceneConfig, sample_clip, write_mevis
from ssa_stream.errors import ConfigError
from ssa_stream.evaluation import (
    ClipData,
    EvaluationConfig,
    ReferringDataset,
    evaluate,
    evaluate_single_object,
    report_from_json,
    report_to_json,
)
from ssa_stream.evaluation.predictors import OfflinePredictor
from ssa_stream.evaluation.running import ScoredClip, score_clips
from ssa_stream.evaluation.sheet import ClipSheet
from ssa_stream.metrics import ClipKey, score_clip
from ssa_stream.model import segment_clip
from ssa_stream.streaming import SessionConfig
from ssa_stream.viz.colours import PALETTE
from tests.support.tiny_model import tiny_model
from tests.unit.evaluation.scripted import BoxData, ScriptedPredictor
from tests.unit.streaming.colour_model import ColourModel

SIZE = (32, 48)
CLIPS = [sample_clip(seed, 5, size=SIZE, split="val") for seed in range(4)]
SETTINGS = EvaluationConfig(session=SessionConfig(window=3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set on disk."""
    path = tmp_path_factory.mktemp("mevis") / "val"
    write_mevis(path, "val", 0, 2, num_frames=4, config=SceneConfig(size=SIZE))
    return path


def test_offline_report_is_that_of_segment_clip() -> None:
    """Same masks, same scores, clip by clip."""
    report = evaluate(tiny_model(), ClipData(CLIPS))
    for clip, result in zip(CLIPS, report.clips, strict=True):
        masks = segment_clip(tiny_model(), list(clip.frames), clip.text).merged().numpy()
        expected = score_clip(masks, np.asarray(clip.masks.any(axis=0)))
        assert (result.j, result.f) == (expected.j, expected.f)
        assert (result.type, result.sentence) == (clip.type, clip.text)
    assert len({ClipKey(clip.video, clip.expression_id) for clip in report.clips}) == len(CLIPS)


def test_windows_know_nothing_of_each_other() -> None:
    """Frames 3 and 4 come out as if they were a clip."""
    frames = CLIPS[0].frames
    predictor = OfflinePredictor(tiny_model(), SETTINGS.session, window=3)
    (prediction,) = predictor.predict(frames, [CLIPS[0].text], 12.0)
    alone = segment_clip(tiny_model(), list(frames[3:]), CLIPS[0].text).merged().numpy()
    assert np.array_equal(prediction.masks[3:], alone)


def test_causal_batch_of_prompts_gives_the_same_as_one_by_one(folder: Path) -> None:
    """Prompts of a video run together, which is quicker and changes nothing but rounding."""
    data = ReferringDataset.of_folder(folder)
    one = evaluate(tiny_model(), data, "causal", EvaluationConfig(session=SETTINGS.session, prompts_per_session=1))
    many = evaluate(tiny_model(), data, "causal", EvaluationConfig(session=SETTINGS.session, prompts_per_session=8))
    assert [clip.expression_id for clip in one.clips] == [clip.expression_id for clip in many.clips]
    assert [clip.j for clip in one.clips] == pytest.approx([clip.j for clip in many.clips], abs=0.02)


def test_evaluation_of_a_folder_tells_types_and_flags(folder: Path) -> None:
    """Groups come from the file."""
    report = evaluate(tiny_model(), ReferringDataset.of_folder(folder, fps=6.0), "windowed", SETTINGS)
    assert report.settings.fps == 6.0
    assert report.settings.data == "val"
    assert report.clips[0].seconds == pytest.approx(4 / 6)
    assert report.group("no_target") is not None
    assert sum(group.expressions for group in report.groups if group.name in _types(folder)) == len(report.clips)


def _types(folder: Path) -> set[str | None]:
    return {sentence.type for video in ReferringDataset.of_folder(folder).videos for sentence in video.sentences}


def test_evaluation_leaves_training_mode_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    """And prints nothing."""
    model = tiny_model()
    model.train()
    try:
        training = evaluate(model, ClipData(CLIPS[:1]), "causal", SETTINGS)
        assert model.training
    finally:
        model.eval()
    assert training == evaluate(model, ClipData(CLIPS[:1]), "causal", SETTINGS)
    assert not model.training
    assert capsys.readouterr() == ("", "")


def test_single_object_protocol_of_a_network_that_sees_colours() -> None:
    """Sentences with one object in sight: red in six frames, green in four; those with two or none are left out."""
    report = evaluate_single_object(
        ColourModel(), BoxData(), "windowed", EvaluationConfig(session=SessionConfig(window=1))
    )
    overall = report.groups[0]
    assert (overall.name, overall.expressions, overall.figures.samples) == ("all", 2, 10)
    assert overall.figures.precision == (1, 1, 1, 1, 1)
    assert min(overall.figures.mean_iou, overall.figures.overall_iou) > 0.95  # corners are rounded
    assert overall.figures.mean_ap == pytest.approx(1)
    assert report_from_json(report_to_json(report)) == report


def test_single_object_protocol_enters_all_queries() -> None:
    """Whatever their probability."""
    predictor = OfflinePredictor(tiny_model(), SessionConfig(threshold=0.9), window=3)
    first, second = predictor.candidates(CLIPS[0].frames, CLIPS[0].text)
    assert first.masks.shape == (6, 3, *SIZE)
    assert second.masks.shape == (6, 2, *SIZE)
    assert (first.start, second.start, len(second.scores)) == (0, 3, 6)


def test_single_object_protocol_wrong_use_is_refused() -> None:
    """Sessions select before they report; and something must be there to score."""
    with pytest.raises(ConfigError, match="offline or windowed"):
        evaluate_single_object(tiny_model(), ClipData(CLIPS), "causal")
    absent = [clip for clip in CLIPS if not clip.masks.any()] or [
        sample_clip(9, 2, size=SIZE, type_weights={"no_target": 1})
    ]
    with pytest.raises(ConfigError, match="exactly one object"):
        evaluate_single_object(tiny_model(), ClipData(absent))


def _scored(count: int) -> list[ScoredClip]:
    data = BoxData()
    return list(score_clips(ScriptedPredictor(data), data))[:count]


def test_sheet_shows_each_clip_once() -> None:
    """A row of four frames each; of one clip too."""
    heights = []
    for count in (1, 2, 4):
        sheet = ClipSheet(rows=1)
        for clip in _scored(count):
            sheet.add(clip)
        picture = sheet.draw()
        assert picture.dtype == np.uint8
        assert picture.shape[1] > 4 * 320
        heights.append(picture.shape[0])
    assert heights[0] < heights[1] < heights[2]


def test_sheet_marks_what_was_found_and_what_was_meant() -> None:
    """Blue stripes, an orange outline."""
    sheet = ClipSheet()
    sheet.add(_scored(1)[0])
    picture = sheet.draw().astype(int)
    for colour, least in zip(PALETTE[:2], (1000, 300), strict=False):
        assert np.count_nonzero((abs(picture - np.array(colour)) < 60).all(axis=2)) > least


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_frame_rate_must_be_positive(fps: float) -> None:
    """Everything in seconds hangs on it."""
    with pytest.raises(ConfigError, match="fps"):
        ClipData(CLIPS, fps=fps)


def test_data_without_clips_is_refused() -> None:
    """There would be nothing to report."""
    with pytest.raises(ConfigError, match="no clips"):
        ClipData([])


def test_folder_without_targets_is_refused(tmp_path: Path) -> None:
    """MeViS' own validation split, for one."""
    (tmp_path / "meta_expressions.json").write_text(
        '{"videos": {"v": {"frames": ["00000"], "expressions": {"0": {"exp": "a dog"}}}}}'
    )
    with pytest.raises(ConfigError, match="targets"):
        ReferringDataset.of_folder(tmp_path)
