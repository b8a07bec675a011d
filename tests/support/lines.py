"""What a process prints, read while it runs."""

import queue
import threading
import time
from typing import IO

import pytest

__all__ = ["PATIENCE_S", "Lines"]

PATIENCE_S = 120.0


class Lines:
    """The lines of a pipe, as they come."""

    def __init__(self, pipe: IO[str]) -> None:
        self.all: list[str] = []
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, args=(pipe,))
        self._thread.start()

    def _read(self, pipe: IO[str]) -> None:
        for line in pipe:
            self._queue.put(line)
        self._queue.put(None)

    def until(self, text: str, *, beside: "Lines | None" = None) -> None:
        """Wait for a line that holds the text, passing over the others.

        Args:
            text: What to look for.
            beside: What to show as well if it does not come.
        """
        deadline_s = time.monotonic() + PATIENCE_S
        while (left_s := deadline_s - time.monotonic()) > 0:
            try:
                line = self._queue.get(timeout=left_s)
            except queue.Empty:
                break
            if line is None:
                break
            self.all.append(line)
            if text in line:
                return
        pytest.fail(f"{text!r} did not come; what came: {self.all[-20:]}, beside {beside.rest() if beside else None}")

    def rest(self) -> list[str]:
        """Every line, once the other side has closed."""
        self._thread.join(PATIENCE_S)
        while not self._queue.empty():
            line = self._queue.get()
            if line is not None:
                self.all.append(line)
        return self.all
