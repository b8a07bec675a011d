"""What a checkpoint knows: which words of a sentence it lacks, and where that is said."""

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from ssa_stream.data import DEMO_SENTENCES
from ssa_stream.errors import CheckpointError
from ssa_stream.knowledge import Knowledge, knowledge_of
from ssa_stream.weight_files import shipped_checkpoints

SHIPPED = shipped_checkpoints()["ssa-tiny"]


def _written(path: Path, knowledge: str | None) -> Path:
    """A weight file without tensors, whose metadata say `knowledge`."""
    said = {} if knowledge is None else {"knowledge": knowledge}
    header = json.dumps({"__metadata__": {"format": "ssa_stream", **said}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    return path


@pytest.mark.parametrize(
    ("sentence", "unknown"),
    [
        ("the big white rabbit", ("rabbit",)),
        ("The RED Circle!", ()),
        ("the circle's ring, (please)", ()),
        ("two boxes and the crosses", ()),
        ("the red-striped square", ()),
        ("the red-haired square", ("red-haired",)),
        ("the car, the Car and the cars.", ("car", "Car", "cars")),
        ("a plus sign on the left-hand side", ("sign", "left-hand", "side")),
        ("der rote Kreis für mich", ("der", "rote", "Kreis", "für", "mich")),
        ("红色的圆", ("红色的圆",)),
        ("लाल वृत्त", ("लाल", "वृत्त")),
        ("the 🐇 and 2 stars", ("🐇", "2")),
        ("... - '", ()),
    ],
)
def test_unknown_words_of_the_shipped_checkpoint(sentence: str, unknown: tuple[str, ...]) -> None:
    """Case and punctuation do not matter; plurals count as the generator has them; words nobody told it are unknown."""
    assert knowledge_of().unknown_words(sentence) == unknown


def test_shipped_checkpoint_knows_its_own_examples_and_those_of_the_demo() -> None:
    """No hint about what works."""
    known = knowledge_of()
    assert known.examples
    assert {known.hint(sentence) for sentence in (*known.examples, *DEMO_SENTENCES)} == {None}


def test_hint_is_of_bounded_length_and_names_checkpoint_and_domain() -> None:
    """Five words at most, each cut; a note of a message has at most 1,000 characters."""
    hint = knowledge_of().hint(" ".join(f"w{number}{'x' * 100}" for number in range(9)))
    assert hint is not None
    assert hint.startswith('ssa-tiny does not know "w0x')
    assert " and 4 more; it knows drawn shapes" in hint
    assert len(hint) < 400


def test_copy_of_the_shipped_file_is_known_and_another_file_is_not(tmp_path: Path) -> None:
    """By its content, whatever it is called; of another file of the same size nothing is assumed."""
    copy = tmp_path / "mine.safetensors"
    shutil.copyfile(SHIPPED, copy)
    assert knowledge_of(copy) == knowledge_of("ssa-tiny")
    with copy.open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    assert knowledge_of(copy) == Knowledge("mine.safetensors")
    assert knowledge_of(copy).hint("the big white rabbit") is None


def test_knowledge_in_metadata_is_read_and_what_makes_no_sense_is_none(tmp_path: Path) -> None:
    """Who loads such a file says what is wrong with it."""
    said = Knowledge("x", "kitchens", frozenset({"cup", "red"}), ("the red cup",))
    found = knowledge_of(_written(tmp_path / "cups.safetensors", said.to_json()))
    assert found == Knowledge("cups.safetensors", "kitchens", frozenset({"cup", "red"}), ("the red cup",))
    for number, text in enumerate(("{", "[]", '{"domain": 3}', '{"domain": "x", "words": [1], "examples": []}')):
        path = _written(tmp_path / f"{number}.safetensors", text)
        assert knowledge_of(path) == Knowledge(path.name)
        with pytest.raises(ValueError, match=r"."):
            Knowledge.parse("x", text)
    (tmp_path / "no.safetensors").write_bytes(b"nothing")
    assert knowledge_of(tmp_path / "no.safetensors").domain is None


def test_missing_checkpoint_is_an_error_and_random_weights_know_nothing(tmp_path: Path) -> None:
    """The one is told at once, the other has no file."""
    with pytest.raises(CheckpointError, match=r"nowhere.*shipped checkpoints are: ssa-tiny"):
        knowledge_of(tmp_path / "nowhere")
    random = knowledge_of(random_weights=True)
    assert random.hint("a rabbit") is None
    assert "mean nothing" in random.introduction(is_synthetic=False)


def test_introduction_says_the_domain_unless_pictures_are_of_it() -> None:
    """A checkpoint that does not say its domain is named only."""
    known = knowledge_of()
    assert "knows drawn shapes only" in known.introduction(is_synthetic=False)
    assert known.introduction(is_synthetic=True) == "checkpoint: ssa-tiny"
    assert Knowledge("ssa.safetensors").introduction(is_synthetic=False) == "checkpoint: ssa.safetensors"


def test_words_about_the_model_are_said_without_torch() -> None:
    """So that they stand there before it is imported, which takes seconds."""
    code = (
        "import sys; from ssa_stream.cli.views.model_words import ModelWords; from ssa_stream.knowledge import *; "
        "ModelWords(knowledge_of(), False).introduce(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
