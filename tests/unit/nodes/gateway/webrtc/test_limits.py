"""Rates, and what ends a peer."""

from ssa_stream.nodes.gateway.settings import PeerLimits
from ssa_stream.nodes.gateway.webrtc.limits import RateLimit, Watchdog


def test_rate_burst_and_pace_are_limited() -> None:
    """Twice the rate at once, then the rate."""
    now = [0.0]
    rate = RateLimit(10, lambda: now[0])
    assert sum(rate.take() for _ in range(100)) == 20
    now[0] = 1.0
    assert sum(rate.take() for _ in range(100)) == 10


LIMITS = PeerLimits(bitrate_kbps=1000, session_s=100.0, connect_s=5.0, silence_s=3.0)


def _look(dog: Watchdog, now_s: float, received: int = 0, connected: bool = True, media: bool = True) -> str:
    exceeded = dog.look(now_s, received, is_connected=connected, has_media=media)
    return "" if exceeded is None else f"{exceeded.limit}: {exceeded.text}"


def test_watchdog_never_connected_ends() -> None:
    """An offer whose sender is gone takes no place for long."""
    dog = Watchdog(LIMITS, 0.0)
    assert _look(dog, 4.0, connected=False) == ""
    assert "connect: not connected" in _look(dog, 6.0, connected=False)


def test_watchdog_silence_ends_only_with_media() -> None:
    """A killed browser says nothing; one with data channels only may have nothing to say."""
    dog, quiet = Watchdog(LIMITS, 0.0), Watchdog(LIMITS, 0.0)
    for now_s in (1.0, 2.0, 3.0):
        assert _look(dog, now_s, received=int(now_s)) == ""
    assert "silence: nothing came" in _look(dog, 6.5, received=3)
    assert _look(quiet, 1.0, media=False) == ""
    assert _look(quiet, 50.0, media=False) == ""


def test_watchdog_session_and_bitrate_end() -> None:
    """Half a megabit too much for a window, and too long a session."""
    dog = Watchdog(LIMITS, 0.0)
    assert _look(dog, 1.0) == ""
    assert _look(dog, 6.0, received=5 * 125_000) == ""
    too_much = _look(dog, 11.0, received=5 * 125_000 + 5 * 250_000)
    assert too_much.startswith("bitrate: ")
    assert "kbit/s" in too_much
    assert "session: " in _look(Watchdog(LIMITS, 0.0), 101.0)
