"""What is said at the end of a run about what was found, and what was not."""

import pytest

from ssa_stream.cli.views.model_words import ModelWords
from ssa_stream.found_frames import PromptFrames
from ssa_stream.knowledge import Knowledge

SHAPES = Knowledge("ssa-tiny", "drawn shapes", frozenset({"circle"}), ("the red circle",))
RED, GREEN, BLUE = (
    PromptFrames(f"p{number}", f"the {colour} circle", 5, found)
    for number, (colour, found) in enumerate([("red", 5), ("green", 0), ("blue", 0)])
)


def _said(words: ModelWords, streams: dict[str, list[PromptFrames]], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What follows the counts."""
    words.found(streams)
    return [line for line in capsys.readouterr().err.splitlines() if ": target found in" not in line]


def test_sentences_that_were_not_found_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """That nothing was found is said only where it is so."""
    words = ModelWords(SHAPES, is_synthetic=True)
    advice = SHAPES.advice(is_synthetic=True)
    assert _said(words, {"": [RED, GREEN]}, capsys) == [f'"the green circle" was not found: {advice}']
    both = f'"the green circle", "the blue circle" were not found: {advice}'
    assert _said(words, {"": [RED, GREEN, BLUE]}, capsys) == [both]
    assert _said(words, {"": [GREEN, BLUE]}, capsys) == [f"nothing found: {advice}"]
    assert _said(words, {"": [RED]}, capsys) == []
    assert _said(words, {"a": [RED], "b": [GREEN]}, capsys) == [f'b "the green circle" was not found: {advice}']


def test_what_was_found_beyond_the_domain_is_in_doubt(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a checkpoint of drawn shapes that saw something else; not where nothing was found, or nothing is known."""
    doubt = "ssa-tiny knows drawn shapes only: what it found here may be something else"
    assert _said(ModelWords(SHAPES, is_synthetic=False), {"": [RED]}, capsys) == [doubt]
    assert _said(ModelWords(SHAPES, is_synthetic=False), {"": [RED, GREEN]}, capsys)[-1] == doubt
    assert doubt not in _said(ModelWords(SHAPES, is_synthetic=False), {"": [GREEN]}, capsys)
    assert _said(ModelWords(Knowledge("mine"), is_synthetic=False), {"": [RED]}, capsys) == []
