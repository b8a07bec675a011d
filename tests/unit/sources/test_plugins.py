"""A separately installed distribution adds a source and a sink; a broken one harms nobody else."""

import shutil
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from ssa_stream.errors import SinkError, SourceError
from ssa_stream.sinks import known_sinks, open_sink
from ssa_stream.sources import known_schemes, open_source

SAMPLE = Path(__file__).parents[2] / "support" / "sample_plugin"
MODULE = "ssa_stream_sample_plugin"


def _install(site: Path, name: str, version: str, entry_points: Mapping[str, Mapping[str, str]]) -> None:
    """Write what an installer leaves behind, from which Python knows a distribution."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    sections = [
        f"[{group}]\n" + "".join(f"{scheme} = {target}\n" for scheme, target in entries.items())
        for group, entries in entry_points.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(sections))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that Python imports from."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    return tmp_path


@pytest.fixture
def sample(site: Path) -> Path:
    """The sample plug-in, installed from its own pyproject."""
    project = tomllib.loads((SAMPLE / "pyproject.toml").read_text())["project"]
    shutil.copy(SAMPLE / f"{MODULE}.py", site)
    _install(site, project["name"], project["version"], project["entry-points"])
    return site


@pytest.mark.usefixtures("sample")
def test_installed_plugin_opens_through_the_registries(tmp_path: Path) -> None:
    """Source and sink, with the options handed through."""
    with open_source("testcard:5", live=True) as source, open_sink(f"count:{tmp_path}/n.txt", fps=12.5) as sink:
        assert source.info.live
        for frame in source.frames():
            sink.write(frame, [])
    assert (tmp_path / "n.txt").read_text() == "5 frames at 12.5 fps\n"


@pytest.mark.usefixtures("sample")
def test_installed_plugin_is_listed_without_being_loaded() -> None:
    """Looking at what there is imports nothing."""
    assert "testcard" in known_schemes()
    assert "count:" in known_sinks()
    assert MODULE not in sys.modules


@pytest.mark.usefixtures("sample")
def test_error_of_a_plugin_about_its_address_passes_through() -> None:
    """A plug-in speaks for itself when it raises one of our errors."""
    with pytest.raises(SourceError, match="give the number of frames"):
        open_source("testcard:many")


BROKEN = {
    "no-module": ("nowhere_to_be_found:open", "ModuleNotFoundError"),
    "import-fails": ("broken_plugin_module:open", "RuntimeError: boom"),
    "no-such-name": ("math:open_source", "AttributeError"),
    "wrong-arguments": ("math:sqrt", "TypeError"),
    "wrong-result": ("builtins:print", "returned NoneType, expected a Source"),
    "secret-in-error": ("secret_plugin_module:open", "rtsp://***@host"),
}


@pytest.mark.parametrize(("target", "says"), BROKEN.values(), ids=BROKEN)
def test_broken_plugin_is_named_when_used_and_harms_nobody_else(site: Path, target: str, says: str) -> None:
    """The message names plug-in and distribution; the built-in readers and writers go on."""
    (site / "broken_plugin_module.py").write_text("raise RuntimeError('boom')\n")
    (site / "secret_plugin_module.py").write_text("def open(*_): raise ValueError('rtsp://me:hidden@host')\n")
    _install(site, "broken-thing", "0.1", {"ssa_stream.sources": {"brk": target}, "ssa_stream.sinks": {"brk": target}})
    with open_source("synthetic@32x32,1frames") as source:
        assert len(list(source.frames())) == 1
    with open_sink(site / "a.jsonl"):
        pass
    assert "brk" in known_schemes()
    with pytest.raises(SourceError) as caught:
        open_source("brk:x")
    assert says in str(caught.value)
    assert f"brk = {target} of broken-thing 0.1" in str(caught.value)
    assert "hidden" not in str(caught.value)
    with pytest.raises(SinkError, match=r"broken-thing 0\.1"):
        open_sink("brk:x")


def test_two_claims_to_a_scheme_are_told(site: Path) -> None:
    """Which one is meant cannot be guessed."""
    for name in ("one", "two"):
        _install(site, f"plugin-{name}", "1.0", {"ssa_stream.sources": {"both": f"{name}:open"}})
    with pytest.raises(SourceError, match=r"several plug-ins claim .*plugin-one 1\.0.*plugin-two 1\.0"):
        open_source("both:x")


def test_plugin_cannot_take_over_a_built_in_scheme(site: Path) -> None:
    """An installed package does not get to see other people's addresses."""
    _install(site, "greedy", "1.0", {"ssa_stream.sources": {"synthetic": "nowhere_to_be_found:open"}})
    with open_source("synthetic@32x32,1frames") as source:
        assert len(list(source.frames())) == 1
