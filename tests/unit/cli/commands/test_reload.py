"""`ssa-stream reload` with an answer from memory."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import ssa_stream.client
from ssa_stream.cli.main import app
from ssa_stream.client import ReloadedWeights

RUNNER = CliRunner()
FINGERPRINT = "a09bf6104d820b5af88372568eb0534199ec94fbb0782e95ebc9c0e06e1c6340"


@pytest.mark.parametrize(
    ("nodes", "words"),
    [(("encoder-0", "masks-0"), "started again: encoder-0, masks-0"), ((), "all nodes had them already")],
)
def test_reload_says_what_was_done(monkeypatch: pytest.MonkeyPatch, nodes: tuple[str, ...], words: str) -> None:
    """Address, keys and time are those of the command line."""
    asked: list[tuple[Any, ...]] = []

    def answer(address: str, *, timeout_s: float, keys: Path | None) -> ReloadedWeights:
        asked.append((address, timeout_s, keys))
        return ReloadedWeights(FINGERPRINT, nodes)

    monkeypatch.setattr(ssa_stream.client, "reload_weights", answer)
    options = ["reload", "--address", "tcp://host:1", "--timeout", "7", "--keys", "robot"]
    shown = RUNNER.invoke(app, options)
    assert (shown.exit_code, shown.stdout) == (0, f"weights a09bf6104d82; {words}\n")
    plain = RUNNER.invoke(app, [*options, "--json"])
    assert json.loads(plain.stdout) == {"weights": FINGERPRINT, "nodes": list(nodes)}
    assert asked == [("tcp://host:1", 7.0, Path("robot"))] * 2
