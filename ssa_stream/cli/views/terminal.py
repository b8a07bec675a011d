"""What a person does at the terminal: Ctrl-C and closing it as requests to stop, and single keys."""

import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

from ssa_stream.nodes.runtime.signals import ending_signals, pass_over_hangups

__all__ = ["Interrupts", "Keyboard"]

T = TypeVar("T")


class Interrupts:
    """While in force, the first signal asks to stop and only cuts waiting short; the second one stops at once.

    SIGHUP never is a second one: a closed terminal and its shell both send it, and so does systemd after SIGTERM. After
    any signal it does nothing once this is over. One of these within another counts for both.

    Use it in the main thread:

        with Interrupts() as interrupts:
            while (item := interrupts.cut_short(wait_for_something)) is not None:
                write(item)

    Attributes:
        requested: Whether a signal came.
    """

    def __init__(self) -> None:
        self.requested = False
        self._is_waiting = False
        self._previous: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> "Interrupts":
        for number in ending_signals():
            self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if self.requested:
            pass_over_hangups()
        outer = getattr(self._previous[signal.SIGINT], "__self__", None)
        if isinstance(outer, Interrupts):
            outer.requested |= self.requested

    def cut_short(self, wait: Callable[[], T]) -> T | None:
        """Do something that a signal may interrupt; returns None then, and if a signal came before.

        There is no moment at which a signal is noted and the wait begins all the same.
        """
        try:
            try:
                self._is_waiting = True
                return None if self.requested else wait()
            finally:
                self._is_waiting = False
        except KeyboardInterrupt:
            if not self.requested:
                raise
            return None

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        is_second, self.requested = self.requested and number != signal.SIGHUP, True
        if is_second or self._is_waiting:
            self._is_waiting = False
            raise KeyboardInterrupt


class Keyboard:
    """While it is open, keys come one by one and are not shown. Where the input is no terminal, none come.

    Not every system has the modules for it, so that they are imported when it is opened.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        """Name the terminal.

        Args:
            descriptor: Of the terminal; None for standard input.
        """
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        self._is_terminal = os.isatty(self._descriptor)
        self._before: list[object] | None = None

    def __enter__(self) -> Self:
        if self._is_terminal:
            import termios
            import tty

            self._before = termios.tcgetattr(self._descriptor)
            with _stopped_in_background():
                tty.setcbreak(self._descriptor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._before is not None:
            import termios

            before: list[Any] = [*self._before]
            with _stopped_in_background(), contextlib.suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, before)

    def pressed(self) -> str:
        """Keys that were pressed since the last call; empty if none was. Does not wait."""
        found = ""
        while self._is_terminal and select.select([self._descriptor], [], [], 0)[0]:
            try:
                pressed = os.read(self._descriptor, 64)
            except OSError:  # the terminal is gone
                pressed = b""
            if not pressed:
                break
            found += pressed.decode(errors="replace")
        return found


@contextmanager
def _stopped_in_background() -> Iterator[None]:
    """While in force, a program in the background that sets its terminal waits until it is in the foreground.

    Elsewhere it goes on (`ssa_stream.standard_streams`), but this terminal is another program's at the moment.
    """
    previous = signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTTOU, previous)
