"""What was published, so that it is published once."""

from collections import deque

from ssa_stream.protocols import MaskMessage

__all__ = ["Once"]

_REMEMBERED = 256
"""Masks of each stream; more than can be on their way at once."""


class Once:
    """Tells masks that were there before, as they come after a restart, from new ones.

    A repeated frame keeps its `index` and its time `t`; its epoch is a new one. Provisional masks are not looked at,
    since others follow anyway.
    """

    def __init__(self) -> None:
        self._published: dict[str, deque[tuple[str, int, int, float]]] = {}

    def is_new(self, masks: MaskMessage) -> bool:
        """Whether these masks were not there yet; they are from now on."""
        if masks.status != "final":
            return True
        key = masks.prompt.id, masks.prompt.version, masks.frame.index, masks.frame.t
        published = self._published.setdefault(masks.frame.stream, deque(maxlen=_REMEMBERED))
        if key in published:
            return False
        published.append(key)
        return True
