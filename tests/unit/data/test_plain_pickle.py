"""Pickles are read as plain data; everything else in them is refused by name, and nothing of it runs."""

import copyreg
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest

from ssa_stream.data import plain_pickle
from ssa_stream.data.plain_pickle import read_plain_pickle
from ssa_stream.errors import ConfigError
from tests.support.data_sets import ROOTS

PLAIN = [{"a": [1, -5, 70_000, 2**70, 2.5, None, True]}, ("x", "é", ""), {}, []]


class _Runs:
    """Unpickles by calling a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


class _Point:
    """A class of its own."""


def _written(folder: Path, content: bytes) -> Path:
    path = folder / "refs(unc).p"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_of_every_protocol_are_read_as_they_are(tmp_path: Path, protocol: int) -> None:
    """Containers, texts, numbers, None and booleans."""
    path = _written(tmp_path, pickle.dumps(PLAIN, protocol))
    assert read_plain_pickle(path, most_bytes=10_000) == PLAIN


@pytest.mark.parametrize("name", ["refcoco/refs(unc).p", "refcocog/refs(umd).p", "refcoco/refs(google).p"])
def test_public_refs_are_read_as_the_standard_library_reads_them(name: str) -> None:
    """Those of Python 2, protocol 0, and those of protocol 2."""
    path = ROOTS["refcoco"] / "coco" / name
    assert read_plain_pickle(path, most_bytes=10**6) == pickle.loads(path.read_bytes())  # of the repository


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"S'caf\\xc3\\xa9'\n.", "café"),
        (b"S'caf\\xe9'\n.", "café"),
        (b"U\x04caf\xe9.", "café"),
        (b"Vcaf\\u00e9\n.", "café"),
    ],
    ids=["utf-8", "latin-1", "short-latin-1", "unicode"],
)
def test_byte_strings_of_python_2_become_texts(tmp_path: Path, content: bytes, text: str) -> None:
    """UTF-8 where it is that, else Latin-1."""
    assert read_plain_pickle(_written(tmp_path, content), most_bytes=100) == text


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("value", "asked"),
    [
        (_Runs(os.system, "touch ran"), "posix.system"),
        (_Runs(eval, "open('ran', 'w')"), "eval"),
        (_Runs(copyreg._reconstructor, dict, object, None), "copyreg._reconstructor"),  # type: ignore[attr-defined]  # private there
        (_Point(), "_Point|_reconstructor"),
        ({1, 2}, "set|EMPTY_SET"),
        (b"bytes", "_codecs.encode|BINBYTES"),
    ],
    ids=["system", "eval", "copyreg", "class", "set", "bytes"],
)
def test_what_is_no_plain_data_is_refused_by_name_and_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any, asked: str, protocol: int
) -> None:
    """Whatever the protocol spells it as."""
    monkeypatch.chdir(tmp_path)
    path = _written(tmp_path, pickle.dumps([{"split": value}], protocol, fix_imports=False))
    with pytest.raises(ConfigError, match=rf"refs\(unc\)\.p is refused as a pickle: .*({asked}).*own archive"):
        read_plain_pickle(path, most_bytes=10_000)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"(S'touch ran'\nios\nsystem\n.", "os.system"),
        (b"Pkey\n.", "another program, 'key'"),
        (b"N\x51.", "another program, None"),
        (b"\x82\x01.", "EXT1"),
        (b"N(tR.", "REDUCE"),
        (b"\xff.", "0xff"),
        (pickle.dumps(PLAIN, 2)[:-9], "cut off"),
        (pickle.dumps(PLAIN, 0)[:-9], "cut off"),
        (pickle.dumps(PLAIN, 4)[:-9], "cut off"),
        (b"", "cut off"),
        (b"]a.", "broken"),
        (b"h\x07.", "broken"),
        (b"\x8d" + struct.pack("<Q", 2**60) + b"abc.", "cut off"),
        (b'{"refs": []}', "instruction|broken"),
    ],
    ids=("inst persid binpersid extension reduce unknown cut-2 cut-0 cut-4 empty stack memo text json".split()),
)
def test_broken_pickles_are_told_with_the_file_and_the_problem(tmp_path: Path, content: bytes, problem: str) -> None:
    """One error for all, whatever breaks inside."""
    with pytest.raises(ConfigError, match=rf"refs\(unc\)\.p is refused as a pickle: .*({problem})"):
        read_plain_pickle(_written(tmp_path, content), most_bytes=10_000)


def test_an_instruction_that_reserves_memory_for_a_huge_memo_costs_none(tmp_path: Path) -> None:
    """Five bytes would make the unpickler in C ask for 64 GB."""
    path = _written(tmp_path, b"Nr" + struct.pack("<I", 2**32 - 1) + b".")
    assert read_plain_pickle(path, most_bytes=100) is None


def test_size_and_number_of_containers_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before they take memory."""
    path = _written(tmp_path, pickle.dumps([[], [], []], 2))
    with pytest.raises(ConfigError, match="more than 10 bytes"):
        read_plain_pickle(path, most_bytes=10)
    monkeypatch.setattr(plain_pickle, "_MOST_CONTAINERS", 3)
    with pytest.raises(ConfigError, match="more than 3 lists and dictionaries"):
        read_plain_pickle(path, most_bytes=100)


def test_a_missing_file_is_told_apart(tmp_path: Path) -> None:
    """Callers look for several files."""
    with pytest.raises(FileNotFoundError):
        read_plain_pickle(tmp_path / "none.p", most_bytes=10)
