"""Topics, and subscriptions that bring no more than was asked for."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssa_stream.errors import MessageError
from ssa_stream.protocols import KINDS, NODES, Topic, is_subscription, is_wanted, subscription
from ssa_stream.protocols.topics import MAX_TOPIC_BYTES

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True)
TOPICS = st.builds(Topic, NAMES | st.just(NODES), st.sampled_from(KINDS), st.none() | NAMES)


@settings(max_examples=100, deadline=None, database=None)
@given(TOPICS)
def test_topic_is_read_as_it_was_written(topic: Topic) -> None:
    """As bytes and as text."""
    assert Topic.parse(topic.encode()) == Topic.parse(str(topic)) == topic
    assert len(topic.encode()) <= MAX_TOPIC_BYTES


@pytest.mark.parametrize(
    "text",
    [
        *("", "v1", "v1/cam0", "v1/cam0/", "v1//masks", "v1/cam0/masks/", "v1/cam0/masks/p1/", "v1/cam0/masks/p1/x"),
        *("/v1/cam0/masks", "cam0/masks", "v/cam0/masks", "v1/cam 0/masks", "v1/cam0/Masks", "v1/cam0/masks\n"),
        *(
            "v1/cam0/masks/p\0",
            "v1/kamera\u00e9/masks",
            "v1/.cam/masks",
            "v1/_other/masks",
            "v1/-cam/masks",
            "v1/*/masks",
        ),
        *("v1/" + "c" * 65 + "/masks", "v1/cam0/" + "m" * 17, "v1/cam0/masks/" + "p" * 65, "v1/../masks"),
    ],
)
def test_text_that_is_no_topic_is_refused(text: str) -> None:
    """Too many parts, too few, too long, other characters."""
    with pytest.raises(MessageError, match="is not one; expected v1/<stream>/<kind>"):
        Topic.parse(text.encode())


def test_topic_cannot_be_made_of_other_characters() -> None:
    """Not even by the sender."""
    for stream, kind, name in (
        ("a/b", "masks", None),
        ("cam0", "masks", ""),
        ("cam0", "", None),
        ("cam0", "masks", "#"),
    ):
        with pytest.raises(MessageError, match="is not one"):
            Topic(stream, kind, name)


def test_other_major_version_is_told_apart_from_nonsense() -> None:
    """It says who is too old."""
    with pytest.raises(MessageError, match="of protocol version 2; this side reads version 1: update"):
        Topic.parse(b"v2/cam0/masks/p1")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((), b"v1/"),
        (("cam1",), b"v1/cam1/"),
        (("cam1", "masks"), b"v1/cam1/masks"),
        (("cam1", "masks", "p1"), b"v1/cam1/masks/p1"),
        ((NODES, "state"), b"v1/_nodes/state"),
    ],
    ids=["all", "stream", "kind", "name", "nodes"],
)
def test_subscription_is_a_prefix(parts: tuple[str, ...], expected: bytes) -> None:
    """Ends in a slash where more must follow."""
    assert subscription(*parts) == expected


def test_subscription_to_a_stream_never_brings_another() -> None:
    """However alike their names are."""
    topic = Topic("cam10", "masks", "p1").encode()
    assert not topic.startswith(subscription("cam1"))
    assert not topic.startswith(subscription("cam1", "masks"))


def test_no_kind_begins_with_another() -> None:
    """So that subscribing to a kind brings that kind only."""
    assert [pair for pair in itertools.permutations(KINDS, 2) if pair[0].startswith(pair[1])] == []


@settings(max_examples=200, deadline=None, database=None)
@given(TOPICS, TOPICS, st.integers(0, 3))
def test_wanted_compares_part_by_part(topic: Topic, other: Topic, depth: int) -> None:
    """As if topics were lists of parts."""
    parts = [part for part in (other.stream, other.kind, other.name) if part is not None][:depth]
    asked = subscription(*parts)
    assert is_wanted(topic.encode(), asked) == (str(topic).split("/")[1 : 1 + len(parts)] == parts)
    if is_wanted(topic.encode(), asked):
        assert topic.encode().startswith(asked)


def test_wanted_refuses_what_a_prefix_lets_through() -> None:
    """Prompt p1 is not p10."""
    asked = subscription("cam0", "masks", "p1")
    assert Topic("cam0", "masks", "p10").encode().startswith(asked)
    assert not is_wanted(Topic("cam0", "masks", "p10").encode(), asked)
    assert is_wanted(Topic("cam0", "masks", "p1").encode(), asked)


@pytest.mark.parametrize(
    "parts", [(None, "masks", None), ("cam0", None, "p1"), ("cam/0", None, None), ("", None, None)], ids=str
)
def test_subscription_that_can_match_nothing_is_refused(parts: tuple[str | None, str | None, str | None]) -> None:
    """A typing error would wait for ever."""
    with pytest.raises(MessageError, match=re.compile("expected")):
        subscription(*parts)


@settings(max_examples=100, deadline=None, database=None)
@given(TOPICS, st.data())
def test_every_beginning_of_a_topic_is_a_subscription(topic: Topic, data: st.DataObject) -> None:
    """Also of one of another version; nothing else that could match."""
    name = topic.encode()
    assert is_subscription(name[: data.draw(st.integers(0, len(name)))])
    assert is_subscription(name.replace(b"v1/", b"v2/", 1))


@pytest.mark.parametrize(
    "prefix",
    [b"x", b"v1/cam0/masks/p1/", b"v1//", b"v1/_other", b"v1/cam0/Masks", b"v1/\xff", b"v1/cam0/masks/" + b"p" * 65],
)
def test_what_no_topic_begins_with_is_no_subscription(prefix: bytes) -> None:
    """It could bring nothing."""
    assert not is_subscription(prefix)
