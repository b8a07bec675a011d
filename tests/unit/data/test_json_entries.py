"""The index of a JSON object: entries are what a JSON parser finds, wherever the pieces end, and nothing else is."""

import json
import os
import pickle
import random
from pathlib import Path
from typing import Any

import pytest

from ssa_stream.data import json_entries
from ssa_stream.data.json_entries import JsonEntries
from ssa_stream.errors import ConfigError


def _open(path: Path) -> JsonEntries:
    return JsonEntries(path, most_bytes=10**6, expected="a folder")


def _text(rng: random.Random) -> str:
    return "".join(rng.choice('ab"\\[]{},:\u00e9\n0') for _ in range(rng.randint(0, 8)))


def _value(rng: random.Random, depth: int) -> Any:
    kind = rng.random() if depth else 0.0
    if kind < 0.4:
        return rng.choice([None, True, 1, -2.5, _text(rng)])
    if kind < 0.7:
        return [_value(rng, depth - 1) for _ in range(rng.randint(0, 4))]
    return {_text(rng): _value(rng, depth - 1) for _ in range(rng.randint(0, 4))}


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 50])
def test_random_objects_read_as_a_parser_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece_bytes: int
) -> None:
    """Strings hold quotes, backslashes and brackets; pieces end anywhere."""
    monkeypatch.setattr(json_entries, "_PIECE_BYTES", piece_bytes)
    rng = random.Random(piece_bytes)
    path = tmp_path / "entries.json"
    for number in range(30):
        content = {_text(rng): _value(rng, 4) for _ in range(rng.randint(0, 6))}
        path.write_text(json.dumps(content, ensure_ascii=number % 2 == 0, indent=number % 3 or None))
        entries = _open(path)
        for key, value in content.items():
            if isinstance(value, list):
                assert entries.entry(key) == value
            else:
                with pytest.raises(ConfigError, match="expected list"):
                    entries.entry(key)


def test_broken_text_is_refused_and_no_wrong_entry_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte is replaced: what opens still, and is given, is what a parser finds."""
    monkeypatch.setattr(json_entries, "_PIECE_BYTES", 5)
    rng = random.Random(7)
    path = tmp_path / "entries.json"
    refused = right = 0
    for _ in range(200):
        text = bytearray(json.dumps({_text(rng): _value(rng, 2) for _ in range(3)}).encode())
        text[rng.randrange(len(text))] = rng.choice(b'"\\[]{},:0 ')
        path.write_bytes(text)
        try:
            true = json.loads(text)
        except ValueError:
            true = {}
        for key, value in true.items():
            try:
                found = _open(path).entry(key)
            except ConfigError:
                refused += 1
            else:
                assert found == value, text
                right += 1
    assert min(refused, right) > 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": [1], "a": [2]}', "'a' comes twice"),
        ('{"a": [1', "cannot be read as JSON"),
        ('{"a": [1]}}', "cannot be read as JSON"),
        ('[["a"]]', "top level is list; expected an object"),
        ("[" * 10**5, "cannot be read as JSON"),
        ('{"' + "x" * 200 + '": [1]}', "more than 100 bytes beside"),
        ("{" + ", ".join(f'"{n}": []' for n in range(30)) + "}", "more than 100 bytes beside"),
        ('{"a": [1' + "0" * 2000 + "]}", "more than 1,000 bytes"),
        ("", "cannot be read as JSON"),
    ],
)
def test_text_that_is_no_such_object_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    """With the name of the file."""
    monkeypatch.setattr(json_entries, "_MOST_OUTLINE_BYTES", 100)
    path = tmp_path / "entries.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"entries\.json.*{message}"):
        JsonEntries(path, most_bytes=1000 if len(text) < 10**5 else 10**6, expected="a folder")


def test_unbalanced_entry_is_refused_when_asked_for(tmp_path: Path) -> None:
    """Its neighbours are read."""
    path = tmp_path / "entries.json"
    path.write_text('{"a": [1}, "b": [2]}')
    entries = _open(path)
    assert entries.entry("b") == [2]
    with pytest.raises(ConfigError, match=r"entries\.json cannot be read as JSON"):
        entries.entry("a")


def test_index_goes_to_another_process_and_notices_a_changed_file(tmp_path: Path) -> None:
    """The index is as small as its keys."""
    path = tmp_path / "entries.json"
    path.write_text(json.dumps({"1": ["x" * 100_000], "2": [3]}))
    sent = pickle.dumps(_open(path))
    assert len(sent) < 2000
    entries = pickle.loads(sent)  # what the test made
    assert entries.entry("2") == [3]
    os.utime(path, ns=(0, 0))
    with pytest.raises(ConfigError, match="was changed"):
        entries.entry("2")
