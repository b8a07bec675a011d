"""Sending between processes: one copy of each large tensor, into shared memory."""

import asyncio
from concurrent.futures import ThreadPoolExecutor, wait

import structlog
import zmq.asyncio

from ssa_stream.errors import MessageError
from ssa_stream.nodes.runtime.transport.links import push
from ssa_stream.nodes.runtime.transport.payload import OutgoingPayload
from ssa_stream.nodes.runtime.transport.segments import ALIGNMENT
from ssa_stream.nodes.runtime.transport.shared_ring import Manifest, NoRoomError, Place, SharedRing, Slot
from ssa_stream.nodes.runtime.transport.tensor_bytes import copy_bytes, host_bytes
from ssa_stream.protocols import AnyMessage, FrameIdentity, Limits, encode

__all__ = ["RingOutlet"]

_LIMITS = Limits()
_INLINE_BYTES = 32 * 1024
"""Tensors below this length travel in the message: finding them in shared memory would take longer."""
_THREAD_BYTES = 16 * 2**20
"""From this length on the copy into the ring is made beside the event loop. A shorter one takes a few milliseconds at
most; waking another thread takes longer than that where the processor is busy."""
_FULL_POLL_S = 0.001
_LOG = structlog.get_logger()


class RingOutlet:
    """Sends messages whose large tensors lie in the node's ring.

    Args:
        socket: Its own; closed with it.
        ring: Of the node, shared by all its outlets.
        copier: Thread for long copies.
    """

    def __init__(self, socket: zmq.asyncio.Socket, ring: SharedRing, copier: ThreadPoolExecutor) -> None:
        self._socket = socket
        self._ring = ring
        self._copier = copier
        self._lock = asyncio.Lock()
        self._has_warned = False

    async def send(
        self, message: AnyMessage, payload: OutgoingPayload | None = None, *, timeout_s: float = 5.0
    ) -> bool:
        """Send a message with its tensors; see `Outlet`. Tensors of other devices are copied to the CPU."""
        payload = payload or OutgoingPayload()
        payload.expect_named_by(message)
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        async with self._lock:
            places, num_bytes = _plan(payload)
            slot = None
            if num_bytes:
                slot, is_full = await self._slot(num_bytes, message, deadline_s)
                if is_full:
                    return False
            return await self._send_in(slot, places, message, payload, deadline_s)

    async def _slot(self, num_bytes: int, message: AnyMessage, deadline_s: float) -> tuple[Slot | None, bool]:
        """A slot; None where the message must do without; and whether all were in use until the deadline."""
        loop = asyncio.get_running_loop()
        frame = _frame_of(message)
        try:
            while (slot := self._ring.take(num_bytes, frame.stream, frame.epoch)) is None:
                if loop.time() >= deadline_s:
                    return None, True
                await asyncio.sleep(_FULL_POLL_S)  # receivers free slots by writing to memory, which wakes nobody
        except NoRoomError as error:
            if not self._has_warned:
                self._has_warned = True
                _LOG.warning("no shared memory; tensors travel through sockets, which takes longer", error=str(error))
            return None, False
        return slot, False

    async def _send_in(
        self,
        slot: Slot | None,
        places: list[Place | None],
        message: AnyMessage,
        payload: OutgoingPayload,
        deadline_s: float,
    ) -> bool:
        loop = asyncio.get_running_loop()
        is_sent = False
        try:
            if slot is None:
                places = [None] * len(payload)
                views = [host_bytes(item) for item in payload.items]
            else:
                views = await self._fill(slot, places, payload)
            _, header, *buffers = encode(message, views, limits=_LIMITS)
            manifest = b""
            if slot is not None:
                manifest = Manifest(slot.segment.path.name, slot.generation, tuple(places)).encode()
            inline = [view for place, view in zip(places, buffers, strict=True) if place is None]
            is_sent = await push(self._socket, [b"", header, manifest, *inline], deadline_s - loop.time())
            return is_sent
        finally:
            if slot is not None and not is_sent:
                slot.abandon()

    async def _fill(self, slot: Slot, places: list[Place | None], payload: OutgoingPayload) -> list[memoryview]:
        views, copies = [], []
        for place, item in zip(places, payload.items, strict=True):
            views.append(host_bytes(item) if place is None else slot.segment.view(*place))
            if place is not None:
                copies.append((item, views[-1]))

        def copy() -> None:
            for item, target in copies:
                copy_bytes(item, target)

        if sum(target.nbytes for _, target in copies) < _THREAD_BYTES:
            copy()
            return views
        call = self._copier.submit(copy)
        try:
            await asyncio.wrap_future(call)
        except asyncio.CancelledError:  # it goes on for a moment; nobody else may get the slot before
            wait([call])
            raise
        return views

    def close(self) -> None:
        """Take the link down at once. May be called again."""
        self._socket.close(linger=0)


def _plan(payload: OutgoingPayload) -> tuple[list[Place | None], int]:
    """Where each tensor goes, as in a manifest, and how much shared memory that takes."""
    places: list[Place | None] = []
    end = 0
    for spec in payload.specs:
        if spec.nbytes < _INLINE_BYTES:
            places.append(None)
        else:
            places.append((end, spec.nbytes))
            end += -(-spec.nbytes // ALIGNMENT) * ALIGNMENT
    return places, end


def _frame_of(message: AnyMessage) -> FrameIdentity:
    """The frame that a message with tensors is about."""
    work = getattr(message, "work", None)
    frame = getattr(message if work is None else work, "frame", None)
    if not isinstance(frame, FrameIdentity):
        raise MessageError(f"{type(message).__name__} has tensors but is about no frame")
    return frame
