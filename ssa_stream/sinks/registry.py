"""From what a user types to an open sink."""

import re
from pathlib import Path

from ssa_stream.errors import SinkError
from ssa_stream.sinks.json_lines import JsonLinesSink
from ssa_stream.sinks.overlay_video import OverlayVideoSink
from ssa_stream.sinks.plugins import SinkOptions, open_plugin, plugin_schemes
from ssa_stream.sinks.sink import Sink

__all__ = ["known_sinks", "open_sink"]

_VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv")
_LINES_SUFFIXES = (".jsonl", ".ndjson")
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]+):")


def known_sinks() -> tuple[str, ...]:
    """Return what `open_sink` accepts: file endings, `-`, and schemes, built-in ones and those of plug-ins."""
    return (*_VIDEO_SUFFIXES, *_LINES_SUFFIXES, "-", "jsonl:", "video:", *(f"{name}:" for name in plugin_schemes()))


def open_sink(spec: str | Path, *, fps: float = 30.0) -> Sink:
    """Open an output.

    Args:
        spec: A video file (.mp4, .mov, .m4v, .mkv), a file of JSON lines (.jsonl, .ndjson), `-` for JSON lines on
            standard output, `video:PATH` or `jsonl:PATH` for any other ending, or `scheme:...` of a plug-in.
        fps: Nominal rate of the stream.
    Raises:
        SinkError: If it cannot be opened, or nothing knows how to write it.
    """
    text = str(spec)
    suffix = Path(text).suffix.lower()
    match = _SCHEME.match(text) if isinstance(spec, str) else None
    scheme = match["scheme"].lower() if match else None
    if scheme == "video":
        return OverlayVideoSink(text[len("video:") :], fps)
    if scheme == "jsonl":
        return JsonLinesSink(text[len("jsonl:") :])
    if scheme is not None and scheme in plugin_schemes():
        plugin = open_plugin(scheme, text, SinkOptions(fps))
        if plugin is not None:
            return plugin
    if suffix in _VIDEO_SUFFIXES:
        return OverlayVideoSink(text, fps)
    if suffix in _LINES_SUFFIXES or text == "-":
        return JsonLinesSink(text)
    raise SinkError(f"do not know how to write {text!r}; known are: {', '.join(known_sinks())}")
