"""Protocol versions, and how two peers agree on one."""

from collections.abc import Iterable

from ssa_stream.errors import MessageError

__all__ = ["SUPPORTED_VERSIONS", "VERSION", "Version", "negotiate"]

Version = tuple[int, int]
"""Major and minor. A reader of a major version reads all its minors, older and newer; see docs/protocol.md."""

VERSION: Version = (1, 1)
"""What this package writes."""
SUPPORTED_VERSIONS: tuple[Version, ...] = (VERSION,)
"""What this package reads: of each major version the newest minor that it knows."""


def negotiate(offered: Iterable[Version], own: Iterable[Version] = SUPPORTED_VERSIONS) -> Version:
    """The version that two peers speak: the highest common major, with the lower of the two minors.

    Args:
        offered: What the peer reads, at most one minor per major.
        own: What this side reads.
    Raises:
        MessageError: There is no common major version.
    """
    theirs, ours = dict(offered), dict(own)
    common = theirs.keys() & ours.keys()
    if not common:
        raise MessageError(
            f"the peer speaks protocol {_listed(theirs)}, this side {_listed(ours)}; expected a common major "
            f"version: update the older of the two"
        )
    major = max(common)
    return major, min(theirs[major], ours[major])


def _listed(minors: dict[int, int]) -> str:
    return ", ".join(f"{major}.{minor}" for major, minor in sorted(minors.items())) or "of no version"
