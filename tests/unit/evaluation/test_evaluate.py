"""Figures of models whose answers are known: perfect, empty, shifted, late."""

import pytest

from ssa_stream.errors import ConfigError, ShapeError
from ssa_stream.evaluation import (
    EvaluationConfig,
    EvaluationReport,
    Predictor,
    RunSettings,
    evaluate,
    report_from_json,
    report_to_json,
    score_clips,
    summarise,
)
from ssa_stream.streaming import SessionConfig
from tests.unit.evaluation.scripted import BoxData, ScriptedPredictor, empty, shifted
from tests.unit.streaming.colour_model import ColourModel

DATA = BoxData()


def _report(predictor: Predictor, config: EvaluationConfig | None = None) -> EvaluationReport:
    config = config or EvaluationConfig()
    settings = RunSettings.of("causal", config, model="scripted", data=DATA.name, fps=DATA.fps)
    return summarise(settings, [scored.result for scored in score_clips(predictor, DATA, config)])


def test_perfect_model_scores_one_in_everything() -> None:
    """In every group."""
    report = _report(ScriptedPredictor(DATA))
    names = ["all", "appearance", "several", "no_target", "seen", "held_out_pair", "held_out_phrasing"]
    assert [group.name for group in report.groups] == names
    assert [group.expressions for group in report.groups] == [4, 2, 1, 1, 2, 1, 1]
    for group in report.groups:
        assert (group.j, group.f, group.j_and_f, group.presence_frames, group.presence_clips) == (1, 1, 1, 1, 1)
    overall = report.overall
    assert (overall.no_target_accuracy, overall.target_accuracy) == (1, 1)
    assert (overall.id_switches_per_minute, overall.occlusions, overall.same_id_after_occlusion) == (0, 1, 1)
    assert report.complete


def test_group_without_a_kind_of_clip_has_no_figure_for_it() -> None:
    """No made-up zero or one."""
    report = _report(ScriptedPredictor(DATA))
    no_target, several = report.group("no_target"), report.group("several")
    assert no_target is not None
    assert several is not None
    assert no_target.target_accuracy is None
    assert no_target.id_switches_per_minute is None
    assert several.no_target_accuracy is None
    assert several.same_id_after_occlusion is None
    assert report.group("motion") is None


def test_empty_model_is_right_only_where_nothing_is() -> None:
    """The clip without a target, and the two frames in which the green box is hidden."""
    report = _report(ScriptedPredictor(DATA, empty))
    assert [clip.j for clip in report.clips] == pytest.approx([0, 0, 1, 2 / 6])
    assert report.overall.j_and_f == pytest.approx((1 + 2 / 6) / 4)
    assert report.overall.presence_frames == pytest.approx((1 + 2 / 6) / 4)
    assert report.overall.presence_clips == 1 / 4
    assert (report.overall.no_target_accuracy, report.overall.target_accuracy) == (1, 0)


def test_shifted_model_scores_what_overlaps() -> None:
    """A box of 16 columns moved by 4 shares 12 of 20."""
    report = _report(ScriptedPredictor(DATA, shifted))
    assert report.clips[0].j == pytest.approx(12 / 20)
    assert report.clips[0].f < 1
    assert report.clips[3].j == pytest.approx((4 * 12 / 20 + 2) / 6)


def test_late_model_loses_in_streaming_score_only() -> None:
    """One frame late: sJ&F(0) compares with the mask before, sJ&F(-1) forgives it."""
    report = _report(ScriptedPredictor(DATA, latency_s=0.1), EvaluationConfig(etas=(0.0, -1.0)))
    assert report.overall.j_and_f == 1
    at_once, forgiving = report.overall.streaming
    assert (at_once.eta, forgiving.eta) == (0, -1)
    assert forgiving.j_and_f == 1
    assert report.clips[0].streaming[0].j == pytest.approx(5 / 6)  # the still box: only the first frame is missed
    assert at_once.j_and_f < 1


def test_dropped_frames_count_in_streaming_score_only() -> None:
    """Every second frame goes through the model, and each of them is right."""
    report = _report(ScriptedPredictor(DATA, latency_s=0.0, stride=2))
    assert [clip.frames_processed for clip in report.clips] == [3, 3, 3, 3]
    overall = report.overall
    assert (overall.j_and_f, overall.presence_frames, overall.id_switches_per_minute) == (1, 1, 0)
    assert overall.same_id_after_occlusion == 1
    assert report.clips[0].streaming[0].j == pytest.approx(5 / 6)
    assert report.clips[1].streaming[0].j < 5 / 6  # the moving box has moved on


def test_control_shuffle_fools_a_model_that_listens() -> None:
    """Sentences of other videos name nothing that is there; the same ones every time."""
    first, second = ScriptedPredictor(DATA), ScriptedPredictor(DATA)
    config = EvaluationConfig(control="shuffle")
    report = _report(first, config)
    assert report == _report(second, config)
    assert sorted(first.asked) == sorted(sentence.text for video in DATA.videos for sentence in video.sentences)
    assert all(clip.asked != clip.sentence for clip in report.clips)
    assert report.overall.j_and_f < 1


def test_control_object_asks_once_per_video() -> None:
    """All sentences are the same word, so one run serves them all."""
    predictor = ScriptedPredictor(DATA)
    report = _report(predictor, EvaluationConfig(control="object"))
    assert predictor.asked == ["object", "object"]
    assert [clip.sentence for clip in report.clips] == [
        "the red one",
        "red and blue",
        "the yellow one",
        "the green one",
    ]
    assert report.overall.no_target_accuracy == 1


def test_limit_takes_the_first_sentences() -> None:
    """The video beyond them is not even read."""
    data = BoxData()
    clips = list(score_clips(ScriptedPredictor(data), data, EvaluationConfig(limit=2)))
    assert [clip.result.expression_id for clip in clips] == ["0", "1"]
    assert data.frames_read == ["a"]


def test_summary_of_a_part_is_not_complete() -> None:
    """As after Ctrl-C."""
    settings = RunSettings.of("causal", EvaluationConfig(), model="scripted", data=DATA.name, fps=DATA.fps)
    results = [scored.result for scored in score_clips(ScriptedPredictor(DATA), DATA)]
    assert not summarise(settings, results[:3], num_planned=4).complete
    with pytest.raises(ConfigError, match="no sentence"):
        summarise(settings, [])


def test_report_survives_json() -> None:
    """Every field comes back, also infinity as a half-life."""
    config = EvaluationConfig(session=SessionConfig(half_life_frames=float("inf")), etas=(0.0, 1.0))
    report = _report(ScriptedPredictor(DATA, latency_s=0.05), config)
    assert report_from_json(report_to_json(report)) == report
    assert report.settings.half_life_frames is None
    with pytest.raises(ConfigError, match="not an evaluation report"):
        report_from_json(b'{"kind": "evaluation", "version": 2}')


@pytest.mark.parametrize("mode", ["offline", "windowed", "causal", "realtime"])
def test_network_that_sees_colours_scores_nearly_one(mode: str) -> None:
    """Real predictors, from frames to figures; at 0 ms a frame also in streaming scores."""
    data = BoxData()
    data.videos = [data.videos[0]]  # nothing comes and goes, which the offline forward of this network cannot tell
    config = EvaluationConfig(session=SessionConfig(window=4), model_ms=0.0, prompts_per_session=2)
    report = evaluate(ColourModel(), data, mode, config)  # type: ignore[arg-type]  # parametrised
    assert report.overall.j_and_f > 0.97  # corners are rounded
    assert report.overall.presence_frames == 1
    assert report.overall.id_switches_per_minute == (None if mode == "windowed" else 0)
    assert [clip.expression_id for clip in report.clips] == ["0", "1", "2"]
    assert [one.j_and_f for one in report.overall.streaming] == [report.overall.j_and_f] * (mode == "realtime")


def test_causal_network_follows_what_is_hidden() -> None:
    """The green box leaves for two frames; the session says so, and knows it again."""
    report = evaluate(ColourModel(), BoxData(), "causal", EvaluationConfig(session=SessionConfig(window=4)))
    assert report.overall.j_and_f > 0.97
    assert report.overall.presence_frames == 1
    assert report.overall.same_id_after_occlusion == 1


@pytest.mark.parametrize(
    "wrong",
    [{"control": "swap"}, {"limit": 0}, {"etas": ()}, {"etas": (float("nan"),)}, {"model_ms": -1.0}],
    ids=["control", "limit", "no_etas", "nan", "model_ms"],
)
def test_wrong_configuration_is_refused(wrong: dict[str, object]) -> None:
    """On construction."""
    with pytest.raises(ConfigError):
        EvaluationConfig(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_unknown_mode_is_refused() -> None:
    """Before anything runs."""
    with pytest.raises(ConfigError, match="offline, windowed"):
        evaluate(ColourModel(), DATA, "online")  # type: ignore[arg-type]  # wrong on purpose


def test_masks_of_another_size_are_refused() -> None:
    """A predictor that resizes is told so."""
    with pytest.raises(ShapeError, match="same shape"):
        _report(ScriptedPredictor(DATA, lambda targets: targets[:, :, :16]))
