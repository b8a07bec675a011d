"""Results as JSON lines: one object per frame and prompt, readable with any language.

Every line is one object with these fields (schema 1; readers ignore fields they do not know, new ones may come, none
changes its meaning within a schema number):

    schema          1
    seq, epoch      identity of the frame in its source: number within the epoch, number of the epoch
    index           number of the frame in the session, from 0
    t               stream time of the frame in seconds
    size            [height, width] of the frame in pixels
    prompt_id       stable name of the prompt
    prompt          the sentence
    prompt_version  grows whenever the session's prompts change
    status          "final", or "provisional" when a better result for the same frame and prompt follows
    target_present  whether `tracks` holds anything
    probability     largest probability over all candidates, 0..1
    frames_missed   frames lost just before this one
    after_reset     whether the stream's memory was cleared just before this one
    tracks          list, by descending score, of
        id              identity of the object in the stream
        score           probability times mean mask confidence, 0..1
        probability     0..1
        box_xyxy        [left, top, right, bottom] in pixels, right and bottom exclusive
        area_px         number of mask pixels
        rle             the mask as COCO's compressed run lengths: {"size": [height, width], "counts": text}
    times           null, or {captured_at_ns, received_at_ns, emitted_at_ns, model_ms, latency_ms}, null where not
                    known; nanoseconds are of one host's monotonic clock

All lines of a frame are written at once, so a process that is killed leaves whole lines. The file has a temporary name
until it is complete: `masks.jsonl` is `masks.partial.jsonl`. Programs that follow it while it grows read that one, or
a pipe.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ssa_stream.errors import MessageError, SinkError
from ssa_stream.run_lengths import decode_counts, encode_counts
from ssa_stream.sinks.output_file import OutputFile
from ssa_stream.sinks.sink import FrameTimes, Sink, SinkFrame, advice

if TYPE_CHECKING:
    from ssa_stream.streaming.results import MaskResult, TrackMask

__all__ = ["JsonLinesSink", "MaskRecord", "read_json_lines"]

_SCHEMA = 1


class JsonLinesSink(Sink):
    """Write results as JSON lines to a file or to standard output.

    Attributes:
        frames_in_file: Frames whose lines are written.
        is_stream: Whether they go to a pipe or a device, standard output included, and not to a file.
    """

    def __init__(self, path: str | Path, *, overwrite: bool = True) -> None:
        """Open the file. What was there stays until the new one is complete; see `ssa_stream.sinks.output_file`.

        Args:
            path: File name, or `-` for standard output.
            overwrite: Whether a file of that name may be there.
        Raises:
            SinkError: If it cannot be written, or is there and may not be replaced.
        """
        self._name = "standard output" if str(path) == "-" else str(path)
        self._file: BinaryIO | None = None
        self._target: OutputFile | None = None
        self.frames_in_file = 0
        self._has_frames = self._failed = False
        self.is_stream = str(path) == "-"
        if self.is_stream:
            self._output: BinaryIO = sys.stdout.buffer
            return
        self._target = OutputFile(path, overwrite=overwrite)
        self.is_stream = self._target.is_stream
        try:
            self._output = self._file = open(self._target.path, "wb", buffering=0)
        except OSError as error:
            self._target.discard()
            raise SinkError(f"cannot write {self._name}: {advice(error, is_stream=self.is_stream)}") from error

    def write(self, frame: SinkFrame, results: Sequence["MaskResult"], times: FrameTimes | None = None) -> None:
        """Write one line per result."""
        lines = [
            json.dumps(_record(frame, result, times), separators=(",", ":"), allow_nan=False) for result in results
        ]
        data = "".join(f"{line}\n" for line in lines).encode()
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._output.write(rest) :]
            self._output.flush()
            if self._target is not None:
                self._target.keep_safe()
                self._target.mark_whole()
        except (OSError, ValueError) as error:  # ValueError: closed, or a score that is no number
            self._failed = True
            if self._target is not None:
                self._target.cut_to_whole()
            raise SinkError(
                f"cannot write {self._name}: {advice(error, is_stream=self.is_stream)}{self._kept}"
            ) from error
        self._has_frames = True
        self.frames_in_file += 1

    def close(self) -> None:
        """Close the file and give it its final name, or remove it if no frame ever came; standard output stays open.

        Raises:
            SinkError: If it cannot get that name.
        """
        target, self._target = self._target, None
        try:
            if self._file is not None:
                self._file.close()
        except OSError as error:  # some file systems say only now that they are full
            if target is not None:
                target.leave()
            raise SinkError(f"cannot finish {self._name}: {advice(error, is_stream=self.is_stream)}") from error
        if target is None:
            return
        if not self._has_frames:
            target.discard()
        elif self._failed:
            target.leave()
        else:
            target.finish()

    @property
    def _kept(self) -> str:
        return self._target.kept_as if self._target is not None and self._has_frames else ""


def _record(frame: SinkFrame, result: "MaskResult", times: FrameTimes | None) -> dict[str, Any]:
    return {
        "schema": _SCHEMA,
        "seq": frame.seq,
        "epoch": frame.epoch,
        "index": result.frame_index,
        "t": float(result.t),
        "size": list(result.size),
        "prompt_id": result.prompt_id,
        "prompt": result.prompt,
        "prompt_version": result.prompt_version,
        "status": result.status,
        "target_present": result.target_present,
        "probability": float(result.probability),
        "frames_missed": result.frames_missed,
        "after_reset": result.after_reset,
        "tracks": [_track(track) for track in result.tracks],
        "times": None if times is None else _times(times),
    }


def _track(track: "TrackMask") -> dict[str, Any]:
    return {
        "id": int(track.track_id),
        "score": float(track.score),
        "probability": float(track.probability),
        "box_xyxy": [int(edge) for edge in track.box_xyxy],
        "area_px": int(track.area_px),
        "rle": {"size": list(track.mask.shape), "counts": encode_counts(track.mask).decode("ascii")},
    }


def _times(times: FrameTimes) -> dict[str, Any]:
    return {
        "captured_at_ns": times.captured_at_ns,
        "received_at_ns": times.received_at_ns,
        "emitted_at_ns": times.emitted_at_ns,
        "model_ms": times.model_ms,
        "latency_ms": times.latency_ms,
    }


@dataclass(frozen=True, slots=True, eq=False)
class MaskRecord:
    """One line: the frame's number and epoch in its source, the result, and the times if they were written."""

    seq: int
    epoch: int
    result: "MaskResult"
    times: FrameTimes | None


def read_json_lines(path: str | Path) -> Iterator[MaskRecord]:
    """Yield the records that `JsonLinesSink` wrote to a file, in order.

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
                parsed = _read_record(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, MessageError) as error:
                raise MessageError(f"{path}, line {number} is not a mask record: {error!r}") from error
            if parsed is None:
                raise MessageError(f"{path}, line {number} has another schema; this version reads schema {_SCHEMA}")
            yield parsed


def _read_record(record: Mapping[str, Any]) -> MaskRecord | None:
    # Only here: the package of the results may bring the whole model along.
    from ssa_stream.streaming.results import MaskResult

    if record["schema"] != _SCHEMA:
        return None
    height, width = record["size"]
    result = MaskResult(
        prompt_id=record["prompt_id"],
        prompt=record["prompt"],
        prompt_version=record["prompt_version"],
        frame_index=record["index"],
        t=record["t"],
        size=(height, width),
        tracks=tuple(_read_track(track) for track in record["tracks"]),
        probability=record["probability"],
        status=record["status"],
        frames_missed=record.get("frames_missed", 0),
        after_reset=record.get("after_reset", False),
    )
    return MaskRecord(record["seq"], record["epoch"], result, _read_times(record.get("times")))


def _read_track(track: Mapping[str, Any]) -> "TrackMask":
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


def _read_times(times: Mapping[str, Any] | None) -> FrameTimes | None:
    if times is None:
        return None
    return FrameTimes(
        captured_at_ns=times.get("captured_at_ns"),
        received_at_ns=times.get("received_at_ns"),
        emitted_at_ns=times.get("emitted_at_ns"),
        model_ms=times.get("model_ms"),
    )
