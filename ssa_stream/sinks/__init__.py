"""Where results go: an overlay video, JSON lines and plug-ins, behind one protocol.

`open_sink` opens anything a user can type; `SinkGroup` writes to several at once.
"""

from ssa_stream.sinks.group import Background, SinkGroup
from ssa_stream.sinks.json_lines import JsonLinesSink, MaskRecord, read_json_lines
from ssa_stream.sinks.overlay_video import OverlayVideoSink
from ssa_stream.sinks.registry import SINK_GROUP, SinkOptions, known_sinks, open_sink
from ssa_stream.sinks.sink import FrameTimes, Sink, SinkFrame

__all__ = [
    "SINK_GROUP",
    "Background",
    "FrameTimes",
    "JsonLinesSink",
    "MaskRecord",
    "OverlayVideoSink",
    "Sink",
    "SinkFrame",
    "SinkGroup",
    "SinkOptions",
    "known_sinks",
    "open_sink",
    "read_json_lines",
]
