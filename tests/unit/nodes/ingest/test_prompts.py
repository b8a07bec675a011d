"""Requests about prompts as pure functions, and planned changes."""

import pytest

from ssa_stream.errors import ConfigError
from ssa_stream.nodes.ingest.prompts import PlannedChanges, PromptRequest, changed_book, planned_book
from ssa_stream.nodes.pipeline import ScheduledPrompts
from ssa_stream.protocols import AddPrompt, ErrorReply, ListPrompts, NewPrompt, RemovePrompt, SetPrompts
from ssa_stream.streaming.prompts import PromptBook

BOOK = PromptBook().set(["a", "b"], max_prompts=8)


def _set(*prompts: NewPrompt) -> SetPrompts:
    return SetPrompts(request_id="r", stream="cam0", prompts=prompts)


@pytest.mark.parametrize(
    ("request_", "sentences"),
    [
        (_set(NewPrompt(text="b"), NewPrompt(text="c")), {"p2": "b", "p3": "c"}),
        (_set(NewPrompt(text="c", id="p1")), {"p1": "c"}),
        (_set(), {}),
        (AddPrompt(request_id="r", stream="cam0", prompt=NewPrompt(text="c")), {"p1": "a", "p2": "b", "p3": "c"}),
        (
            AddPrompt(request_id="r", stream="cam0", prompt=NewPrompt(text="c", id="cup")),
            {"p1": "a", "p2": "b", "cup": "c"},
        ),
        (RemovePrompt(request_id="r", stream="cam0", prompt_id="p1"), {"p2": "b"}),
    ],
    ids=["set", "set with id", "set to none", "add", "add with id", "remove"],
)
def test_change_of_prompts_gives_the_next_version(request_: PromptRequest, sentences: dict[str, str]) -> None:
    """What stays the same keeps its id."""
    book = changed_book(request_, BOOK, 8)
    assert isinstance(book, PromptBook)
    assert (book.sentences, book.version) == (sentences, 2)


@pytest.mark.parametrize(
    "request_",
    [
        ListPrompts(request_id="r", stream="cam0"),
        _set(NewPrompt(text="a"), NewPrompt(text="b")),
        AddPrompt(request_id="r", stream="cam0", prompt=NewPrompt(text="b", id="p2")),
    ],
    ids=["list", "set again", "add again with its id"],
)
def test_what_changes_nothing_leaves_the_version(request_: PromptRequest) -> None:
    """A repeated request is no change."""
    assert changed_book(request_, BOOK, 8) is BOOK


def test_other_order_is_a_change() -> None:
    """It is that in which prompts are shown."""
    book = changed_book(_set(NewPrompt(text="b"), NewPrompt(text="a")), BOOK, 8)
    assert isinstance(book, PromptBook)
    assert (list(book.sentences), book.version) == (["p2", "p1"], 2)


def test_list_is_answered_though_there_are_too_many() -> None:
    """The limit is for changes; a pipeline may have been started with another one."""
    assert changed_book(ListPrompts(request_id="r", stream="cam0"), BOOK, 1) is BOOK


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (RemovePrompt(request_id="r", stream="cam0", prompt_id="p7"), "unknown_prompt"),
        (_set(NewPrompt(text=" ")), "invalid"),
        (_set(NewPrompt(text="a", id="x"), NewPrompt(text="b", id="x")), "invalid"),
        (AddPrompt(request_id="r", stream="cam0", prompt=NewPrompt(text="c", id="no/slash")), "invalid"),
        (AddPrompt(request_id="r", stream="cam0", prompt=NewPrompt(text=" A")), "invalid"),
        (AddPrompt(request_id="r", stream="cam0", prompt=NewPrompt(text="c")), "too_many"),
    ],
    ids=["unknown", "blank", "twice", "id that fits no topic", "sentence that is there", "too many"],
)
def test_wrong_request_is_refused_with_a_code_and_a_text(request_: PromptRequest, code: str) -> None:
    """The answer names the request."""
    reply = changed_book(request_, BOOK, 2)
    assert isinstance(reply, ErrorReply)
    assert (reply.code, reply.request_id, bool(reply.text)) == (code, "r", True)


def test_planned_changes_come_once_in_order_of_time() -> None:
    """Those whose time has passed come together, before the first frame at or after it."""
    planned = PlannedChanges([ScheduledPrompts(at_s=at_s, prompts=(str(at_s),)) for at_s in (2.0, 0.5, 1.0)])
    assert planned.until(0.4) == []
    assert [change.at_s for change in planned.until(1.0)] == [0.5, 1.0]
    assert planned.until(1.0) == []
    assert len(planned) == 1
    planned.clear()
    assert planned.until(9.0) == []


def test_planned_prompts_beyond_the_limit_are_refused() -> None:
    """The node tells of it and goes on."""
    with pytest.raises(ConfigError, match="2 prompts"):
        planned_book(("c", "d"), BOOK, 1)
