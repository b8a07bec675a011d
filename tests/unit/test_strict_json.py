"""JSON from anywhere: good text is read, anything else is a ValueError that says why."""

import pytest

from ssa_stream.strict_json import parse_json


@pytest.mark.parametrize("content", ['{"a": [1, "\\ud83d\\ude00"]}', b'\xef\xbb\xbf{"a": [1, "\xf0\x9f\x98\x80"]}'])
def test_good_text_is_read(content: bytes | str) -> None:
    """Pairs of surrogates are text; so is what begins with a byte order mark."""
    assert parse_json(content) == {"a": [1, "😀"]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[" * 10**5, "too deep"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "'c' comes twice"),
        ("[NaN]", "NaN"),
        ("[-Infinity]", "-Infinity"),
        ('["\\ud83d"]', "surrogate"),
        ('{"\\uDC00": 1}', "surrogate"),
        ("1" * 5000, "digits"),
        (b"\xff\xfe{\0}\0", "utf-8"),
        ("", "Expecting value"),
        ('{"a": 1} x', "Extra data"),
    ],
    ids=["deep", "twice", "nan", "infinity", "half", "half_key", "digits", "utf16", "empty", "more"],
)
def test_hostile_text_is_refused(content: bytes | str, told: str) -> None:
    """Each with one kind of error."""
    with pytest.raises(ValueError, match=told) as caught:
        parse_json(content)
    assert "sys." not in str(caught.value)  # advice of Python's, for programmers
