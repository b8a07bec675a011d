"""`ssa-stream engine` and `--engine`: what is wrong is told before a network is loaded; what is kept is listed."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ssa_stream.cli.main import app
from ssa_stream.engines.cache import CACHE_VARIABLE, EngineCache
from ssa_stream.engines.program import Program
from ssa_stream.errors import ConfigError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["run", "synthetic", "-p", "a dog", "--engine", "fast"],
            r"--engine is 'fast'; expected one of auto, torch, op",
        ),
        (["engine", "build", "--size", "big"], r"--size is 'big'; expected the width and the height"),
        (["engine", "build", "--size", "64x64", "--engine", "fast"], r"--engine is 'fast'; expected one of auto"),
    ],
)
def test_wrong_arguments_are_told_at_once(arguments: list[str], message: str) -> None:
    """With what was expected."""
    error = CliRunner().invoke(app, arguments).exception
    assert isinstance(error, ConfigError)
    assert re.search(message, str(error))


def test_kept_stages_are_listed_and_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder that the variable names."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    EngineCache().keep("0" * 24, "stem", (128, 224), "ssa-tiny", (Program((), (), ()), {}))
    assert re.search(r"^ssa-tiny +stem-224x128 +0\.0 MiB", CliRunner().invoke(app, ["engine", "list"]).stdout)
    cleared = CliRunner().invoke(app, ["engine", "clear"])
    assert "engines from" in cleared.stdout
    assert list(tmp_path.iterdir()) == []
