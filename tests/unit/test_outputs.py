"""An output that would destroy something is refused, however its name is spelt."""

import os
import re
from pathlib import Path

import pytest

from ssa_stream.errors import ConfigError, SinkError
from ssa_stream.outputs import NamedPath, OutputSpec, check_outputs, local_path, partial_path, sink_files


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder, with a video, three numbered pictures, a playlist and links."""
    monkeypatch.chdir(tmp_path)
    for name in ("in.mp4", "a b.mp4", "f100.png", "f101.png", "seg0.ts", "in.partial.mp4"):
        Path(name).write_text(name)
    Path("live.m3u8").write_text('#EXTM3U\n#EXT-X-MAP:URI="init.mp4"\n#EXTINF:2,\nseg0.ts\n')
    Path("list.ffconcat").write_text("ffconcat version 1.0\nfile 'in.mp4'\n")
    Path("nested").mkdir()
    Path("nested/list.txt").write_bytes(b"\xef\xbb\xbf#EXTM3U\n#EXTINF:2,\n../seg0.ts\n#EXTINF:2,\n../a%20b.mp4?x=1\n")
    Path("master.m3u8").write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nnested/list.txt\nmaster.m3u8\n")
    Path("script.txt").write_text("ffconcat version 1.0\nfile a\\ b.mp4\nfile nested/list.txt\n")
    Path("link.mp4").symlink_to("in.mp4")
    os.link("in.mp4", "hard.mp4")
    Path("new.mp4").symlink_to("made later.mp4")
    os.mkfifo("pipe.mp4")
    return tmp_path


def _check(outputs: list[str], sources: list[str], *, overwrite: bool = True) -> None:
    check_outputs(
        sink_files("--output", outputs), [NamedPath("the source", source) for source in sources], overwrite=overwrite
    )


@pytest.mark.parametrize(
    ("output", "source"),
    [
        ("in.mp4", "in.mp4"),
        ("./in.mp4", "in.mp4"),
        ("../{name}/in.mp4", "in.mp4"),
        ("in.mp4", "{folder}/in.mp4"),
        ("link.mp4", "in.mp4"),
        ("in.mp4", "link.mp4"),
        ("hard.mp4", "in.mp4"),
        ("file:in.mp4", "in.mp4"),
        ("FILE:in.mp4", "File:in.mp4"),
        ("in.mp4", "file://{folder}/in.mp4"),
        ("file://localhost{folder}/in.mp4", "in.mp4"),
        ("a b.mp4", "file://{folder}/a%20b.mp4"),
        ("Video:in.mp4", "in.mp4"),
        ("JSONL:file:in.mp4", "in.mp4"),
        ("video:f101.png", "f%03d.png"),
        ("video:f100.png", "{folder}/f%d.png"),
        ("video:f101.png", "*.png"),
        ("in.mp4", "in.mp4#stream=1"),
        ("in.mp4", "file:in.mp4?stream=0"),
        ("video:seg0.ts", "live.m3u8"),
        ("init.mp4", "live.m3u8"),
        ("in.mp4", "list.ffconcat"),
        ("video:nested/list.txt", "master.m3u8"),
        ("video:seg0.ts", "master.m3u8"),
        ("a b.mp4", "master.m3u8"),
        ("video:seg0.ts", "nested/list.txt"),
        ("a b.mp4", "script.txt"),
        ("video:seg0.ts", "script.txt"),
        ("pipe.mp4", "pipe.mp4"),
        ("later.mp4", "sub/../later.mp4"),
    ],
)
def test_output_that_is_a_source_is_refused(folder: Path, output: str, source: str) -> None:
    """With --overwrite too; the error names both."""
    names = {"folder": folder, "name": folder.name}
    spec, source = output.format(**names), source.format(**names)
    path = re.escape(OutputSpec.parse(spec).path)
    with pytest.raises(ConfigError, match=rf"{path} \(--output\) is {re.escape(source)} \(the source\) itself"):
        _check([spec], [source])


def test_output_whose_temporary_name_is_the_source_is_refused() -> None:
    """What a killed run left can be a source, too."""
    with pytest.raises(ConfigError, match=r"in\.partial\.mp4 until it is complete, which is in\.partial\.mp4"):
        _check(["in.mp4"], ["in.partial.mp4"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.jsonl", "a.jsonl"),
        ("a.jsonl", "./a.jsonl"),
        ("a.mp4", "file:a.mp4"),
        ("hard.mp4", "in.mp4"),
        ("link.mp4", "in.mp4"),
        ("new.mp4", "made later.mp4"),
        ("-", "-"),
        ("-", "jsonl:/dev/stdout"),
        ("pipe.mp4", "pipe.mp4"),
        ("a.mp4", "a.partial.mp4"),
    ],
)
def test_two_outputs_that_are_one_file_are_refused(first: str, second: str) -> None:
    """In both orders; whether or not the file exists."""
    for outputs in ([first, second], [second, first]):
        with pytest.raises(ConfigError, match="are one file: give each output its own"):
            _check(outputs, [])


def test_outputs_that_share_nothing_are_allowed() -> None:
    """Devices take anything; plug-ins decide for themselves; other addresses are no files."""
    _check(["jsonl:/dev/null", "video:/dev/null", "webrtc:a@in.mp4", "webrtc:a@in.mp4", "b.mp4", "-"], ["in.mp4"])
    _check(["a.mp4", "a.mov", "a.jsonl"], ["rtsp://camera/a.mp4", "synthetic", "0", "f%02d.png"])
    _check(["new.mp4"], ["in.mp4"], overwrite=False)  # its target is not there yet


def test_output_that_is_standard_input_is_refused(folder: Path) -> None:
    """`ssa-stream run - -o in.mp4 < in.mp4`."""
    kept = os.dup(0)
    try:
        with open("in.mp4", "rb") as file:
            os.dup2(file.fileno(), 0)
        with pytest.raises(ConfigError, match=r"in\.mp4 \(--output\) is - \(the source\)"):
            _check(["in.mp4"], ["-"])
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def test_output_without_a_folder_or_with_a_former_temporary_file_is_refused() -> None:
    """Before anything is computed; a temporary file may be replaced as an output may."""
    with pytest.raises(SinkError, match=r"there is no folder .*nowhere; create it first"):
        _check(["nowhere/a.mp4"], [])
    Path("new.partial.jsonl").write_text("{}\n")
    with pytest.raises(ConfigError, match=r"written as new\.partial\.jsonl until .* that file is there"):
        _check(["new.jsonl"], [], overwrite=False)
    _check(["new.jsonl"], [])


def test_output_that_is_an_inherited_descriptor_is_refused(folder: Path) -> None:
    """As one that is standard input."""
    with open("in.mp4", "rb") as file, pytest.raises(ConfigError, match="itself"):
        _check(["in.mp4"], [f"pipe:{file.fileno()}"])


@pytest.mark.parametrize("output", ["in.mp4", "hard.mp4", "link.mp4", "file:in.mp4", "jsonl:live.m3u8"])
def test_existing_output_is_refused_unless_it_may_be_replaced(output: str) -> None:
    """The error says how."""
    with pytest.raises(ConfigError, match="exists already: give another name, or replace it with --overwrite"):
        _check([output], [], overwrite=False)
    _check([output], [], overwrite=True)


def test_pipes_and_devices_never_exist_already() -> None:
    """They are written straight."""
    for output in ("pipe.mp4", "jsonl:/dev/null", "-", "jsonl:/dev/stdout", "jsonl:/dev/fd/1"):
        _check([output], [], overwrite=False)


def test_folder_as_output_and_file_of_an_input_folder_are_refused(folder: Path) -> None:
    """Before anything is opened."""
    Path("data/JPEGImages").mkdir(parents=True)
    Path("data/JPEGImages/0.jpg").touch()
    with pytest.raises(SinkError, match="is a folder: give a file name"):
        check_outputs([NamedPath("--json", "data")], overwrite=True)
    with pytest.raises(ConfigError, match="is a file of"):
        check_outputs(
            [NamedPath("--sheet", "data/JPEGImages/0.jpg")], [NamedPath("--data", "data/JPEGImages")], overwrite=True
        )


@pytest.mark.parametrize(
    ("spec", "kind", "path"),
    [
        ("a.mp4", "video", "a.mp4"),
        ("file:a.jsonl", "lines", "a.jsonl"),
        ("VIDEO:a.avi", "video", "a.avi"),
        ("cam:1.mkv", "video", "cam:1.mkv"),
        ("file:///x/a%20b.mkv", "video", "/x/a b.mkv"),
        ("-", "lines", "-"),
        ("webrtc:cam@/x.sock", "plugin", "webrtc:cam@/x.sock"),
    ],
)
def test_output_is_taken_apart(spec: str, kind: str, path: str) -> None:
    """Scheme, kind and file."""
    parsed = OutputSpec.parse(spec)
    assert (parsed.kind, parsed.path) == (kind, path)


def test_path_of_an_address() -> None:
    """A file that is there is meant by its own name, whatever that looks like."""
    Path("file:odd.mp4").touch()
    assert local_path("file:odd.mp4") == "file:odd.mp4"
    assert local_path("rtsp://camera/a.mp4") is None
    assert partial_path(Path("x/overlay.mp4")) == Path("x/overlay.partial.mp4")
    assert partial_path(Path("masks")) == Path("masks.partial")
