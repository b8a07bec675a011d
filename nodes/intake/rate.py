"""How fast frames come, measured."""

from collections import deque

__all__ = ["RateMeter"]


class RateMeter:
    """Frames per second over the last ones that were taken.

    Args:
        frames: How many of them.
    """

    def __init__(self, frames: int = 30) -> None:
        self._seen: deque[tuple[int, int]] = deque(maxlen=frames + 1)

    def saw(self, count: int, at_ns: int) -> None:
        """Note a frame.

        Args:
            count: Frames of the source so far; those that were overtaken count as well.
            at_ns: When it came.
        """
        self._seen.append((count, at_ns))

    def reset(self) -> None:
        """Forget the frames so far."""
        self._seen.clear()

    @property
    def rate_hz(self) -> float | None:
        """Frames per second; None before there are two at different times."""
        if len(self._seen) < 2:
            return None
        (first, begin_ns), (last, end_ns) = self._seen[0], self._seen[-1]
        return (last - first) * 1e9 / (end_ns - begin_ns) if end_ns > begin_ns and last > first else None
