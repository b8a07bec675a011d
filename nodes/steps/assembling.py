"""A frame's rows come in several messages: put them together."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from ssa_stream.protocols import FrameIdentity, FrameWork

__all__ = ["RowAssembler"]

T = TypeVar("T")


class RowAssembler(Generic[T]):
    """Parts of the frames of one stream that are not whole yet."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, int], dict[int, tuple[int, T]]] = {}

    def add(self, work: FrameWork, first_row: int, count: int, part: T) -> Sequence[T] | None:
        """Take a part of a frame.

        Args:
            work: The frame's.
            first_row: Of the part.
            count: Rows of the part; 0 only for a frame without rows.
            part: What came of them. One that comes again replaces the former.
        Returns:
            All parts of the frame in order of their rows, once they are there; None before.
        """
        key = (work.frame.epoch, work.frame.seq)
        parts = self._parts.setdefault(key, {})
        parts[first_row] = (count, part)
        if sum(rows for rows, _ in parts.values()) < work.num_rows:
            return None
        del self._parts[key]
        return [parts[row][1] for row in sorted(parts)]

    def forget(self, frame: FrameIdentity) -> None:
        """Frames up to this one, by epoch and number, will not become whole any more."""
        self._parts = {key: parts for key, parts in self._parts.items() if key > (frame.epoch, frame.seq)}

    def __len__(self) -> int:
        return len(self._parts)
