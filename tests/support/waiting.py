"""Waiting for what gives no event, as it happens in another thread or process: it is looked at until a deadline."""

import asyncio
import time
from collections.abc import Callable

__all__ = ["until", "wait_until"]

_PATIENCE_S = 300.0
_POLL_S = 0.005


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Wait until something holds.

    Args:
        condition: What is waited for.
        what: Its name, for the error.
    Raises:
        AssertionError: It does not, for a long time.
    """
    deadline_s = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {_PATIENCE_S:g} s: {what}"
        await asyncio.sleep(_POLL_S)


def wait_until(condition: Callable[[], object], what: str | Callable[[], str] = "") -> None:
    """The same, in a thread without an event loop; what the error says may be looked up then."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() >= deadline_s:
            raise AssertionError(f"not within {_PATIENCE_S:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(_POLL_S)
