"""Frames of one connection after the other as one stream."""

import dataclasses

from ssa_stream.sources.frame import Frame

__all__ = ["Continuation"]

_LEAST_STEP_S = 0.001


class Continuation:
    """Number epochs across connections, and let stream time go on over the gaps by the time of receipt."""

    def __init__(self) -> None:
        self._epoch = -1
        self._inner_epoch: int | None = None
        self._shift_s: float | None = None
        self._last_t = 0.0
        self._last_receive_ns: int | None = None

    def connection_began(self) -> None:
        """The next frame is the first of a new connection."""
        self._inner_epoch = None
        self._shift_s = None

    def number(self, frame: Frame) -> Frame:
        """Return the frame with its epoch and time in the whole stream."""
        if frame.epoch != self._inner_epoch:
            self._inner_epoch = frame.epoch
            self._epoch += 1
        if self._shift_s is None:
            self._shift_s = self._gone_on_s(frame) - frame.t
        self._last_t, self._last_receive_ns = frame.t + self._shift_s, frame.t_receive_ns
        return dataclasses.replace(frame, epoch=self._epoch, t=self._last_t)

    def _gone_on_s(self, frame: Frame) -> float:
        """Stream time of the first frame of a connection."""
        if self._last_receive_ns is None:
            return frame.t
        passed_s = (frame.t_receive_ns - self._last_receive_ns) / 1e9
        return self._last_t + max(passed_s, _LEAST_STEP_S)
