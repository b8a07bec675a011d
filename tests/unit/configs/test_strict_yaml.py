"""YAML from anywhere: plain values are read, anything else is a YAMLError before it takes memory."""

import tracemalloc
from pathlib import Path

import pytest
import yaml

from ssa_stream.configs import config_names, load_config, strict_yaml
from ssa_stream.configs.strict_yaml import parse_yaml
from ssa_stream.errors import ConfigError
from tests.support.command_line import ROOT


def _bomb(first: str, row: str, rows: int = 12) -> str:
    """Rows that each hold the one before them nine times."""
    return f"a0: &a0 {first}\n" + "".join(
        f"a{i + 1}: &a{i + 1} {row % ', '.join([f'*a{i}'] * 9)}\n" for i in range(rows)
    )


def test_shipped_files_mean_what_they_meant() -> None:
    """Anchors, aliases and merge keys of honest files are read as PyYAML reads them."""
    files = sorted((ROOT / "configs").glob("*/*.yaml"))
    assert any("<<:" in file.read_text() for file in files)
    for file in files:
        assert parse_yaml(file.read_text()) == yaml.safe_load(file.read_text())


def test_merged_key_may_be_given_anew() -> None:
    """That is what merging is for; a key that is written twice is a slip."""
    assert parse_yaml("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}") == {"x": {"a": 1, "b": 2}, "y": {"a": 1, "b": 3}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (_bomb("[lol, lol]", "[%s]"), "aliases expanded"),
        (_bomb("{lol: 1}", "{<<: [%s]}"), "aliases expanded"),
        ("a0: &a0 [1]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}]\n" for i in range(2000)), "aliases expanded"),
        ("&a [*a]", "contains itself"),
        ("a: &a {b: *a}", "contains itself"),
        ("[" * 10**3, "levels"),
        ("- " * 10**3, "levels"),
        ("{a: 1, a: 2}", "'a' comes twice"),
        ("a: {b: 1, 'b': 2}", "'b' comes twice"),
        ("? [1]\n: 2", "expected plain text"),
        ("streams:\n  no: {source: 0}", "the key 'no' is of YAML's type bool and no text; quote it"),
        ("{1: a}", "the key '1' is of YAML's type int"),
        ("{~: a}", "the key '~' is of YAML's type null"),
        ("2026-01-01: a", "the key '2026-01-01' is of YAML's type timestamp"),
        ("!!python/object/apply:os.system [x]", "tag"),
        ("a: 2026-02-30", "not what it looks like"),
        ("a: !!int x", "not what it looks like"),
        ("a: !!bool x", "not what it looks like"),
        ("a: " + "1" * 5000, "not what it looks like"),
        ('a: "\\ud800"', "surrogate"),
        ("a: 1\n---\nb: 1", "single document"),
        ("a: \x1b[2J", "unacceptable character"),
    ],
    ids=[
        "laughs", "merged_laughs", "chain", "itself", "mapping_itself", "flow", "block", "twice", "quoted_twice",
        "list_as_key", "bool_as_key", "int_as_key", "null_as_key", "date_as_key",
        "python", "date", "int", "bool", "digits", "surrogate", "documents", "control",
    ],
)  # fmt: skip
def test_hostile_text_is_refused(text: str, told: str) -> None:
    """With one kind of error that says where, and no memory beyond that of its own size."""
    tracemalloc.start()
    try:
        with pytest.raises(yaml.YAMLError, match=told):
            parse_yaml(text)
        assert tracemalloc.get_traced_memory()[1] < 200 * 2**20
    finally:
        tracemalloc.stop()


def test_number_of_values_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any alias, too: reading stops there."""
    monkeypatch.setattr(strict_yaml, "_MAX_VALUES", 100)
    assert parse_yaml("- a\n" * 99) == ["a"] * 99
    with pytest.raises(yaml.YAMLError, match="100 values"):
        parse_yaml("- a\n" * 100)


@pytest.mark.parametrize("kind", ["pipeline", "model", "train"])
def test_every_kind_of_configuration_is_read_strictly(tmp_path: Path, kind: str) -> None:
    """One reader for all of them."""
    path = tmp_path / "bomb.yaml"
    path.write_text(_bomb("[lol]", "[%s]"))
    with pytest.raises(ConfigError, match=r"bomb\.yaml is not valid YAML: line 6, column 5: .*aliases expanded"):
        load_config(kind, path)


@pytest.mark.parametrize("name", ["../model/ssa-tiny", "no\0name", "\ud800", "x/\0", "/" + "x" * 5000])
def test_name_that_is_none_is_told(name: str) -> None:
    """Whatever it is, and with the names that there are."""
    with pytest.raises(ConfigError, match=config_names("pipeline")[0]):
        load_config("pipeline", name)
