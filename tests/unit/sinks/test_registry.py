"""From what a user types to the right writer."""

import socket
from pathlib import Path

import pytest

from ssa_stream.errors import SinkError
from ssa_stream.sinks import JsonLinesSink, OverlayVideoSink, Sink, known_sinks, open_sink
from tests.support.scripted_source import numbered_frame


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("a.mp4", OverlayVideoSink),
        ("A.MKV", OverlayVideoSink),
        ("video:a.mov", OverlayVideoSink),
        ("a.jsonl", JsonLinesSink),
        ("a:b.ndjson", JsonLinesSink),
        ("jsonl:a.txt", JsonLinesSink),
        ("-", JsonLinesSink),
        (Path("a.jsonl"), JsonLinesSink),
    ],
)
def test_spec_chooses_the_sink(
    spec: str | Path, kind: type[Sink], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By ending, or by scheme."""
    monkeypatch.chdir(tmp_path)
    with open_sink(spec, fps=25) as sink:
        assert isinstance(sink, kind)


@pytest.mark.parametrize(
    ("spec", "starts_before", "expected"),
    [
        ("masks.jsonl", 0, ["masks.jsonl"]),
        ("masks.jsonl", 1, ["masks-2.jsonl"]),
        ("jsonl:masks.txt", 2, ["masks-3.txt"]),
        ("jsonl:masks", 2, ["masks-3"]),
        ("-", 4, []),
    ],
)
def test_later_starts_write_beside_the_files_of_earlier_ones(
    spec: str, starts_before: int, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without an ending; standard output is always the same."""
    monkeypatch.chdir(tmp_path)
    with open_sink(spec, starts_before=starts_before) as sink:
        sink.write(numbered_frame(0), [])
    assert [path.name for path in tmp_path.iterdir()] == expected


def test_output_of_a_gateway_is_a_scheme_like_others(tmp_path: Path) -> None:
    """Its address ends like a file and is none: a later start goes to the same socket."""
    path = str(tmp_path / "pictures.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as gateway:
        gateway.bind(path)
        gateway.listen()
        gateway.settimeout(10.0)
        with open_sink(f"webrtc:cam@{path}", starts_before=3):
            gateway.accept()[0].close()
    with pytest.raises(SinkError, match="ssa-stream serve makes"):
        open_sink("webrtc:cam")


@pytest.mark.parametrize("spec", ["a.txt", "a", "nosuch:thing"])
def test_unknown_spec_lists_the_known_ones(spec: str) -> None:
    """So that the next try works."""
    with pytest.raises(SinkError, match=r"known are: \.mp4.*\.jsonl.*video:"):
        open_sink(spec)
    assert "-" in known_sinks()
