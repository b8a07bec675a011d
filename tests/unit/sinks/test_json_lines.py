"""Everything comes back from the lines, to the pixel and the last digit."""

import json
from pathlib import Path

import numpy as np
import pytest

from ssa_stream.errors import MessageError, SinkError
from ssa_stream.sinks import FrameTimes, JsonLinesSink, read_json_lines
from ssa_stream.sinks.group import SinkGroup
from ssa_stream.streaming.results import MaskResult, TrackMask
from tests.support.scripted_source import numbered_frame

SIZE = (37, 53)


def _results(seed: int) -> list[MaskResult]:
    rng = np.random.default_rng(seed)
    tracks = tuple(
        TrackMask(number, float(rng.random()), float(rng.random()), (1, 2, 3 + number, 4), int(mask.sum()), mask)
        for number, mask in enumerate(rng.random((3, *SIZE)) > np.array([0.5, 0.999, 1.0]).reshape(3, 1, 1), start=1)
    )
    return [
        MaskResult("p1", "the größte box", 3, seed, seed / 3, SIZE, tracks, 0.75, "provisional", 2, True),
        MaskResult("p2", "nothing", 3, seed, seed / 3, SIZE, (), 0.125),
    ]


def test_round_trip_is_exact(tmp_path: Path) -> None:
    """Masks, ids, scores, times and flags."""
    path = tmp_path / "a.jsonl"
    times = FrameTimes(
        captured_at_ns=2**60 + 1, received_at_ns=2**60 + 5, emitted_at_ns=2**60 + 3_000_001, model_ms=1.5
    )
    with JsonLinesSink(path) as sink:
        for seq in range(3):
            sink.write(numbered_frame(seq, epoch=1, size=SIZE), _results(seq), times if seq else None)
    records = list(read_json_lines(path))
    assert [(record.epoch, record.seq) for record in records] == [(1, seq) for seq in (0, 0, 1, 1, 2, 2)]
    assert [record.times for record in records] == [None, None, *[times] * 4]
    for seq in range(3):
        for written, record in zip(_results(seq), records[2 * seq : 2 * seq + 2], strict=True):
            _assert_equal(written, record.result)


def _assert_equal(written: MaskResult, read: MaskResult) -> None:
    for name in MaskResult.__dataclass_fields__:
        if name != "tracks":
            assert getattr(read, name) == getattr(written, name), name
    assert len(read.tracks) == len(written.tracks)
    for track, other in zip(written.tracks, read.tracks, strict=True):
        np.testing.assert_array_equal(other.mask, track.mask)
        assert other.mask.dtype == np.bool_
        for name in ("track_id", "score", "probability", "box_xyxy", "area_px"):
            assert getattr(other, name) == getattr(track, name), name


def test_line_has_the_documented_fields(tmp_path: Path) -> None:
    """The schema of the module's description, for readers in other languages."""
    with JsonLinesSink(tmp_path / "a.jsonl") as sink:
        sink.write(numbered_frame(4, size=SIZE), _results(4)[:1], FrameTimes(received_at_ns=0, emitted_at_ns=2_500_000))
    record = json.loads((tmp_path / "a.jsonl").read_text())
    fields = "schema seq epoch index t size prompt_id prompt prompt_version status target_present probability"
    assert list(record) == [*fields.split(), "frames_missed", "after_reset", "tracks", "times"]
    assert record["schema"] == 1
    assert record["target_present"] is True
    assert list(record["tracks"][0]) == ["id", "score", "probability", "box_xyxy", "area_px", "rle"]
    assert record["tracks"][0]["rle"]["size"] == list(SIZE)
    assert record["times"]["latency_ms"] == 2.5


def test_standard_output_gets_the_lines(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """`-` writes there, and leaves it open."""
    with JsonLinesSink("-") as sink:
        sink.write(numbered_frame(0, size=SIZE), _results(0))
    print("still open")
    lines = capfdbinary.readouterr().out.splitlines()
    assert [json.loads(line)["prompt_id"] for line in lines[:2]] == ["p1", "p2"]
    assert lines[2] == b"still open"


def test_full_disk_raises_one_error_with_advice() -> None:
    """What to do is in the message."""
    with JsonLinesSink("/dev/full") as sink, pytest.raises(SinkError, match="disk is full: free some space"):
        sink.write(numbered_frame(0, size=SIZE), _results(0))


def test_device_that_takes_nothing_is_not_said_to_keep_anything() -> None:
    """Neither by the sink nor by a group of sinks."""
    with SinkGroup([JsonLinesSink("/dev/full")]) as group, pytest.raises(SinkError) as raised:
        group.write(numbered_frame(0, size=SIZE), _results(0))
    assert str(raised.value) == "cannot write /dev/full: the disk is full: free some space or write elsewhere"


def test_unwritable_path_raises_one_error(tmp_path: Path) -> None:
    """A missing folder, and a folder."""
    with pytest.raises(SinkError, match="folder does not exist: create it"):
        JsonLinesSink(tmp_path / "none" / "a.jsonl")
    with pytest.raises(SinkError, match="that is a folder"):
        JsonLinesSink(tmp_path)


def test_write_after_close_raises_sink_error(tmp_path: Path) -> None:
    """Closing twice is fine."""
    sink = JsonLinesSink(tmp_path / "a.jsonl")
    sink.close()
    sink.close()
    with pytest.raises(SinkError, match="closed"):
        sink.write(numbered_frame(0), _results(0))


def test_reader_passes_over_a_cut_last_line(tmp_path: Path) -> None:
    """As left by a power cut."""
    path = tmp_path / "a.jsonl"
    with JsonLinesSink(path) as sink:
        sink.write(numbered_frame(0, size=SIZE), _results(0))
    path.write_bytes(path.read_bytes() + b'{"schema":1,"seq":')
    assert len(list(read_json_lines(path))) == 2


@pytest.mark.parametrize(
    ("line", "says"),
    [("nonsense", "line 2 is not"), ("[1]", "line 2 is not"), ('{"schema":2}', "schema"), ('{"schema":1}', "size")],
)
def test_reader_names_a_bad_line(tmp_path: Path, line: str, says: str) -> None:
    """A line that is not ours is told with its number."""
    path = tmp_path / "a.jsonl"
    with JsonLinesSink(path) as sink:
        sink.write(numbered_frame(0, size=SIZE), _results(0)[:1])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(MessageError, match=says):
        list(read_json_lines(path))
