"""Single keys of a terminal, without Enter."""

import os
import select
import sys
import termios
import tty
from types import TracebackType
from typing import Self

__all__ = ["Keyboard"]


class Keyboard:
    """While it is open, keys come one by one and are not shown. Where the input is no terminal, none come."""

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
            self._before = termios.tcgetattr(self._descriptor)
            tty.setcbreak(self._descriptor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._before is not None:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)  # type: ignore[arg-type]

    def pressed(self) -> str:
        """Keys that were pressed since the last call; empty if none was. Does not wait."""
        found = ""
        while self._is_terminal and select.select([self._descriptor], [], [], 0)[0]:
            pressed = os.read(self._descriptor, 64)
            if not pressed:
                break  # the terminal is gone
            found += pressed.decode(errors="replace")
        return found
