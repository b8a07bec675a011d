"""The command that installs what lacks, for every way in which this package can have been installed."""

import json
import shlex
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

import pytest

from ssa_stream import extras

Install = Callable[[object], None]
_ROOT = Path(__file__).parents[2]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
_EXTRAS = _PROJECT["optional-dependencies"]


class Installed(Distribution):
    """An installation that came from somewhere."""

    def __init__(self, origin: object) -> None:
        self._origin = origin

    def read_text(self, filename: str) -> str | None:
        """The file that says where from."""
        if filename != "direct_url.json" or self._origin is None:
            return None
        return self._origin if isinstance(self._origin, str) else json.dumps(self._origin)

    def locate_file(self, path: object) -> Path:
        """Not asked for."""
        raise AssertionError(path)

    @property
    def requires(self) -> list[str]:
        """As setuptools writes them."""
        wanted = [*_PROJECT["dependencies"]]
        return wanted + [f'{one}; extra == "{name}"' for name, ones in _EXTRAS.items() for one in ones]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Let the installation be one that came from somewhere."""

    def install(origin: object) -> None:
        monkeypatch.setattr(extras, "distribution", lambda name: Installed(origin))

    return install


def _pip(command: str) -> list[str]:
    """What follows `pip install` in a command that a shell would run."""
    words = shlex.split(command)
    assert words[:4] == [sys.executable, "-m", "pip", "install"]
    return words[4:]


def test_install_command_of_a_clone_names_its_folder(installed: Install, tmp_path: Path) -> None:
    """With a blank in its name, too; editable if it was."""
    clone = tmp_path / "my clone"
    clone.mkdir()
    installed({"url": clone.as_uri(), "dir_info": {"editable": True}})
    assert _pip(extras.install_command("engine")) == ["-e", f"{clone}[engine]"]
    installed({"url": clone.as_uri(), "dir_info": {}})
    assert _pip(extras.install_command("webrtc")) == [f"{clone}[webrtc]"]
    assert _pip(extras.install_command()) == [str(clone)]


def test_install_command_in_the_environment_of_a_clone_is_make_setup(
    installed: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It installs everything, with the project's constraints."""
    (tmp_path / "Makefile").write_text("setup:\n")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    installed({"url": tmp_path.as_uri(), "dir_info": {"editable": True}})
    assert shlex.split(extras.install_command("view")) == ["make", "-C", str(tmp_path), "setup"]


def test_install_command_of_a_wheel_names_its_file(installed: Install, tmp_path: Path) -> None:
    """As long as it is there."""
    wheel = tmp_path / "ssa_stream-0.1.0-py3-none-any.whl"
    wheel.touch()
    installed({"url": wheel.as_uri(), "archive_info": {}})
    assert _pip(extras.install_command("engine")) == [f"{wheel}[engine]"]
    wheel.unlink()
    assert _pip(extras.install_command("engine")) == _EXTRAS["engine"]


def test_install_command_of_an_address_names_it(installed: Install) -> None:
    """A repository at the commit that is installed."""
    installed({"url": "https://host.example/a.git", "vcs_info": {"vcs": "git", "commit_id": "0123"}})
    assert _pip(extras.install_command("train")) == ["ssa_stream[train] @ git+https://host.example/a.git@0123"]
    installed({"url": "https://host.example/a.whl", "archive_info": {}})
    assert _pip(extras.install_command()) == ["ssa_stream @ https://host.example/a.whl"]


@pytest.mark.parametrize("origin", [None, "no json", "[]", {}], ids=["none", "broken", "list", "empty"])
def test_install_command_of_unknown_origin_names_the_packages(installed: Install, origin: object) -> None:
    """Those of extras within an extra, too; each of them is on an index."""
    installed(origin)
    assert _pip(extras.install_command("engine")) == _EXTRAS["engine"]
    assert _pip(extras.install_command("webrtc")) == [*_EXTRAS["engine"], *_EXTRAS["webrtc"][1:]]
    assert _pip(extras.install_command()) == _PROJECT["dependencies"]


def test_install_command_without_an_installation_installs_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is imported from its source."""

    def missing(name: str) -> Distribution:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(extras, "distribution", missing)
    monkeypatch.setattr(sys, "prefix", "/elsewhere")
    assert _pip(extras.install_command("engine")) == ["-e", f"{_ROOT}[engine]"]


def test_extra_of_a_module_is_one_that_the_project_has() -> None:
    """By the first part of the module's name."""
    assert extras.extra_of("torch.nn") == "engine"
    assert extras.extra_of("json") is None
    assert {extras.extra_of(name) for name in extras._EXTRAS} <= set(_EXTRAS)
