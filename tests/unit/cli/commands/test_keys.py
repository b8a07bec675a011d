"""`ssa-stream keys`: what is made, and what people are told to do with it."""

from pathlib import Path

from typer.testing import CliRunner

from ssa_stream.cli.main import app
from ssa_stream.keys import ServerKeys

RUNNER = CliRunner()


def test_init_makes_keys_and_tells_how_to_use_them(tmp_path: Path) -> None:
    """For the graph and for each client."""
    result = RUNNER.invoke(app, ["keys", "init", str(tmp_path / "k"), "--client", "robot", "--client", "desk"])
    assert result.exit_code == 0
    assert f"--keys {tmp_path / 'k'} --publish tcp://*:5555" in result.output
    assert f"copy the folder {tmp_path / 'k/clients/robot'}" in result.output
    assert sorted(ServerKeys.load(tmp_path / "k").allowed().values()) == ["desk", "robot"]


def test_secrets_are_not_printed(tmp_path: Path) -> None:
    """A terminal's history is no place for them."""
    result = RUNNER.invoke(app, ["keys", "init", str(tmp_path / "k")])
    assert ServerKeys.load(tmp_path / "k").secret.decode() not in result.output


def test_second_init_is_refused(tmp_path: Path) -> None:
    """With another exit code than 0."""
    RUNNER.invoke(app, ["keys", "init", str(tmp_path / "k")])
    assert RUNNER.invoke(app, ["keys", "init", str(tmp_path / "k")]).exit_code != 0


def test_added_client_is_listed(tmp_path: Path) -> None:
    """With its public key."""
    RUNNER.invoke(app, ["keys", "init", str(tmp_path)])
    assert RUNNER.invoke(app, ["keys", "add", str(tmp_path), "late"]).exit_code == 0
    lines = RUNNER.invoke(app, ["keys", "list", str(tmp_path)]).output.splitlines()
    allowed = ServerKeys.load(tmp_path).allowed()
    assert sorted(line.split() for line in lines) == sorted([name, key.decode()] for key, name in allowed.items())
