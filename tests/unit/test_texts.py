"""Text that UTF-8 cannot hold is found, and written with escapes; values in errors stay short."""

import os

import pytest

from ssa_stream.texts import brief, encodable, encodable_values, unencodable

FILE_NAME = os.fsdecode(b"caf\xe9.mp4")


def test_good_text_stays_as_it_is() -> None:
    """Pairs of surrogates are one character in Python, and fine."""
    assert encodable("Zoë 😀 \\ud800") == "Zoë 😀 \\ud800"
    assert unencodable({"a": ["Zoë", 1, None, ("😀",)]}) is None


def test_file_name_of_other_bytes_gets_escapes() -> None:
    """Wherever it is within plain values."""
    assert encodable(FILE_NAME) == "caf\\udce9.mp4"
    assert encodable_values({FILE_NAME: [FILE_NAME, 1.5, None]}) == {"caf\\udce9.mp4": ["caf\\udce9.mp4", 1.5, None]}


@pytest.mark.parametrize("value", ["\ud800", ["a", "\ud800"], {"\ud800": 1}, {"a": ({"b": "\ud800"},)}], ids=repr)
def test_text_that_cannot_be_encoded_is_found(value: object) -> None:
    """In keys, values and lists."""
    assert unencodable(value) == "\ud800"


def test_deep_values_are_searched_without_recursion() -> None:
    """As deep as any parser takes them."""
    deep: object = "\ud800"
    for _ in range(100_000):
        deep = [deep]
    assert unencodable(deep) == "\ud800"
    assert len(brief(deep)) < 100


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, list(range(10**5)), {"a" * 10**5: 1}, 10**5000, "\ud800" * 1000],
    ids=["text", "list", "mapping", "digits", "surrogates"],
)
def test_shown_values_are_short_and_can_be_printed(value: object) -> None:
    """Whatever it is that was wrong."""
    assert len(brief(value).encode()) < 200
