"""What is installed is what lies in the repository."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import ssa_stream
from tests.support.checkout import ROOT, project_files
from tools.import_picture import MAPPED_FOLDERS, TOP_PACKAGE, module_name, source_files

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _package_folders() -> set[Path]:
    return {path.relative_to(ROOT).parent for path in source_files(ROOT)}


def test_packages_every_folder_is_listed() -> None:
    """The wheel silently lacks a package that pyproject.toml does not list."""
    folders = {module_name(folder / "__init__.py") for folder in _package_folders()}
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(folders)


def test_packages_every_folder_has_init() -> None:
    """A folder without __init__.py is no package to setuptools."""
    assert [str(folder) for folder in _package_folders() if not (ROOT / folder / "__init__.py").is_file()] == []


def test_package_dir_maps_the_top_level_folders() -> None:
    """The import names of the mapped folders, and no others, are renamed."""
    mapped = {TOP_PACKAGE: TOP_PACKAGE} | {f"{TOP_PACKAGE}.{name}": name for name in MAPPED_FOLDERS}
    assert PROJECT["tool"]["setuptools"]["package-dir"] == mapped


def test_version_is_told_once() -> None:
    """The package, the metadata and the newest heading of the changelog agree."""
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "ssa_stream.__version__"}
    assert headings[0] == ssa_stream.__version__


def _name(requirement: str) -> str:
    return re.split(r"[\s\[<>=!~;@]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def test_base_dependencies_have_no_engine() -> None:
    """A subscriber installs neither torch nor a codec."""
    base = {_name(requirement) for requirement in PROJECT["project"]["dependencies"]}
    engine = {_name(requirement) for requirement in PROJECT["project"]["optional-dependencies"]["engine"]}
    assert not base & engine
    assert not base & {"torch", "torchvision", "timm", "open-clip-torch", "lightning", "av", "opencv-python-headless"}


def test_constraints_pin_everything_that_setup_asks_for() -> None:
    """`make setup` leaves no version to chance."""
    pins = {
        _name(line)
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if re.match(r"[\w.-]+==", line)
    }
    extras = PROJECT["project"]["optional-dependencies"]
    asked = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]
    asked += [*extras["engine"], *extras["webrtc"], *extras["view"]]
    assert {_name(requirement) for requirement in asked} - pins == {_name(TOP_PACKAGE)} & set(map(_name, asked))


def test_type_checker_sees_every_folder_with_python() -> None:
    """A new top-level folder is type-checked from its first file on."""
    folders = {path.parts[0] for path in project_files() if path.suffix == ".py" and len(path.parts) > 1}
    assert folders <= set(PROJECT["tool"]["mypy"]["files"])


def test_no_text_installs_from_an_index_that_lacks_the_package() -> None:
    """Until it is on one, what a reader copies would fail, or install somebody else's package."""
    asked = re.compile(r"pip3? install[^\n]*?[\s\"']ssa[-_]stream\b(?![-./])")
    texts = [path for path in project_files() if path.suffix in {".md", ".py", ".sh", ".toml", ".yaml", ""}]
    assert len(texts) > 400
    found = [str(path) for path in texts if asked.search((ROOT / path).read_text(encoding="utf-8"))]
    assert [path for path in found if path != "tests/contract/test_packaging.py"] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """A wheel built from the files of the checkout, outside of it."""
    folder = tmp_path_factory.mktemp("wheel")
    for path in project_files():
        copy = folder / "source" / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / path).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    answer = subprocess.run(
        [*command, "--wheel-dir", str(folder), str(folder / "source")],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (built,) = folder.glob("*.whl")
    return zipfile.Path(built)


def _installed_names(files: list[Path]) -> set[str]:
    """Where files of the repository lie in the wheel."""
    return {
        str(path if path.parts[0] == TOP_PACKAGE else TOP_PACKAGE / path)
        for path in files
        if path.parts[0] in (TOP_PACKAGE, *MAPPED_FOLDERS)
    }


def _is_data(path: Path) -> bool:
    """Whether it is a file of the browser's page or of a shipped checkpoint, or holds published figures."""
    folders = (Path("nodes/gateway/page"), Path("ssa_stream/checkpoints/weights"))
    return path.parent in folders or path == Path("ssa_stream/evaluation/tables/published.json")


def test_wheel_holds_every_module_and_yaml(wheel: zipfile.Path) -> None:
    """Nothing of the package stays behind, and nothing else comes along."""
    held = {name for name in wheel.root.namelist() if ".dist-info/" not in name and not name.endswith("/")}
    wanted = _installed_names([path for path in project_files() if path.suffix in (".py", ".yaml") or _is_data(path)])
    assert held == wanted | {f"{TOP_PACKAGE}/py.typed"}


def test_wheel_metadata_tells_the_truth(wheel: zipfile.Path) -> None:
    """Version, licence text and the command are in it."""
    info = wheel / f"{TOP_PACKAGE}-{ssa_stream.__version__}.dist-info"
    metadata = (info / "METADATA").read_text(encoding="utf-8")
    assert f"\nVersion: {ssa_stream.__version__}\n" in metadata
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "Apache License" in (info / "licenses" / "LICENSE").read_text(encoding="utf-8")
    assert "ssa-stream = ssa_stream.cli.entry:entry" in (info / "entry_points.txt").read_text(encoding="utf-8")
