"""What `make setup` decides and says, without installing anything."""

import sys
from pathlib import Path

import pytest

from tools import bootstrap

NETWORK_LOG = """2026-01-02T03:04:05,678 Looking in indexes: http://127.0.0.1:9/simple
2026-01-02T03:04:06,678 WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)'
2026-01-02T03:04:07,678 ERROR: Cannot install pip because these package versions have conflicting dependencies.
2026-01-02T03:04:08,678 ERROR: ResolutionImpossible: for help visit the documentation
2026-01-02T03:04:09,678 Exception information:
"""


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """An environment that looks finished for the digest "abc"."""
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch(mode=0o755)
    bootstrap.stamp_path(tmp_path / ".venv").write_text("abc\n")
    return tmp_path / ".venv"


def test_is_complete_finished_for_same_digest(venv: Path) -> None:
    """Only a stamp of the wanted digest counts, and only with an interpreter."""
    assert bootstrap.is_complete(venv, "abc")
    assert not bootstrap.is_complete(venv, "def")
    bootstrap.venv_python(venv).unlink()
    assert not bootstrap.is_complete(venv, "abc")


def test_is_complete_without_stamp_is_false(venv: Path) -> None:
    """An interrupted run leaves no stamp."""
    bootstrap.stamp_path(venv).unlink()
    assert not bootstrap.is_complete(venv, "abc")


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_digest_changes_with_the_requirements(tmp_path: Path, name: str) -> None:
    """Either file counts."""
    for file in ("pyproject.toml", "constraints.txt"):
        (tmp_path / file).write_text("one")
    before = bootstrap.digest(tmp_path)
    assert bootstrap.digest(tmp_path) == before
    (tmp_path / name).write_text("two")
    assert bootstrap.digest(tmp_path) != before


def test_digest_changes_with_the_place(tmp_path: Path) -> None:
    """A moved environment has wrong paths inside."""
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        (folder / "pyproject.toml").touch()
        (folder / "constraints.txt").touch()
    assert bootstrap.digest(tmp_path / "a") != bootstrap.digest(tmp_path / "b")


def test_check_interpreter_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message tells what was found, what is needed and how to name another."""
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    with pytest.raises(bootstrap.SetupError, match=r"(?s)Python 3\.9\.2 .*3\.11 or newer.*PYTHON="):
        bootstrap.check_interpreter()


def test_check_interpreter_without_ensurepip_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian splits Python; the message names the package that is missing."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "ensurepip" else name)
    with pytest.raises(bootstrap.SetupError, match=r"(?s)without its module ensurepip.*-venv"):
        bootstrap.check_interpreter()


def test_check_room_too_little_is_refused(tmp_path: Path) -> None:
    """Nothing is installed onto a disk that will run full."""
    with pytest.raises(bootstrap.SetupError, match=r"(?s)GiB free.*MIN_FREE_GIB=0"):
        bootstrap.check_room(tmp_path / "not" / "yet", 1e9, keeps_packages=False)


def test_check_room_zero_switches_the_check_off(tmp_path: Path) -> None:
    """The override lets everything through."""
    bootstrap.check_room(tmp_path, 0.0, keeps_packages=False)


def test_holds_sound_packages_broken_interpreter_is_false(venv: Path) -> None:
    """An environment whose python does not run is made anew."""
    assert not bootstrap.holds_sound_packages(venv)


def test_holds_sound_packages_elsewhere_is_false(tmp_path: Path) -> None:
    """A python whose pip lies outside of the environment is not the environment's."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    assert not bootstrap.holds_sound_packages(tmp_path)


def test_explain_pip_failure_no_network_says_what_was_tried() -> None:
    """A refused connection is not passed on as the conflict that pip makes of it."""
    text = bootstrap.explain_pip_failure("pip", NETWORK_LOG)
    assert "could not be reached" in text
    assert "Looking in indexes: http://127.0.0.1:9/simple" in text
    assert "ERROR: ResolutionImpossible" in text
    assert "2026-01-02" not in text


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk ran full"),
        ("ERROR: No matching distribution found for torch==99", "No place that pip looks in"),
        ("ERROR: something else", "in its own words"),
        ("", "in its own words"),
    ],
    ids=["disk", "version", "unknown", "silent"],
)
def test_explain_pip_failure_gives_the_reason(line: str, reason: str) -> None:
    """One reason each, with pip's line."""
    text = bootstrap.explain_pip_failure("the packages", line)
    assert reason in text
    assert line in text


def test_main_check_of_missing_environment_does_nothing(tmp_path: Path) -> None:
    """`--check` only tells."""
    assert bootstrap.main(["--check", "--venv", str(tmp_path / "none")]) == 1
    assert list(tmp_path.iterdir()) == []


def test_main_too_little_room_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status is 2, the message is one, and nothing was made."""
    assert bootstrap.main(["--venv", str(tmp_path / "none"), "--min-free-gib", "1e9"]) == 2
    assert capsys.readouterr().err.count("setup: error:") == 1
    assert list(tmp_path.iterdir()) == []
