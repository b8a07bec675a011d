"""`ssa-stream predict` in this process: what it says comes next."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ssa_stream.cli.main import app
from tests.support.data_sets import ROOTS

pytestmark = pytest.mark.usefixtures("one_thread")

_YTVOS = f"ref-youtube-vos:{ROOTS['ref-youtube-vos']}"
HINTS = {
    "server": ("mevis", "valid", (), ("for the server: out/mevis_valid.zip", "send the zip to the server")),
    "no zip": ("mevis", "valid", ("--no-zip",), ("pack a zip for the server by --resume --zip",)),
    "truth": (
        "ref-youtube-vos",
        "valid",
        (),
        ("send the zip to the server; or,", f"score --data {_YTVOS} --split valid --predictions out --truth FOLDER"),
    ),
    "public": ("mevis", "valid_u", ("--zip",), ("packed: out/mevis_valid_u.zip", "score it with: ssa-stream score")),
}


@pytest.mark.parametrize(("kind", "split", "options", "expected"), HINTS.values(), ids=HINTS)
def test_last_words_fit_the_split(
    kind: str,
    split: str,
    options: tuple[str, ...],
    expected: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`score` is named where it can score, and the server where there is one."""
    monkeypatch.chdir(tmp_path)
    command = ["predict", "--data", f"{kind}:{ROOTS[kind]}", "--split", split, "--random-weights", "--limit", "1"]
    network = ["--device", "cpu", "--threads", "1", "--short-edge", "32", "--workers", "0", "-o", "out"]
    done = CliRunner().invoke(app, [*command, *network, *options], catch_exceptions=False)
    assert done.exit_code == 0
    told = " ".join(done.stderr.split())
    for words in expected:
        assert words in told
    assert ("send the zip" in told) == ("send the zip" in "".join(expected))
    assert ("score it with" in told) == (kind == "ref-youtube-vos" or split == "valid_u")
    assert ("for the server:" in told) == (split == "valid" and not options)
