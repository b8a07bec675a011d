"""The links that the type checkers read."""

from pathlib import Path

from tools.link_typings import MAPPED_FOLDERS, link


def test_link_shows_one_package(tmp_path: Path) -> None:
    """Every entry of the library and every mapped folder is there, by a relative link; a second run tidies up."""
    (tmp_path / "ssa_stream" / "model").mkdir(parents=True)
    (tmp_path / "ssa_stream" / "__pycache__").mkdir()
    (tmp_path / "ssa_stream" / "errors.py").touch()
    for name in MAPPED_FOLDERS:
        (tmp_path / name).mkdir()
    link(tmp_path)
    (tmp_path / "typings" / "ssa_stream" / "stale.py").touch()
    link(tmp_path)
    links = list((tmp_path / "typings" / "ssa_stream").iterdir())
    assert {entry.name for entry in links} == {"model", "errors.py", *MAPPED_FOLDERS}
    assert all(entry.is_symlink() and not entry.readlink().is_absolute() and entry.exists() for entry in links)
