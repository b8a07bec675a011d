"""Dropping frames: when they are too old, and who is told."""

import structlog

from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.nodes.runtime.logs import LogLimit
from ssa_stream.nodes.runtime.node import NodeContext
from ssa_stream.nodes.runtime.transport.interface import Outlet
from ssa_stream.protocols import DropNotice, DropReason, EventKind, FrameIdentity, FrameWork

__all__ = ["Drops", "is_stale", "wait_ns"]

_LOG = structlog.get_logger()
_TRACE_EVERY_S = 60.0
"""Between two tracebacks of one kind of error: what fails may fail with every frame."""


def is_stale(work: FrameWork, settings: PipelineConfig, *, clock: str, now_ns: int) -> bool:
    """Whether a live frame is older than the staleness budget; never one that makes a memory anew.

    Args:
        work: The frame's.
        settings: Of the graph.
        clock: Name of the clock of `now_ns`; frames of another clock have no known age.
        now_ns: The time.
    """
    if work.is_replay or work.frame.receive_clock != clock or not work.frame.live:
        return False
    return now_ns - work.frame.t_receive_ns > settings.flow.staleness_s * 1e9


def wait_ns(frame: FrameIdentity, settings: PipelineConfig) -> int:
    """How long a frame waits for what has to come before it.

    Where every frame counts, nothing is given up before the broker has had the time to notice a node that hangs: it
    then begins a new epoch, in which all is sent again.
    """
    waits_s = settings.flow.reorder_wait_s
    if not frame.live:
        waits_s = max(waits_s, settings.health.hang_timeout_s + settings.health.start_timeout_s)
    return round(waits_s * 1e9)


class Drops:
    """Counts the frames that a node drops and tells whoever comes next.

    Args:
        node: The node.
        outlet: Where its frames go; None at the end of the path.
    """

    def __init__(self, node: NodeContext, outlet: Outlet | None = None) -> None:
        self._node = node
        self._outlet = outlet
        self._log, self._traces = LogLimit(), LogLimit(_TRACE_EVERY_S)

    def count(self, frame: FrameIdentity, reason: DropReason, *, error: Exception | None = None) -> None:
        """Count a dropped frame; if work on it failed, say so aloud.

        Where every frame counts, what a restarted node loses is sent again: that is no drop.
        """
        if frame.live or reason is not DropReason.NODE_RESTART:
            self._node.metrics.dropped(frame.stream, reason)
        if error is None:
            return
        left_out = self._log.due("failed")
        if left_out is not None:
            _LOG.error(
                "work failed; the frame is dropped",
                node=self._node.name,
                stream=frame.stream,
                epoch=frame.epoch,
                seq=frame.seq,
                error=f"{type(error).__name__}: {error}",
                left_out=left_out,
                exc_info=error if self._traces.due(type(error).__name__) is not None else None,
            )
        self._node.broker.event(
            EventKind.FRAMES_DROPPED,
            stream=frame.stream,
            severity="error",
            epoch=frame.epoch,
            seq=frame.seq,
            frames_lost=1,
            reason=reason,
            text=f"{type(error).__name__}: {error}",
        )

    def notice(
        self, frame: FrameIdentity, frames_missed: int, reason: DropReason, *, error: Exception | None = None
    ) -> DropNotice:
        """Count a dropped frame and make the notice of it."""
        self.count(frame, reason, error=error)
        return DropNotice(frame=frame, node=self._node.name, reason=reason, frames_missed=frames_missed)

    async def drop_stale(self, work: FrameWork) -> bool:
        """Drop a frame that is too old; returns whether it was. See `is_stale`."""
        clock = self._node.clock
        if not is_stale(work, self._node.settings, clock=clock.name, now_ns=clock.monotonic_ns()):
            return False
        await self.drop(work, DropReason.STALE)
        return True

    async def drop(self, work: FrameWork, reason: DropReason, *, error: Exception | None = None) -> None:
        """Drop a frame and tell whoever comes next."""
        notice = self.notice(work.frame, work.frames_missed, reason, error=error)
        if self._outlet is not None and not await self._outlet.send(notice):
            left_out = self._log.due("not sent")
            if left_out is not None:
                _LOG.warning(
                    "notice of a dropped frame not sent",
                    node=self._node.name,
                    stream=work.frame.stream,
                    left_out=left_out,
                )
