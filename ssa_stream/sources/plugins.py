"""Sources that other distributions bring along, found by entry point.

A distribution adds a scheme with

    [project.entry-points."ssa_stream.sources"]
    myscheme = "my_package.sources:open_my_source"

where `open_my_source(spec, options)` takes the whole address, such as `myscheme://host/1`, and `SourceOptions`, and
returns a `Source`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points

from ssa_stream.errors import SourceError, SsaStreamError
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


def plugin_schemes() -> tuple[str, ...]:
    """Return the schemes that installed distributions add, sorted; loads none of them."""
    return tuple(sorted({entry.name.lower() for entry in entry_points(group=SOURCE_GROUP)}))


def open_plugin(scheme: str, spec: str, options: SourceOptions) -> Source | None:
    """Open `spec` with the plug-in for `scheme`; None when there is none.

    Raises:
        SourceError: If two distributions claim the scheme, or the plug-in cannot be imported, fails or does not
            return a source; names the plug-in and its distribution.
    """
    found = [entry for entry in entry_points(group=SOURCE_GROUP) if entry.name.lower() == scheme]
    if not found:
        return None
    if len({entry.value for entry in found}) > 1:
        claims = ", ".join(sorted(_label(entry) for entry in found))
        raise SourceError(f"several plug-ins claim the source scheme {scheme!r}: {claims}; uninstall all but one")
    label = _label(found[0])
    try:
        source = found[0].load()(spec, options)
    except SsaStreamError:
        raise
    except Exception as error:
        problem = redact(f"{type(error).__name__}: {error}")
        raise SourceError(
            f"the source plug-in {label} failed ({problem}); update or uninstall that distribution"
        ) from error
    if not isinstance(source, Source):
        raise SourceError(f"the source plug-in {label} returned {type(source).__name__}, expected a Source")
    return source


def _label(entry: EntryPoint) -> str:
    distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unknown distribution"
    return f"{entry.name} = {entry.value} of {distribution}"
