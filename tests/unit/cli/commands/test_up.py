"""`ssa-stream up` tells what it can do."""

from typer.testing import CliRunner

from ssa_stream.cli.main import app


def test_help_of_up_teaches() -> None:
    """The help shows commands to copy, and where prompts and masks are."""
    text = CliRunner().invoke(app, ["up", "--help"], env={"COLUMNS": "200"}).output
    for words in ("ssa-stream up demo", "ssa-stream watch", "ssa-stream prompt set", "--placement", "fused|processes"):
        assert words in text
