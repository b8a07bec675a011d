"""The one command of all figures of speed: its parts are commands that take what it gives them."""

import argparse
import importlib
import sys
from subprocess import CompletedProcess

import pytest

from benchmarks import speed


class _UnderstoodError(Exception):
    """All arguments were."""


@pytest.mark.parametrize("name", speed.PARTS)
@pytest.mark.parametrize("arguments", [["--cpu-time"], ["--cpu-time", "--quick"]], ids=["full", "quick"])
def test_part_takes_its_arguments(name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command reads them; what it measures is stopped before it begins."""
    asked: list[list[str]] = []

    def note(command: list[str], **_: object) -> CompletedProcess[str]:
        asked.append(command)
        return CompletedProcess(command, 0)

    monkeypatch.setattr("benchmarks.speed.subprocess.run", note)
    assert speed.main(["--parts", name, *arguments]) == 0
    ((_, _, module, *given),) = asked
    monkeypatch.setattr(sys, "argv", [module, *given])
    read = argparse.ArgumentParser.parse_args

    def read_only(parser: argparse.ArgumentParser, *_: object) -> None:
        read(parser)
        raise _UnderstoodError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", read_only)
    with pytest.raises(_UnderstoodError):
        importlib.import_module(module).main()


def test_failed_part_is_named_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The exit status counts them."""
    parts = {"broken": speed.Part("nosuch", "nothing"), "whole": speed.Part("speed", "itself", ("--help",))}
    monkeypatch.setattr(speed, "PARTS", parts)
    assert speed.main(["--parts", "broken", "whole"]) == 1
    told = capfd.readouterr()
    assert "broken failed with exit status 1" in told.out
    assert "python -m benchmarks.speed --help" in told.out
    assert "1 of 2 parts failed: broken" in told.err
