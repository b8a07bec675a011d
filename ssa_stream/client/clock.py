"""This machine's clock, and the least delay of messages that carry times of another machine's clock."""

import time

from ssa_stream.protocols import FrameIdentity, host_clock_name

__all__ = ["DelayEstimate", "now_ns", "picture_age_s"]

_NS = 1e-9
_BASELINE_NS = 30 * 1_000_000_000

now_ns = time.monotonic_ns


def picture_age_s(frame: FrameIdentity, at_ns: int) -> float | None:
    """Seconds since a picture was taken, or since it was received if that is not known.

    Args:
        frame: Tells when that was.
        at_ns: On this machine's clock.
    Returns:
        None if it was stamped by the clock of another machine: such times cannot be compared.
    """
    here = host_clock_name()
    if frame.t_capture_ns is not None and frame.capture_clock == here:
        return (at_ns - frame.t_capture_ns) * _NS
    return (at_ns - frame.t_receive_ns) * _NS if frame.receive_clock == here else None


class DelayEstimate:
    """How much longer than the quickest ones messages take whose times are of one clock that is not this machine's.

    Two clocks have an unknown difference, so that the shortest delay seen counts as none: the estimate is too low by
    that much. Only the last half minute to minute counts, since clocks drift apart.
    """

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self._baseline_ns = 0
        self._next_baseline_ns = 0

    def add(self, sent_ns: int, arrived_ns: int) -> float:
        """Note a message; returns its delay in seconds beyond the quickest one's."""
        offset = arrived_ns - sent_ns
        if self._since_ns is None:
            self._since_ns, self._baseline_ns, self._next_baseline_ns = arrived_ns, offset, offset
        if arrived_ns - self._since_ns > _BASELINE_NS:
            self._since_ns = arrived_ns
            self._baseline_ns, self._next_baseline_ns = self._next_baseline_ns, offset
        self._next_baseline_ns = min(self._next_baseline_ns, offset)
        self._baseline_ns = min(self._baseline_ns, offset)
        return (offset - self._baseline_ns) * _NS
