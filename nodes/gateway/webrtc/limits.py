"""Limits of a peer: how much it may send, and when its session is ended."""

import time
from collections.abc import Callable
from typing import NamedTuple

from ssa_stream.nodes.gateway.settings import PeerLimits

__all__ = ["LimitExceeded", "RateLimit", "Watchdog"]


class LimitExceeded(NamedTuple):
    """A limit that a peer has come to, which ends its session.

    Attributes:
        limit: Which one, as a keyword; metrics count it as `limit_<keyword>`.
        text: For people: what came, what is allowed.
    """

    limit: str
    text: str


class RateLimit:
    """Room for so many things a second, and for twice as many at once after a pause.

    Args:
        rate_hz: How many.
        clock: Seconds.
    """

    def __init__(self, rate_hz: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate_hz, self._clock = rate_hz, clock
        self._room = 2 * rate_hz
        self._since_s = clock()

    def take(self) -> bool:
        """Whether there is room for one; it is taken then."""
        now_s = self._clock()
        self._room = min(2 * self._rate_hz, self._room + (now_s - self._since_s) * self._rate_hz)
        self._since_s = now_s
        if self._room < 1:
            return False
        self._room -= 1
        return True


_INTERVAL_S = 5.0
_TOLERANCE = 1.5
"""A sender that keeps to its limit on average may be above it for a while."""


class Watchdog:
    """Looks at a peer every now and then. Knows no connection and no clock.

    Args:
        limits: What is allowed.
        now_s: When the session began.
    """

    def __init__(self, limits: PeerLimits, now_s: float) -> None:
        self._limits = limits
        self._began_s = now_s
        self._heard_s = now_s
        self._received = 0
        self._was_connected = False
        self._interval = (now_s, 0)

    def look(self, now_s: float, received: int, *, is_connected: bool, has_media: bool) -> LimitExceeded | None:
        """Why the session has to end; None if it has not.

        Args:
            now_s: The time.
            received: Bytes that came so far.
            is_connected: Whether the connection was made.
            has_media: Whether something has to come all the time: media, or reports about it.
        """
        limits = self._limits
        if is_connected and not self._was_connected:
            self._was_connected, self._heard_s, self._interval = True, now_s, (now_s, received)
        if received != self._received:
            self._received, self._heard_s = received, now_s
        if now_s - self._began_s > limits.session_s:
            text = f"the session has lasted {limits.session_s:g} s, the longest that is allowed; begin a new one"
            return LimitExceeded("session", text)
        if not self._was_connected:
            is_late = now_s - self._began_s > limits.connect_s
            return LimitExceeded("connect", f"not connected within {limits.connect_s:g} s") if is_late else None
        if has_media and now_s - self._heard_s > limits.silence_s:
            return LimitExceeded("silence", f"nothing came for {limits.silence_s:g} s")
        return self._too_much(now_s, received)

    def _too_much(self, now_s: float, received: int) -> LimitExceeded | None:
        since_s, before = self._interval
        passed_s = now_s - since_s
        if passed_s < _INTERVAL_S:
            return None
        self._interval = now_s, received
        kbps = (received - before) * 8 / 1000 / passed_s
        if kbps <= _TOLERANCE * self._limits.bitrate_kbps:
            return None
        return LimitExceeded("bitrate", f"it sends {kbps:.0f} kbit/s; at most {self._limits.bitrate_kbps} are allowed")
