"""One request until its answer, without a socket."""

from collections.abc import Callable

import pytest

from ssa_stream.client import exchange
from ssa_stream.client.exchange import Exchange, Request, StreamPrompts, stream_prompts
from ssa_stream.errors import ConfigError, TransportError
from ssa_stream.protocols import (
    AddPrompt,
    AppliesFrom,
    ErrorReply,
    Limits,
    ListPrompts,
    NewPrompt,
    Prompt,
    PromptReply,
    SetPrompts,
    decode,
    encode,
)

LIST = ListPrompts(request_id="r0", stream="cam0")
ADD = AddPrompt(request_id="", stream="cam0", prompt=NewPrompt(text="the dog"))
SET = SetPrompts(request_id="", stream="cam0", prompts=(NewPrompt(text="the dog"),))
PROMPTS = (Prompt(id="p1", text="the dog", version=4),)
HERE = AppliesFrom(epoch=0, seq=9)


class _Time:
    """A clock that goes on when it is told to."""

    now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Time:
    """In place of the exchange's."""
    made = _Time()
    monkeypatch.setattr(exchange, "time", made)
    return made


def _id(parts: list[bytes | memoryview]) -> str:
    request_id: str = getattr(decode(parts, Limits()).message, "request_id")  # noqa: B009  every request has one
    return request_id


def _reply(request_id: str) -> list[bytes | memoryview]:
    return encode(PromptReply(request_id=request_id, stream="cam0", prompts=PROMPTS, version=4, applies_from=HERE))


def _refusal(code: str, request_id: str | None) -> list[bytes | memoryview]:
    return encode(ErrorReply(code=code, text="because", request_id=request_id))


def test_answer_to_an_attempt_is_taken(clock: _Time) -> None:
    """Also to an earlier one, that took long."""
    asked = Exchange(LIST, "tcp://broker", 10.0, stream_prompts)
    assert asked.is_due
    first = _id(asked.attempt())
    asked.sent(True)
    assert not asked.is_due
    clock.now_s += exchange.ATTEMPT_S
    assert asked.is_due
    assert _id(asked.attempt()) != first
    assert asked.take(_reply(first)) == StreamPrompts("cam0", PROMPTS, 4, HERE)


@pytest.mark.parametrize(
    "parts",
    [_reply("other"), _refusal("invalid", "other"), [b"", b"\xff"], [b"x"], encode(LIST)],
    ids=["reply", "refusal", "garbage", "one part", "no answer"],
)
def test_what_is_no_answer_is_passed_over(parts: list[bytes | memoryview]) -> None:
    """Answers to earlier calls, and anything else."""
    asked = Exchange(LIST, "tcp://broker", 10.0, stream_prompts)
    asked.attempt()
    assert asked.take(parts) is None


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("invalid", ConfigError),
        ("unknown_stream", ConfigError),
        ("too_many", ConfigError),
        ("version", ConfigError),
        ("something_new", ConfigError),
        ("internal", TransportError),
        ("unavailable", TransportError),
        ("busy", TransportError),
    ],
)
def test_refusal_is_raised_with_its_text(code: str, error: type[Exception]) -> None:
    """As what it is: a wrong request, or a graph that cannot."""
    asked = Exchange(ADD, "tcp://broker", 10.0, stream_prompts)
    with pytest.raises(error, match="because"):
        asked.take(_refusal(code, _id(asked.attempt())))


def test_refusal_without_id_is_of_this_request() -> None:
    """It could not be read, by an older graph perhaps."""
    asked = Exchange(LIST, "tcp://broker", 10.0, stream_prompts)
    asked.attempt()
    with pytest.raises(ConfigError, match="because"):
        asked.take(_refusal("invalid", None))


@pytest.mark.parametrize("code", ["busy", "unavailable"])
def test_listing_is_tried_again_when_the_graph_is_not_ready(clock: _Time, code: str) -> None:
    """After a pause, until the time is over."""
    asked = Exchange(LIST, "tcp://broker", 1.0, stream_prompts)
    assert asked.take(_refusal(code, _id(asked.attempt()))) is None
    assert not asked.is_due
    assert asked.wait_s() == pytest.approx(exchange.RETRY_PAUSE_S)
    clock.now_s += 0.9
    assert asked.is_due
    with pytest.raises(TransportError, match="because"):
        asked.take(_refusal(code, _id(asked.attempt())))


@pytest.mark.parametrize(
    ("request_", "was_sent", "text"),
    [
        (LIST, True, r"^no answer from tcp://broker within 2 s$"),
        (SET, True, r"no answer from .*whether it was carried out is not known: list the prompts"),
        (ADD, True, r"whether it was carried out is not known"),
        (ADD, False, r"nobody takes requests at tcp://broker within 2 s; start a graph"),
    ],
    ids=["list", "set", "add", "unsent"],
)
def test_no_answer_in_time_says_what_is_known(clock: _Time, request_: Request, was_sent: bool, text: str) -> None:
    """Adding may have happened; what was not sent did not."""
    asked = Exchange(request_, "tcp://broker", 2.0, stream_prompts)
    asked.attempt()
    asked.sent(was_sent)
    assert asked.wait_s() > 0
    clock.now_s += 2.0
    with pytest.raises(TransportError, match=text):
        asked.wait_s()


@pytest.mark.parametrize(("request_", "times"), [(LIST, 5), (ADD, 1)], ids=["list", "add"])
def test_only_what_may_be_repeated_is_sent_again(clock: _Time, request_: Request, times: int) -> None:
    """Adding twice would add two."""
    asked = Exchange(request_, "tcp://broker", 10.0, stream_prompts)
    assert _attempts(asked, clock) == times


def _attempts(asked: Exchange[StreamPrompts], clock: _Time) -> int:
    count = 0
    step: Callable[[], float] = asked.wait_s
    try:
        while True:
            wait_s = step()
            if asked.is_due:
                asked.attempt()
                asked.sent(True)
                count += 1
            else:
                clock.now_s += wait_s
    except TransportError:
        return count


def test_request_that_cannot_be_sent_says_why() -> None:
    """Before anything is sent."""
    asked = Exchange(SetPrompts(request_id="", stream="c/m", prompts=()), "tcp://broker", 1.0, stream_prompts)
    with pytest.raises(ConfigError, match="cannot be sent"):
        asked.attempt()
