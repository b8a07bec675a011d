"""From what a user types to an open sink.

Other distributions add a scheme with

    [project.entry-points."ssa_stream.sinks"]
    myscheme = "my_package.sinks:open_my_sink"

where `open_my_sink(spec, options)` takes the whole address, such as `myscheme:anything`, and `SinkOptions`, and returns
a `Sink`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ssa_stream.errors import SinkError
from ssa_stream.outputs import OWN_SINKS, SINK_GROUP, OutputSpec, file_of_start, known_sinks, numbered_path
from ssa_stream.plugins import PluginGroup
from ssa_stream.sinks.json_lines import JsonLinesSink
from ssa_stream.sinks.output_file import finish_temporary
from ssa_stream.sinks.overlay_video import OverlayVideoSink, has_pictures
from ssa_stream.sinks.sink import Sink

__all__ = ["SINK_GROUP", "SinkOptions", "finish_left_over", "known_sinks", "open_sink"]


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """How to open a sink.

    Attributes:
        fps: Nominal rate of the stream whose results will come.
    """

    fps: float = 30.0


_PLUGINS = PluginGroup(
    SINK_GROUP,
    "sink",
    lambda opened: isinstance(opened, Sink),
    SinkError,
    own=OWN_SINKS,
)


def open_sink(spec: str | Path, *, fps: float = 30.0, starts_before: int = 0, overwrite: bool = True) -> Sink:
    """Open an output.

    Args:
        spec: A video file (.mp4, .mov, .m4v, .mkv), a file of JSON lines (.jsonl, .ndjson), `-` for JSON lines on
            standard output, `video:PATH` or `jsonl:PATH` for any other ending, `webrtc:...` in a graph that
            `ssa-stream serve` runs, or `scheme:...` of a plug-in.
        fps: Nominal rate of the stream.
        starts_before: How often this output was opened before. A later start writes beside the files of the earlier
            ones: `overlay.mp4` becomes `overlay-2.mp4`, or the next free number where nothing may be replaced.
        overwrite: Whether a file that is there may be replaced. A plug-in decides for itself.
    Raises:
        SinkError: If it cannot be opened, is there and may not be replaced, or nothing knows how to write it.
    """
    parsed = OutputSpec.parse(spec)
    if parsed.kind == "plugin":
        assert parsed.scheme is not None  # it is what a plug-in is known by
        # What has no ending may be anything, such as a socket.
        is_file = parsed.scheme not in OWN_SINKS and Path(parsed.path).suffix != ""
        address = numbered_path(parsed.path, starts_before) if starts_before and is_file else parsed.path
        return cast(Sink, _PLUGINS.open(parsed.scheme, address, SinkOptions(fps)))
    path = file_of_start(parsed.path, starts_before, overwrite)
    return (
        OverlayVideoSink(path, fps, overwrite=overwrite)
        if parsed.kind == "video"
        else JsonLinesSink(path, overwrite=overwrite)
    )


def finish_left_over(spec: str | Path, path: Path, *, overwrite: bool) -> bool:
    """Give the file that a killed process left under its temporary name the final one, where users look for it.

    Args:
        spec: The output, as `open_sink` takes it.
        path: Its final name.
        overwrite: Whether a file of that name may be replaced.
    Returns:
        Whether it was done. If there was no picture or line in it, it is removed. It stays if another process writes it
        or another file has the final name.
    """
    plays = OutputSpec.parse(spec).kind == "video"
    return finish_temporary(path, overwrite=overwrite, has_content=has_pictures if plays else _has_line)


def _has_line(path: Path) -> bool:
    with path.open("rb") as file:
        return file.readline().endswith(b"\n")
