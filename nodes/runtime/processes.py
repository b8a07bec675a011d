"""Links between processes: small tensors in the message, large ones in shared memory.

A large tensor is copied once, into the sender's ring; the receiver computes on it where it lies.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
import zmq
import zmq.asyncio
from numpy.typing import NDArray

from ssa_stream.errors import MessageError, SessionStateError
from ssa_stream.nodes.runtime.clock import Clock, MonotonicClock
from ssa_stream.nodes.runtime.delivery import Delivery
from ssa_stream.nodes.runtime.links import LinkInlet, LinkMaskOutlet, connect, listen, push
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.parcel import Parcel
from ssa_stream.nodes.runtime.segments import ALIGNMENT, Segment, free_bytes, segment_prefix
from ssa_stream.nodes.runtime.shared_ring import NoRoomError, RingReader, SharedRing, Slot
from ssa_stream.nodes.runtime.tensor_bytes import copy_bytes, host_bytes, tensor_in
from ssa_stream.nodes.runtime.transport import CONTROL_LINK, PUBLISH_LINK
from ssa_stream.protocols import AnyMessage, FrameIdentity, Limits, TensorSpec, Unknown, decode, encode
from ssa_stream.protocols.tensors import as_array

if TYPE_CHECKING:
    import torch

__all__ = ["ProcessTransport"]

_LIMITS = Limits()
_INLINE_BYTES = 32 * 1024
"""Tensors below this length travel in the message: finding them in shared memory would take longer."""
_THREAD_BYTES = 2**20
"""From this length on the copy into the ring is made beside the event loop."""
_FULL_POLL_S = 0.001
_LOG = structlog.get_logger()


class _Manifest(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where the buffers of a message are.

    Attributes:
        segment: File with those that are in shared memory; empty if none is.
        generation: Of the content of that file.
        places: Offset and length in the file, per buffer; None for one that is a part of the message.
    """

    segment: str
    generation: int
    places: tuple[tuple[int, int] | None, ...]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Manifest)


class ProcessTransport:
    """Links of one node to nodes of other processes on this machine.

    Args:
        context: Of all its sockets.
        run_dir: Folder of the socket files, short; its name tells the graph's shared memory from others.
        node: Name of the node.
        incarnation: Another number for every start of it.
        ring_bytes: Most shared memory that the node takes for what it sends.
        clock: Of the times when messages come.
        folder: Where shared memory is; None for `memory_folder()`. The same for all nodes.
        free: Tells the room left there.
    """

    def __init__(
        self,
        context: zmq.asyncio.Context,
        run_dir: Path,
        node: str,
        incarnation: int,
        ring_bytes: int,
        *,
        clock: Clock | None = None,
        folder: Path | None = None,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self.context = context
        prefix = f"{segment_prefix(run_dir)}{node}-{incarnation}-"
        self.ring = SharedRing(prefix, ring_bytes, folder=folder, free=free)
        self.reader = RingReader(folder)
        self._run_dir = run_dir
        self._clock = clock or MonotonicClock()
        self._copier = ThreadPoolExecutor(max_workers=1, thread_name_prefix="copier")
        self._links: list[LinkInlet | _RingOutlet | LinkMaskOutlet] = []

    def mailbox_address(self, name: str) -> str:
        """Address of the socket that a node, `CONTROL_LINK` or `PUBLISH_LINK` binds."""
        return f"ipc://{self._run_dir}/{name}.sock"

    @property
    def control_address(self) -> str:
        """Where the hub listens to nodes."""
        return self.mailbox_address(CONTROL_LINK)

    @property
    def publish_address(self) -> str:
        """Where the hub listens to masks nodes."""
        return self.mailbox_address(PUBLISH_LINK)

    def inlet(self, name: str, *, metrics: NodeMetrics | None = None) -> LinkInlet:
        """Where messages to the node of this name arrive.

        Raises:
            TransportError: Its address cannot be used.
        """
        address = self.mailbox_address(name)
        inlet = LinkInlet(listen(self.context, address), address, self._read, self._clock, metrics)
        self._links.append(inlet)
        return inlet

    def outlet(self, names: Sequence[str]) -> "_RingOutlet":
        """A link to these nodes; they need not be there yet."""
        socket = connect(self.context, [self.mailbox_address(name) for name in names])
        outlet = _RingOutlet(socket, self.ring, self._copier)
        self._links.append(outlet)
        return outlet

    def mask_outlet(self) -> LinkMaskOutlet:
        """The link to the hub for masks."""
        outlet = LinkMaskOutlet(connect(self.context, [self.publish_address]))
        self._links.append(outlet)
        return outlet

    def close(self) -> None:
        """Close all links and remove the ring. May be called again."""
        for link in self._links:
            link.close()
        self._copier.shutdown(wait=True)
        self.ring.close()
        self.reader.close()

    def _read(self, frames: list[zmq.Frame], received_ns: int) -> Delivery | None:
        if len(frames) < 3:
            raise MessageError(f"message of {len(frames)} parts; expected an empty topic, a header and a manifest")
        topic, header, manifest, *inline = frames
        segment, generation, views = self._find_buffers(bytes(manifest.buffer), inline)
        try:
            message = decode([topic, header, *views], _LIMITS).message
            if not isinstance(message, Unknown):
                return _RingDelivery(message, received_ns, views, segment, generation)
        except MessageError:
            if segment is not None:
                segment.release(generation)
            raise
        if segment is not None:
            segment.release(generation)
        return None

    def _find_buffers(self, data: bytes, inline: list[zmq.Frame]) -> tuple[Segment | None, int, list[memoryview]]:
        if not data:
            return None, 0, [memoryview(frame.buffer) for frame in inline]
        try:
            manifest = _DECODER.decode(data)
        except msgspec.MsgspecError as error:
            raise MessageError(f"manifest of {len(data)} bytes cannot be read: {error}") from error
        places = [place for place in manifest.places if place is not None]
        if len(manifest.places) - len(places) != len(inline):
            raise MessageError(f"{len(inline)} buffers came; the manifest names {len(manifest.places) - len(places)}")
        segment, shared = None, list[memoryview]()
        if manifest.segment:
            segment, shared = self.reader.views(manifest.segment, manifest.generation, places)
        elif places:
            raise MessageError("manifest with places but no shared memory")
        parts, mapped = iter(inline), iter(shared)
        views = [memoryview(next(parts).buffer) if place is None else next(mapped) for place in manifest.places]
        return segment, manifest.generation, views


class _RingOutlet:
    def __init__(self, socket: zmq.asyncio.Socket, ring: SharedRing, copier: ThreadPoolExecutor) -> None:
        self._socket = socket
        self._ring = ring
        self._copier = copier
        self._lock = asyncio.Lock()
        self._has_warned = False

    async def send(self, message: AnyMessage, parcel: Parcel | None = None, *, timeout_s: float = 5.0) -> bool:
        """Send a message with its tensors; see `Outlet`. Tensors of other devices are copied to the CPU."""
        parcel = parcel or Parcel()
        parcel.expect_named_by(message)
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        async with self._lock:
            places, num_bytes = _plan(parcel)
            slot = None
            if num_bytes:
                slot, is_full = await self._slot(num_bytes, message, deadline_s)
                if is_full:
                    return False
            return await self._send_in(slot, places, message, parcel, deadline_s)

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
        places: list[tuple[int, int] | None],
        message: AnyMessage,
        parcel: Parcel,
        deadline_s: float,
    ) -> bool:
        loop = asyncio.get_running_loop()
        is_sent = False
        try:
            if slot is None:
                places = [None] * len(parcel)
                views = [host_bytes(item) for item in parcel.items]
            else:
                views = await self._fill(slot, places, parcel)
            _, header, *buffers = encode(message, views, limits=_LIMITS)
            manifest = b""
            if slot is not None:
                manifest = _ENCODER.encode(_Manifest(slot.segment.path.name, slot.generation, tuple(places)))
            inline = [view for place, view in zip(places, buffers, strict=True) if place is None]
            is_sent = await push(self._socket, [b"", header, manifest, *inline], deadline_s - loop.time())
            return is_sent
        finally:
            if slot is not None and not is_sent:
                slot.abandon()

    async def _fill(self, slot: Slot, places: list[tuple[int, int] | None], parcel: Parcel) -> list[memoryview]:
        views, copies = [], []
        for place, item in zip(places, parcel.items, strict=True):
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


def _plan(parcel: Parcel) -> tuple[list[tuple[int, int] | None], int]:
    """Where each tensor goes, as in a manifest, and how much shared memory that takes."""
    places: list[tuple[int, int] | None] = []
    end = 0
    for spec in parcel.specs:
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


class _RingDelivery(Delivery):
    """Tensors in the sender's memory, or in the message."""

    def __init__(
        self,
        message: AnyMessage,
        received_ns: int,
        views: list[memoryview],
        segment: Segment | None,
        generation: int,
    ) -> None:
        super().__init__(message, received_ns)
        self._views: list[memoryview] | None = views
        self._segment = segment
        self._generation = generation

    def tensor(self, spec: TensorSpec, device: "torch.device | str | None" = None) -> "torch.Tensor":
        """A tensor where it lies, on the CPU, or a copy on another device; small ones are copied in any case."""
        tensor = tensor_in(spec, self._view(spec))
        return tensor if device is None else tensor.to(device)

    def array(self, spec: TensorSpec) -> NDArray[Any]:
        """A tensor as read-only array, where it lies."""
        array = as_array(spec, self._view(spec))
        array.flags.writeable = False
        return array

    def is_valid(self) -> bool:
        """Whether the sender has not taken the memory back."""
        return self._segment is None or self._segment.generation == self._generation

    def release(self) -> None:
        """Give the memory back to its sender."""
        self._views = None
        if self._segment is not None:
            self._segment.release(self._generation)

    def _view(self, spec: TensorSpec) -> memoryview:
        if self._views is None:
            raise SessionStateError(f"tensor {spec.buffer} of a delivery that was released; take it before release()")
        return self._views[spec.buffer]
