"""Read back what `JsonLinesSink` wrote, masks included."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssa_stream.errors import MessageError
from ssa_stream.run_lengths import decode_counts
from ssa_stream.sinks.json_lines import SCHEMA
from ssa_stream.sinks.sink import FrameTimes

if TYPE_CHECKING:
    from ssa_stream.streaming.results import MaskResult, TrackMask

__all__ = ["MaskRecord", "read_json_lines"]


@dataclass(frozen=True, slots=True, eq=False)
class MaskRecord:
    """One line: the frame's number and epoch in its source, the result, and the times if they were written."""

    seq: int
    epoch: int
    result: "MaskResult"
    times: FrameTimes | None


def read_json_lines(path: str | Path) -> Iterator[MaskRecord]:
    """Yield the records of a file in order.

    A last line without its end, left by a power cut, is passed over.

    Raises:
        MessageError: If a line is not a record of a schema that this version reads; names the line.
        OSError: If the file cannot be read.
    """
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                parsed = _record(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, MessageError) as error:
                raise MessageError(f"{path}, line {number} is not a mask record: {error!r}") from error
            if parsed is None:
                raise MessageError(f"{path}, line {number} has another schema; this version reads schema {SCHEMA}")
            yield parsed


def _record(record: Mapping[str, Any]) -> MaskRecord | None:
    # Only here: the package of the results may bring the whole model along.
    from ssa_stream.streaming.results import MaskResult

    if record["schema"] != SCHEMA:
        return None
    height, width = record["size"]
    result = MaskResult(
        prompt_id=record["prompt_id"],
        prompt=record["prompt"],
        prompt_version=record["prompt_version"],
        frame_index=record["index"],
        t=record["t"],
        size=(height, width),
        tracks=tuple(_track(track) for track in record["tracks"]),
        probability=record["probability"],
        status=record["status"],
        frames_missed=record.get("frames_missed", 0),
        after_reset=record.get("after_reset", False),
    )
    return MaskRecord(record["seq"], record["epoch"], result, _times(record.get("times")))


def _track(track: Mapping[str, Any]) -> "TrackMask":
    from ssa_stream.streaming.results import TrackMask

    rows, columns = track["rle"]["size"]
    left, top, right, bottom = track["box_xyxy"]
    return TrackMask(
        track_id=track["id"],
        score=track["score"],
        probability=track["probability"],
        box_xyxy=(left, top, right, bottom),
        area_px=track["area_px"],
        mask=decode_counts(track["rle"]["counts"], (rows, columns)),
    )


def _times(times: Mapping[str, Any] | None) -> FrameTimes | None:
    if times is None:
        return None
    return FrameTimes(
        captured_at_ns=times.get("captured_at_ns"),
        received_at_ns=times.get("received_at_ns"),
        emitted_at_ns=times.get("emitted_at_ns"),
        model_ms=times.get("model_ms"),
    )
