"""Ctrl-C and SIGTERM as a wish to stop, so that what is being written is finished first."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupts"]


class Interrupts:
    """While in force, the first signal asks to stop and only cuts waiting short; the second one stops at once.

    Use it in the main thread:

        with Interrupts() as interrupts:
            while not interrupts.requested:
                with interrupts.cut_short():
                    item = wait_for_something()
                write(item)

    Attributes:
        requested: Whether a signal came.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False
        self._is_waiting = False
        self._previous: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> "Interrupts":
        for number in self._SIGNALS:
            self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextmanager
    def cut_short(self) -> Iterator[None]:
        """Code that a signal may interrupt; it then ends quietly with `requested` set."""
        self._is_waiting = True
        try:
            yield
        except KeyboardInterrupt:
            if not self.requested:
                raise
        finally:
            self._is_waiting = False

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        is_second, self.requested = self.requested, True
        if is_second or self._is_waiting:
            self._is_waiting = False
            raise KeyboardInterrupt
