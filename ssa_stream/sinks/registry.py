"""From what a user types to an open sink.

Other distributions add a scheme with

    [project.entry-points."ssa_stream.sinks"]
    myscheme = "my_package.sinks:open_my_sink"

where `open_my_sink(spec, options)` takes the whole address, such as `myscheme:anything`, and `SinkOptions`, and returns
a `Sink`.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ssa_stream.errors import SinkError
from ssa_stream.plugins import PluginGroup
from ssa_stream.sinks.json_lines import JsonLinesSink
from ssa_stream.sinks.overlay_video import OverlayVideoSink
from ssa_stream.sinks.sink import Sink

__all__ = ["SINK_GROUP", "SinkOptions", "known_sinks", "open_sink"]

SINK_GROUP = "ssa_stream.sinks"
_VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv")
_LINES_SUFFIXES = (".jsonl", ".ndjson")
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]+):")


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
    own={"webrtc": "ssa_stream.nodes.gateway.pictures.picture_sink:open_picture_sink"},
)


def known_sinks() -> tuple[str, ...]:
    """Return what `open_sink` accepts: file endings, `-`, and schemes, built-in ones and those of plug-ins."""
    schemes = ("jsonl", "video", *_PLUGINS.own, *_PLUGINS.schemes())
    return (*_VIDEO_SUFFIXES, *_LINES_SUFFIXES, "-", *(f"{name}:" for name in schemes))


def open_sink(spec: str | Path, *, fps: float = 30.0, starts_before: int = 0) -> Sink:
    """Open an output.

    Args:
        spec: A video file (.mp4, .mov, .m4v, .mkv), a file of JSON lines (.jsonl, .ndjson), `-` for JSON lines on
            standard output, `video:PATH` or `jsonl:PATH` for any other ending, `webrtc:...` in a graph that
            `ssa-stream serve` runs, or `scheme:...` of a plug-in.
        fps: Nominal rate of the stream.
        starts_before: How often this output was opened before. A later start writes beside the files of the earlier
            ones: `overlay.mp4` becomes `overlay-2.mp4`.
    Raises:
        SinkError: If it cannot be opened, or nothing knows how to write it.
    """
    match = _SCHEME.match(spec) if isinstance(spec, str) else None
    scheme = match["scheme"].lower() if match else None
    text = str(spec) if scheme in _PLUGINS.own else _numbered(str(spec), starts_before)
    if scheme == "video":
        return OverlayVideoSink(text[len("video:") :], fps)
    if scheme == "jsonl":
        return JsonLinesSink(text[len("jsonl:") :])
    plugin = None if scheme is None else _PLUGINS.open(scheme, text, SinkOptions(fps))
    if plugin is not None:
        return cast(Sink, plugin)
    suffix = Path(text).suffix.lower()
    if suffix in _VIDEO_SUFFIXES:
        return OverlayVideoSink(text, fps)
    if suffix in _LINES_SUFFIXES or text == "-":
        return JsonLinesSink(text)
    raise SinkError(f"do not know how to write {text!r}; known are: {', '.join(known_sinks())}")


def _numbered(spec: str, starts_before: int) -> str:
    """The file of a later start; what has no ending stays as it is."""
    suffix = Path(spec).suffix
    return f"{spec.removesuffix(suffix)}-{starts_before + 1}{suffix}" if starts_before and suffix else spec
