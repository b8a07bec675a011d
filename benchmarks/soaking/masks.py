"""A subscriber that notes how old masks are when they come."""

import threading
from collections import defaultdict
from typing import NamedTuple

import numpy as np

from ssa_stream.client import MaskSubscription

__all__ = ["Ages", "MaskLog"]

_WAIT_S = 0.5


class Ages(NamedTuple):
    """How old masks were within a while, milliseconds since the camera; None if none came whose time it told."""

    p50_ms: float | None
    p95_ms: float | None


class MaskLog:
    """Takes all masks of a graph, in a thread; a context manager.

    Args:
        publish: Where they are published.
    """

    def __init__(self, publish: str) -> None:
        self._subscription = MaskSubscription(publish)
        self._lock = threading.Lock()
        self._ages_ms: dict[str, list[float]] = defaultdict(list)
        self._received_ns: dict[str, list[int]] = defaultdict(list)
        self._arrived_ns: dict[str, list[int]] = defaultdict(list)
        self._count: dict[str, int] = defaultdict(int)
        self._thread = threading.Thread(target=self._read, name="masks")

    def __enter__(self) -> "MaskLog":
        """Begin to read."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread."""
        self._subscription.close()
        self._thread.join()

    @property
    def is_connected(self) -> bool:
        """Whether masks would come now."""
        return self._subscription.is_connected

    def count(self, stream: str) -> int:
        """Masks of a stream so far, with those that a newer one overtook here."""
        with self._lock:
            return self._count[stream]

    def take_ages(self, stream: str) -> Ages:
        """Ages since this was asked last."""
        with self._lock:
            ages = self._ages_ms.pop(stream, [])
        p50, p95 = np.percentile(ages, [50, 95]) if ages else (None, None)
        return Ages(*(None if one is None else float(one) for one in (p50, p95)))

    def first_after(self, stream: str, back_ns: int) -> int | None:
        """When the first masks of a picture came that was received after a moment; None if none have."""
        with self._lock:
            pairs = zip(self._received_ns[stream], self._arrived_ns[stream], strict=True)
            return next((arrived for received, arrived in pairs if received > back_ns), None)

    def forget_before(self, moment_ns: int) -> None:
        """Nobody will ask `first_after` about an earlier moment."""
        with self._lock:
            for stream, received in self._received_ns.items():
                keep = next((at for at, one in enumerate(received) if one > moment_ns), len(received))
                del received[:keep], self._arrived_ns[stream][:keep]

    def _read(self) -> None:
        for view in self._subscription:
            frame, age_s = view.frame, view.age_s
            with self._lock:
                self._count[frame.stream] += 1 + view.dropped_here
                self._received_ns[frame.stream].append(frame.t_receive_ns)
                self._arrived_ns[frame.stream].append(view.arrived_ns)
                if age_s is not None and frame.t_capture_ns is not None:
                    self._ages_ms[frame.stream].append(age_s * 1e3)
