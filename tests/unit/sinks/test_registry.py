"""From what a user types to the right writer."""

from pathlib import Path

import pytest

from ssa_stream.errors import SinkError
from ssa_stream.sinks import JsonLinesSink, OverlayVideoSink, Sink, known_sinks, open_sink


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


@pytest.mark.parametrize("spec", ["a.txt", "a", "nosuch:thing"])
def test_unknown_spec_lists_the_known_ones(spec: str) -> None:
    """So that the next try works."""
    with pytest.raises(SinkError, match=r"known are: \.mp4.*\.jsonl.*video:"):
        open_sink(spec)
    assert "-" in known_sinks()
