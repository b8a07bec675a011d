"""Reading configurations by name or path."""

from pathlib import Path

import pytest

from ssa_stream.configs import config_names, load_config
from ssa_stream.errors import ConfigError


def test_config_names_lists_what_is_shipped() -> None:
    """The three sizes are there; a kind that nothing is shipped of has no names."""
    assert {"ssa-base", "ssa-large", "ssa-tiny"} <= set(config_names("model"))
    assert config_names("no_such_kind") == []


def test_load_config_by_name_and_by_path_is_the_same(tmp_path: Path) -> None:
    """A copy of a shipped file reads as the shipped one, given as string or path."""
    shipped = load_config("model", "ssa-tiny")
    copy = tmp_path / "mine.yaml"
    copy.write_text("name: mine\nhidden_dim: 64\n")
    assert shipped["name"] == "ssa-tiny"
    assert load_config("model", str(copy)) == load_config("model", copy) == {"name": "mine", "hidden_dim": 64}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a: [1, 2", "not valid YAML"),
        ("- 1\n- 2\n", "holds a list"),
        ("", "holds a NoneType"),
        (b"\xff\xfe\x00", "read"),
    ],
    ids=["broken", "list", "empty", "binary"],
)
def test_load_config_of_other_content_is_refused(tmp_path: Path, content: str | bytes, told: str) -> None:
    """The message names the file and what it holds."""
    path = tmp_path / "x.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=told) as caught:
        load_config("model", path)
    assert "x.yaml" in str(caught.value)


def test_load_config_unknown_name_lists_the_known_ones() -> None:
    """A typing error is one look away from its correction."""
    with pytest.raises(ConfigError, match=r"ssa-huge.*ssa-base, ssa-large, ssa-tiny"):
        load_config("model", "ssa-huge")


def test_load_config_runs_no_code(tmp_path: Path) -> None:
    """YAML tags that would build objects are refused."""
    path = tmp_path / "x.yaml"
    path.write_text("name: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config("model", path)
