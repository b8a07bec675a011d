"""Plans: which text is asked about which video."""

import pytest

from ssa_stream.errors import ConfigError
from ssa_stream.evaluation import Sentence, VideoEntry, VideoPlan, plan_questions


def _videos(*counts: int) -> list[VideoEntry]:
    return [
        VideoEntry(f"v{i}", tuple(Sentence(str(k), f"v{i} sentence {k}") for k in range(count)))
        for i, count in enumerate(counts)
    ]


def _asked(plans: list[VideoPlan]) -> list[str]:
    return [question.asked for plan in plans for question in plan.questions]


def test_plain_plan_asks_the_sentences_themselves() -> None:
    """A video without sentences is left out."""
    plans = plan_questions(_videos(2, 0, 1))
    assert [plan.video for plan in plans] == ["v0", "v2"]
    assert _asked(plans) == ["v0 sentence 0", "v0 sentence 1", "v2 sentence 0"]


@pytest.mark.parametrize("counts", [(1, 1), (3, 3), (2, 1, 3), (5, 2, 3, 1, 4)], ids=str)
def test_shuffle_gives_every_sentence_to_another_video(counts: tuple[int, ...]) -> None:
    """Each text is used once, none in its own video, and always in the same way."""
    plans = plan_questions(_videos(*counts), "shuffle")
    assert sorted(_asked(plans)) == sorted(_asked(plan_questions(_videos(*counts))))
    assert all(not question.asked.startswith(plan.video) for plan in plans for question in plan.questions)
    assert plans == plan_questions(_videos(*counts), "shuffle")


def test_shuffle_within_one_video_moves_every_sentence() -> None:
    """There is no other video."""
    plans = plan_questions(_videos(3), "shuffle")
    assert all(question.asked != question.sentence.text for question in plans[0].questions)


def test_limit_comes_before_the_shuffle() -> None:
    """Texts beyond the limit are not used."""
    assert sorted(_asked(plan_questions(_videos(2, 5), "shuffle", limit=3))) == [
        "v0 sentence 0",
        "v0 sentence 1",
        "v1 sentence 0",
    ]


def test_plan_of_nothing_is_refused() -> None:
    """No sentence at all, or one to shuffle."""
    with pytest.raises(ConfigError, match="no sentence"):
        plan_questions(_videos(0, 0))
    with pytest.raises(ConfigError, match="single sentence"):
        plan_questions(_videos(1), "shuffle")
