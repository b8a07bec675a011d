"""A clock that a test moves."""

__all__ = ["ManualClock"]


class ManualClock:
    """Time passes only when told.

    Attributes:
        now_ns: The time.
    """

    name = "monotonic:test"

    def __init__(self) -> None:
        self.now_ns = 10**12

    def monotonic_ns(self) -> int:
        """The time in nanoseconds."""
        return self.now_ns

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ns += round(seconds * 1e9)
