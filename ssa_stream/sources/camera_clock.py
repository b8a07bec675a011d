"""From a camera's clock to the host's, as long as the two agree."""

__all__ = ["CameraClock"]

_WINDOW_NS = 10_000_000_000


class CameraClock:
    """Map times of a camera's clock to the host's monotonic clock, and notice when that would be wrong.

    A picture is received after it was taken, so its age, the host's wall clock minus the camera's, is the way it took
    plus what the clocks differ by. The least age of the last seconds tells: if it is a plausible delay the clocks agree
    and ages count; if it is negative or long they do not, and the camera's time is good for nothing but its own order.
    One late picture does not change the verdict, one clock that was set does.
    """

    def __init__(self, *, tolerance_s: float = 0.1, longest_delay_s: float = 2.0) -> None:
        """Start without an opinion.

        Args:
            tolerance_s: By how much the camera's clock may be ahead.
            longest_delay_s: Least age from which on the camera's clock counts as slow.
        """
        self._tolerance_ns = round(tolerance_s * 1e9)
        self._longest_delay_ns = round(longest_delay_s * 1e9)
        self._window_began_ns = 0
        self._least_ns: int | None = None
        self._least_before_ns: int | None = None

    @property
    def least_age_s(self) -> float | None:
        """Least age of the last 10 to 20 seconds: shortest delay plus difference of the clocks. None at the start."""
        known = [age for age in (self._least_ns, self._least_before_ns) if age is not None]
        return min(known) / 1e9 if known else None

    @property
    def agrees(self) -> bool:
        """Whether the camera's clock agrees with the host's."""
        least_s = self.least_age_s
        return least_s is not None and -self._tolerance_ns <= least_s * 1e9 <= self._longest_delay_ns

    def to_monotonic_ns(self, camera_ns: int, *, received_ns: int, received_utc_ns: int) -> int | None:
        """Return when a picture was taken, on the host's monotonic clock; None when the clocks do not agree.

        Args:
            camera_ns: When it was taken by the camera's clock, in nanoseconds since 1970.
            received_ns: When it was received, monotonic.
            received_utc_ns: The same moment on the host's wall clock.
        """
        age_ns = received_utc_ns - camera_ns
        self._note(age_ns, received_ns)
        # Within the tolerance a camera may seem to see the future; nothing is older than it was received.
        return received_ns - max(0, age_ns) if self.agrees else None

    def _note(self, age_ns: int, now_ns: int) -> None:
        if self._least_ns is None or now_ns - self._window_began_ns >= _WINDOW_NS:
            self._least_before_ns, self._least_ns, self._window_began_ns = self._least_ns, age_ns, now_ns
        self._least_ns = min(self._least_ns, age_ns)
