"""Turn the presentation times that files and cameras really write into a time that only goes forward."""

from fractions import Fraction

__all__ = ["Timeline"]

_DEFAULT_FPS = 25.0
_NUDGE_S = 0.001
_REBASE_AFTER_S = 1.0


class Timeline:
    """Assign strictly increasing seconds, 0 at the first frame.

    A missing time is the previous one plus a frame interval. A time that goes back a little (a duplicate, a wrong
    order) is moved just after the previous one; one that goes back by a second or more (a loop, a counter that
    wrapped, a spliced recording) starts a new count from there.

    Attributes:
        repaired: How many times were missing or went back.
    """

    def __init__(self, fps: float | None) -> None:
        self.repaired = 0
        self._step_s = 1.0 / (fps or _DEFAULT_FPS)
        self._origin_s: Fraction | None = None
        self._last_s: float | None = None

    def stamp(self, pts: int | None, time_base: Fraction | None) -> float:
        """Return the stream time in seconds of the next frame, whose written time is `pts * time_base`."""
        self._last_s = self._next(None if pts is None or time_base is None else pts * time_base)
        return self._last_s

    def _next(self, written_s: Fraction | None) -> float:
        follow_s = 0.0 if self._last_s is None else self._last_s + self._step_s
        if written_s is None:
            self.repaired += 1
            return follow_s
        if self._origin_s is None:
            self._origin_s = written_s - Fraction(follow_s)
        t = float(written_s - self._origin_s)
        if self._last_s is None or t > self._last_s:
            return t
        self.repaired += 1
        if self._last_s - t < _REBASE_AFTER_S:
            return self._last_s + min(_NUDGE_S, self._step_s)
        self._origin_s = written_s - Fraction(follow_s)
        return follow_s
