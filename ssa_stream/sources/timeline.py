"""Turn the presentation times that files and cameras really write into a time that only goes forward."""

from fractions import Fraction

__all__ = ["Timeline"]

_DEFAULT_FPS = 25.0
_NUDGE_S = 0.001
_REBASE_AFTER_S = 1.0
_LEAP_S = 2.0


class Timeline:
    """Assign strictly increasing seconds, 0 at the first frame.

    A missing time is the previous one plus a frame interval. A time that goes back a little (a duplicate, a wrong
    order) is moved just after the previous one; one that goes back by a second or more (a loop, a counter that
    wrapped, a spliced recording) starts a new count from there. So does, on a live source, one that leaps ahead by two
    seconds more than have passed: a camera whose clock was set.

    Attributes:
        repaired: How many times were missing, went back or leapt.
    """

    def __init__(self, fps: float | None) -> None:
        self.repaired = 0
        self._step_s = 1.0 / (fps or _DEFAULT_FPS)
        self._origin_s: Fraction | None = None
        self._last_s: float | None = None

    def stamp(self, pts: int | None, time_base: Fraction | None, passed_s: float | None = None) -> float:
        """Return the stream time in seconds of the next frame.

        Args:
            pts: Its written time in units of `time_base`.
            time_base: Seconds per unit.
            passed_s: Seconds on the host's clock since the frame before it, for a live source; None otherwise.
        """
        written_s = None if pts is None or time_base is None else pts * time_base
        self._last_s = self._next(written_s, passed_s)
        return self._last_s

    def _next(self, written_s: Fraction | None, passed_s: float | None) -> float:
        last_s = self._last_s
        follow_s = 0.0 if last_s is None else last_s + max(self._step_s, passed_s or 0.0)
        if written_s is None:
            self.repaired += 1
            return 0.0 if last_s is None else last_s + self._step_s
        if self._origin_s is None:
            first_s = 0.0 if last_s is None else last_s + self._step_s
            self._origin_s = written_s - Fraction(first_s)
        t = float(written_s - self._origin_s)
        if last_s is None or (t > last_s and not _leaps(t - last_s, passed_s)):
            return t
        self.repaired += 1
        if 0 <= last_s - t < _REBASE_AFTER_S:
            return last_s + min(_NUDGE_S, self._step_s)
        self._origin_s = written_s - Fraction(follow_s)
        return follow_s


def _leaps(step_s: float, passed_s: float | None) -> bool:
    return passed_s is not None and step_s > passed_s + _LEAP_S
