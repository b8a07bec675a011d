"""Sources that other distributions bring along, found by entry point.

A distribution adds a scheme with

    [project.entry-points."ssa_stream.sources"]
    myscheme = "my_package.sources:open_my_source"

where `open_my_source(spec, options)` takes the whole address, such as `myscheme://host/1`, and `SourceOptions`, and
returns a `Source`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from ssa_stream.errors import SourceError
from ssa_stream.plugins import PluginGroup
from ssa_stream.sources.redaction import redact
from ssa_stream.sources.source import Source

__all__ = ["SOURCE_GROUP", "SourceOptions", "open_plugin", "plugin_schemes"]

SOURCE_GROUP = "ssa_stream.sources"


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How to open a source.

    Attributes:
        live: Whether to treat it as live; None leaves it to the kind of source.
        timeouts_s: Longest wait for opening and for one read.
        backend: Options of the reader underneath, for built-in sources those of FFmpeg.
    """

    live: bool | None = None
    timeouts_s: tuple[float, float] = (5.0, 3.0)
    backend: Mapping[str, str] = field(default_factory=dict)


_GROUP = PluginGroup(SOURCE_GROUP, "source", lambda opened: isinstance(opened, Source), SourceError, redact)


def plugin_schemes() -> tuple[str, ...]:
    """Return the schemes that installed distributions add, sorted; loads none of them."""
    return _GROUP.schemes()


def open_plugin(scheme: str, spec: str, options: SourceOptions) -> Source | None:
    """Open `spec` with the plug-in for `scheme`; None when there is none.

    Raises:
        SourceError: If the plug-in is at fault; names it and its distribution.
    """
    return cast(Source | None, _GROUP.open(scheme, spec, options))
