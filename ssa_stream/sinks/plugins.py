"""Sinks that other distributions bring along, found by entry point.

A distribution adds a scheme with

    [project.entry-points."ssa_stream.sinks"]
    myscheme = "my_package.sinks:open_my_sink"

where `open_my_sink(spec, options)` takes the whole address, such as `myscheme:anything`, and `SinkOptions`, and returns
a `Sink`.
"""

from dataclasses import dataclass
from typing import cast

from ssa_stream.errors import SinkError
from ssa_stream.plugins import PluginGroup
from ssa_stream.sinks.sink import Sink

__all__ = ["SINK_GROUP", "SinkOptions", "open_plugin", "plugin_schemes"]

SINK_GROUP = "ssa_stream.sinks"


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """How to open a sink.

    Attributes:
        fps: Nominal rate of the stream whose results will come.
    """

    fps: float = 30.0


_GROUP = PluginGroup(SINK_GROUP, "sink", lambda opened: isinstance(opened, Sink), SinkError)


def plugin_schemes() -> tuple[str, ...]:
    """Return the schemes that installed distributions add, sorted; loads none of them."""
    return _GROUP.schemes()


def open_plugin(scheme: str, spec: str, options: SinkOptions) -> Sink | None:
    """Open `spec` with the plug-in for `scheme`; None when there is none.

    Raises:
        SinkError: If the plug-in is at fault; names it and its distribution.
    """
    return cast(Sink | None, _GROUP.open(scheme, spec, options))
