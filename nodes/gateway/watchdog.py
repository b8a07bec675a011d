"""When a session has to end, whatever its peer wants."""

from ssa_stream.nodes.gateway.excess import Excess
from ssa_stream.nodes.gateway.settings import PeerLimits

__all__ = ["Watchdog"]

_WINDOW_S = 5.0
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
        self._window = (now_s, 0)

    def look(self, now_s: float, received: int, *, is_connected: bool, has_media: bool) -> Excess | None:
        """Why the session has to end; None if it has not.

        Args:
            now_s: The time.
            received: Bytes that came so far.
            is_connected: Whether the connection was made.
            has_media: Whether something has to come all the time: media, or reports about it.
        """
        limits = self._limits
        if is_connected and not self._was_connected:
            self._was_connected, self._heard_s, self._window = True, now_s, (now_s, received)
        if received != self._received:
            self._received, self._heard_s = received, now_s
        if now_s - self._began_s > limits.session_s:
            text = f"the session has lasted {limits.session_s:g} s, the longest that is allowed; begin a new one"
            return Excess("session", text)
        if not self._was_connected:
            is_late = now_s - self._began_s > limits.connect_s
            return Excess("connect", f"not connected within {limits.connect_s:g} s") if is_late else None
        if has_media and now_s - self._heard_s > limits.silence_s:
            return Excess("silence", f"nothing came for {limits.silence_s:g} s")
        return self._too_much(now_s, received)

    def _too_much(self, now_s: float, received: int) -> Excess | None:
        since_s, before = self._window
        passed_s = now_s - since_s
        if passed_s < _WINDOW_S:
            return None
        self._window = now_s, received
        kbps = (received - before) * 8 / 1000 / passed_s
        if kbps <= _TOLERANCE * self._limits.bitrate_kbps:
            return None
        return Excess("bitrate", f"it sends {kbps:.0f} kbit/s; at most {self._limits.bitrate_kbps} are allowed")
