"""What other distributions, and parts of this one, bring along: found by name and opened by scheme."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points

from ssa_stream.errors import SsaStreamError

__all__ = ["PluginGroup"]


@dataclass(frozen=True, slots=True)
class PluginGroup:
    """One entry-point group. Each entry's name is a scheme; its object is called with the address and options.

    Attributes:
        name: Of the group, such as `ssa_stream.sources`.
        kind: What its plug-ins open, for messages.
        is_valid: Whether an object is what a plug-in of this group has to return.
        error: Raised when a plug-in is at fault.
        redact: Takes credentials out of what a plug-in's own error says.
        own: Schemes of parts of this package that stand above the one that opens them, as `module:name`.
    """

    name: str
    kind: str
    is_valid: Callable[[object], bool]
    error: type[SsaStreamError]
    redact: Callable[[str], str] = str
    own: Mapping[str, str] = field(default_factory=dict)

    def schemes(self) -> tuple[str, ...]:
        """Return the schemes that installed distributions add, sorted; loads none of them."""
        return tuple(sorted({entry.name.lower() for entry in entry_points(group=self.name)}))

    def open(self, scheme: str, spec: str, options: object) -> object | None:
        """Open `spec` with the plug-in for `scheme`; None when there is none.

        Raises:
            SsaStreamError: Of the group's kind, if two distributions claim the scheme, or the plug-in cannot be
                imported, fails or returns something else; names the plug-in and its distribution.
        """
        if scheme in self.own:
            found = [EntryPoint(scheme, self.own[scheme], self.name)]
        else:
            found = [entry for entry in entry_points(group=self.name) if entry.name.lower() == scheme]
        if not found:
            return None
        if len({entry.value for entry in found}) > 1:
            claims = ", ".join(sorted(_label(entry) for entry in found))
            raise self.error(
                f"several plug-ins claim the {self.kind} scheme {scheme!r}: {claims}; uninstall all but one"
            )
        label = _label(found[0])
        try:
            opened: object = found[0].load()(spec, options)
        except SsaStreamError:
            raise
        except Exception as error:  # somebody else's code may raise anything
            problem = self.redact(f"{type(error).__name__}: {error}")
            raise self.error(
                f"the {self.kind} plug-in {label} failed ({problem}); update or uninstall that distribution"
            ) from error
        if not self.is_valid(opened):
            raise self.error(
                f"the {self.kind} plug-in {label} returned {type(opened).__name__}, expected a {self.kind.capitalize()}"
            )
        return opened


def _label(entry: EntryPoint) -> str:
    distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unknown distribution"
    return f"{entry.name} = {entry.value} of {distribution}"
