"""Sinks that other distributions bring along, found by entry point.

A distribution adds a scheme with

    [project.entry-points."ssa_stream.sinks"]
    myscheme = "my_package.sinks:open_my_sink"

where `open_my_sink(spec, options)` takes the whole address, such as `myscheme:anything`, and `SinkOptions`, and returns
a `Sink`.
"""

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from ssa_stream.errors import SinkError, SsaStreamError
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


def plugin_schemes() -> tuple[str, ...]:
    """Return the schemes that installed distributions add, sorted; loads none of them."""
    return tuple(sorted({entry.name.lower() for entry in entry_points(group=SINK_GROUP)}))


def open_plugin(scheme: str, spec: str, options: SinkOptions) -> Sink | None:
    """Open `spec` with the plug-in for `scheme`; None when there is none.

    Raises:
        SinkError: If two distributions claim the scheme, or the plug-in cannot be imported, fails or does not
            return a sink; names the plug-in and its distribution.
    """
    found = [entry for entry in entry_points(group=SINK_GROUP) if entry.name.lower() == scheme]
    if not found:
        return None
    if len({entry.value for entry in found}) > 1:
        claims = ", ".join(sorted(_label(entry) for entry in found))
        raise SinkError(f"several plug-ins claim the sink scheme {scheme!r}: {claims}; uninstall all but one")
    label = _label(found[0])
    try:
        sink = found[0].load()(spec, options)
    except SsaStreamError:
        raise
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        raise SinkError(
            f"the sink plug-in {label} failed ({problem}); update or uninstall that distribution"
        ) from error
    if not isinstance(sink, Sink):
        raise SinkError(f"the sink plug-in {label} returned {type(sink).__name__}, expected a Sink")
    return sink


def _label(entry: EntryPoint) -> str:
    distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unknown distribution"
    return f"{entry.name} = {entry.value} of {distribution}"
