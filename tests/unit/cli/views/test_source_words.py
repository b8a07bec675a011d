"""Sources of a graph in words."""

from typing import Any

import pytest

from ssa_stream.cli.views.source_words import SourceNews, source_text, source_words
from tests.support.scripted_nodes import source_state

REFUSED = {"text": "connection refused", "code": "refused"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": "running", "address": "camera"}, "running"),
        ({"status": "starting", "attempt": 1}, "starting"),
        (
            {"status": "lost", "attempt": 3, "retry_in_s": 3.2, **REFUSED},
            "reconnecting, attempt 3, next in 4 s: connection refused (refused)",
        ),
        ({"status": "lost", "attempt": 4, **REFUSED}, "reconnecting, attempt 4: connection refused (refused)"),
        ({"status": "lost", "text": "unplugged", "code": "lost"}, "reconnecting: unplugged (lost)"),
        (
            {"status": "starting", "attempt": 1, "retry_in_s": 0.4, **REFUSED},
            "connecting, attempt 1, next in 1 s: connection refused (refused)",
        ),
        (
            {"status": "stalled", "text": "no frame for 2 s", "code": "stalled"},
            "stalled: no frame for 2 s (stalled)",
        ),
        ({"status": "failed", "text": "no such file", "code": "not_found"}, "failed: no such file (not_found)"),
        ({"status": "dreaming"}, "dreaming"),
    ],
    ids=["running", "starting", "waiting", "trying", "just lost", "never there", "stalled", "failed", "later version"],
)
def test_words_tell_state_attempt_wait_and_reason(fields: dict[str, Any], expected: str) -> None:
    """As far as they are known."""
    assert str(source_words(source_state(**fields))) == expected


def test_text_of_a_running_source_has_its_address_and_of_others_the_problem() -> None:
    """One line has no room for both."""
    assert source_text(source_state(address="[camera]")).plain == "running [camera]"
    lost = source_text(source_state(status="lost", address="camera", **REFUSED))
    assert lost.plain == "reconnecting: connection refused (refused)"


def test_text_of_a_running_source_says_that_its_pictures_come_late() -> None:
    """Only then: that they come at once is what people expect."""
    late = source_text(source_state(address="camera", complete_at="next_picture"))
    assert late.plain == "running camera, a picture is complete when the next one begins"
    assert source_text(source_state(address="camera", complete_at="marker")).plain == "running camera"


def test_news_are_told_once() -> None:
    """Not that time passes, nor that another attempt has begun; that it is over, too."""
    news = SourceNews()
    states: list[dict[str, Any]] = [
        {},
        {"frames": 7},
        {"status": "lost", "attempt": 0, "retry_in_s": 0.5, "text": "it ended", "code": "lost"},
        {"status": "lost", "attempt": 0, "retry_in_s": 0.2, "text": "it ended", "code": "lost"},
        {"status": "lost", "attempt": 1, "text": "it ended", "code": "lost"},
        {"status": "lost", "attempt": 1, "retry_in_s": 1.0, **REFUSED},
        {"status": "lost", "attempt": 2, **REFUSED},
        {"status": "running"},
    ]
    assert [news.line(source_state(**fields)) for fields in states] == [
        None,
        None,
        "cam0  reconnecting, next in 1 s: it ended (lost)",
        None,
        None,
        "cam0  reconnecting, attempt 1, next in 1 s: connection refused (refused)",
        None,
        "cam0  running",
    ]
