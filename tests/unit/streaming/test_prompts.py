"""Prompts: setting, adding and removing, what is acknowledged, and what is refused."""

import itertools
import threading
from typing import Any

import numpy as np
import pytest

from ssa_stream.errors import ConfigError
from ssa_stream.streaming import MaskResult, Prompt, ReferSession, SessionConfig
from tests.unit.streaming.colour_model import ColourModel, draw
from tests.unit.streaming.comparing import saved

FRAME = draw(("red", (0, 0, 16, 16)), ("blue", (32, 16, 48, 32)))


def _session(*prompts: str, **settings: Any) -> ReferSession:
    return ReferSession(ColourModel(), SessionConfig(**settings), prompts)


def _ids(session: ReferSession) -> dict[str, str]:
    return {prompt.prompt_id: prompt.text for prompt in session.prompts}


def test_first_prompts_are_numbered() -> None:
    """In the order given, with the version that brought them; white space does not count."""
    session = _session("  the red   car\n", "a dog")
    assert session.prompts == (Prompt("p1", "the red car", 1), Prompt("p2", "a dog", 1))


def test_set_keeps_what_stays_the_same() -> None:
    """Ids and versions of known sentences, in the new order; new ones get new ids."""
    session = _session("red", "green")
    ack = session.set_prompts(["blue", "green"])
    assert ack.prompts == session.prompts == (Prompt("p3", "blue", 2), Prompt("p2", "green", 1))
    assert (ack.version, ack.applies_from) == (2, 0)
    assert session.set_prompts(["red"]).prompts == (Prompt("p4", "red", 3),)


def test_set_with_ids_takes_them() -> None:
    """Another sentence under an id is another prompt; the same one is not."""
    session = _session()
    session.set_prompts({"a": "red", "b": "green"})
    ack = session.set_prompts({"b": "green", "a": "blue"})
    assert ack.prompts == (Prompt("b", "green", 1), Prompt("a", "blue", 2))


def test_add_appends_or_changes_in_place() -> None:
    """The others keep id, version and place."""
    session = _session("red")
    assert session.add_prompt("green").prompts[-1] == Prompt("p2", "green", 2)
    assert session.add_prompt("blue", "mine").prompts[-1] == Prompt("mine", "blue", 3)
    ack = session.add_prompt("yellow", "p1")
    assert ack.prompts == (Prompt("p1", "yellow", 4), Prompt("p2", "green", 2), Prompt("mine", "blue", 3))


def test_add_of_a_known_prompt_changes_nothing_but_the_version() -> None:
    """Its memory and tracks stay."""
    session = _session("red")
    session.push(FRAME)
    before = session.state().decoder.windows[0], session.state().masks.tracks[0]
    assert session.add_prompt("red", "p1").version == 2
    after = session.state().decoder.windows[0], session.state().masks.tracks[0]
    assert all(one is other for one, other in zip(after, before, strict=True))


def test_remove_takes_only_that_one() -> None:
    """The last one may go, too: frames then give nothing, and are remembered for later prompts."""
    session = _session("red", "green")
    assert session.remove_prompt("p1").prompts == (Prompt("p2", "green", 1),)
    assert session.remove_prompt("p2").prompts == ()
    assert session.push(FRAME) == []
    session.add_prompt("red")
    (result,) = session.push(FRAME)
    assert (result.prompt_id, result.frame_index) == ("p3", 1)
    window = session.state().decoder.windows[0].window
    assert len(window.aligned) == 2


def test_sentence_given_twice_is_refused() -> None:
    """At the start, under another name, and as an addition; nothing has changed then."""
    with pytest.raises(ConfigError, match="is given twice"):
        _session("red", " Red ", "green")
    session = _session("red", "green")
    with pytest.raises(ConfigError, match="the sentence 'red' is prompt a already"):
        session.set_prompts({"a": "red", "b": "red"})
    for name in ("b", None):
        with pytest.raises(ConfigError, match="the sentence 'Red' is prompt p1 already"):
            session.add_prompt("Red", name)
    assert _ids(session) == {"p1": "red", "p2": "green"}
    assert session.add_prompt("Red", "p1").prompts[0].text == "Red"


def test_numbered_ids_avoid_those_that_were_ever_taken() -> None:
    """Whether the session or the user gave them."""
    session = _session("red")
    session.remove_prompt("p1")
    assert session.add_prompt("red").prompts[-1].prompt_id == "p2"
    session.set_prompts({"p7": "green"})
    session.set_prompts([])
    assert [prompt.prompt_id for prompt in session.set_prompts(["red", "blue"]).prompts] == ["p8", "p9"]


@pytest.mark.parametrize("name", ["p", "p-1", "p\uff11", "p" + "9" * 25, "p" + "9" * 5000, "0", "a/b", "für"])
def test_any_name_is_an_id(name: str) -> None:
    """Also one that looks like a number beyond all numbers; the state can still be saved."""
    session = _session()
    session.set_prompts({name: "red"})
    session.add_prompt("green")
    assert [prompt.prompt_id for prompt in session.prompts] == [name, "p1"]
    assert session.state().from_bytes(saved(session)).book.prompts[0].prompt_id == name


BAD: dict[str, Any] = {
    "bare_string": "the red car",
    "empty_sentence": ["red", ""],
    "white_sentence": [" \t\n"],
    "no_sentence": [None],
    "number": [3],
    "bytes": b"red",
    "empty_id": {"": "red"},
    "empty_named": {"a": ""},
    "too_many": ["one", "two", "three", "four"],
    "too_many_named": dict.fromkeys("abcd", "red"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_prompts_raise_and_change_nothing(kind: str) -> None:
    """In the constructor and later."""
    with pytest.raises(ConfigError):
        ReferSession(ColourModel(), SessionConfig(max_prompts=3), BAD[kind])
    session = _session("red", "green", max_prompts=3)
    before = session.state()
    with pytest.raises(ConfigError):
        session.set_prompts(BAD[kind])
    assert session.state() is before


def test_bad_changes_raise_and_change_nothing() -> None:
    """Adding one too many, nothing, or under an empty name; removing what is not there."""
    session = _session("red", "green", max_prompts=2)
    before = session.state()
    with pytest.raises(ConfigError, match=r"3 prompts.*max_prompts allows 2"):
        session.add_prompt("blue")
    with pytest.raises(ConfigError, match="expected a sentence"):
        session.add_prompt(" ", "p1")
    with pytest.raises(ConfigError, match="empty id"):
        session.add_prompt("blue", "")
    with pytest.raises(ConfigError, match=r"no prompt 'p9'.*p1, p2"):
        session.remove_prompt("p9")
    assert session.state() is before
    assert session.add_prompt("blue", "p2").prompts[1].text == "blue"  # replacing needs no room


def test_change_applies_from_the_next_frame() -> None:
    """And only from there."""
    session = _session("red")
    session.push(FRAME)
    ack = session.set_prompts({"p1": "blue"})
    assert ack.applies_from == session.next_index == 1
    (result,) = session.push(FRAME)
    assert (result.frame_index, result.prompt_version) == (1, ack.version)
    assert result.tracks[0].box_xyxy == (32, 16, 48, 32)


@pytest.mark.parametrize("lookahead", [0, 2])
def test_prompts_change_safely_from_another_thread(lookahead: int) -> None:
    """Every result belongs to a prompt and version that was acknowledged for its frame; no frame is lost."""
    session = _session("red", window=4, lookahead=lookahead, max_gap_s=1e9)
    acks = [session.set_prompts(["red"])]
    failures: list[BaseException] = []
    stop = threading.Event()

    def change() -> None:
        try:
            for k in itertools.count():
                if stop.is_set():
                    return
                colour = ("red", "green", "blue", "yellow")[k % 4]
                acks.append(session.set_prompts({"p1": f"{colour} {k}", "q": colour} if k % 3 else [f"{colour} {k}"]))
                if k % 5 == 0:
                    acks.append(session.remove_prompt(session.prompts[0].prompt_id))
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=change)
    thread.start()
    results: list[MaskResult] = []
    try:
        for t in range(150):
            results += session.push(FRAME, t / 10)
    finally:
        stop.set()
        thread.join()
    results += session.flush()
    assert failures == []
    assert len(acks) > 50  # the loop of pushes does not keep the changes waiting
    assert [ack.version for ack in acks] == list(range(2, len(acks) + 2))
    assert np.all(np.diff([ack.applies_from for ack in acks]) >= 0)
    in_force = {ack.applies_from: ack.prompts for ack in acks}  # the last one for each frame
    for index, group in itertools.groupby(results, key=lambda result: result.frame_index):
        prompts = in_force[max(first for first in in_force if first <= index)]
        found = [Prompt(result.prompt_id, result.prompt, result.prompt_version) for result in group]
        assert tuple(found) == prompts
    assert {result.frame_index for result in results} <= set(range(150))


def test_frames_pushed_from_two_threads_are_taken_one_by_one() -> None:
    """Each number is given once."""
    session = _session("red")
    seen: list[MaskResult] = []

    def push() -> None:
        for _ in range(40):
            seen.extend(session.push(FRAME))

    threads = [threading.Thread(target=push) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.frame_index for result in seen) == list(range(120))
