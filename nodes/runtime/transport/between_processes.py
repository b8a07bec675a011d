"""Links between processes: small tensors in the message, large ones in shared memory.

A large tensor is copied once, into the sender's ring; the receiver computes on it where it lies.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq
import zmq.asyncio
from numpy.typing import NDArray

from ssa_stream.errors import MessageError, SessionStateError
from ssa_stream.nodes.runtime.clock import Clock
from ssa_stream.nodes.runtime.transport.link_transport import LinkTransport
from ssa_stream.nodes.runtime.transport.links import connect
from ssa_stream.nodes.runtime.transport.received import ReceivedMessage
from ssa_stream.nodes.runtime.transport.ring_outlet import RingOutlet
from ssa_stream.nodes.runtime.transport.segments import Segment, free_bytes, segment_prefix
from ssa_stream.nodes.runtime.transport.shared_ring import Manifest, RingReader, SharedRing
from ssa_stream.nodes.runtime.transport.tensor_bytes import tensor_in
from ssa_stream.protocols import AnyMessage, Limits, TensorSpec, Unknown, decode
from ssa_stream.protocols.tensors import as_array

if TYPE_CHECKING:
    import torch

__all__ = ["ProcessTransport", "RingMessage", "read_message"]

_LIMITS = Limits()


def read_message(frames: list[zmq.Frame], received_ns: int, reader: RingReader) -> ReceivedMessage | None:
    """Make a received of the parts of a message; None for one of a type that only later versions know.

    Raises:
        MessageError: It cannot be read. Its memory is given back, if it can be told which.
    """
    if len(frames) < 3:
        raise MessageError(f"message of {len(frames)} parts; expected an empty topic, a header and a manifest")
    topic, header, manifest, *inline = frames
    segment, generation, views = _find_buffers(bytes(manifest.buffer), inline, reader)
    received = None
    try:
        message = decode([topic, header, *views], _LIMITS).message
        if not isinstance(message, Unknown):
            received = RingMessage(message, received_ns, views, segment, generation)
    finally:
        if received is None and segment is not None:
            segment.release(generation)
    return received


def _find_buffers(
    data: bytes, inline: list[zmq.Frame], reader: RingReader
) -> tuple[Segment | None, int, list[memoryview]]:
    """Memory of the buffers, and the file that some of them are in."""
    if not data:
        return None, 0, [memoryview(frame.buffer) for frame in inline]
    manifest = Manifest.decode(data)
    places = manifest.shared
    if len(manifest.places) - len(places) != len(inline):
        raise MessageError(f"{len(inline)} buffers came; the manifest names {len(manifest.places) - len(places)}")
    segment, views = None, list[memoryview]()
    if manifest.segment:
        segment, views = reader.views(manifest.segment, manifest.generation, places)
    elif places:
        raise MessageError("manifest with places but no shared memory")
    parts, mapped = iter(inline), iter(views)
    views = [memoryview(next(parts).buffer) if place is None else next(mapped) for place in manifest.places]
    return segment, manifest.generation, views


class RingMessage(ReceivedMessage):
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
            raise SessionStateError(f"tensor {spec.buffer} of a received that was released; take it before release()")
        return self._views[spec.buffer]


class ProcessTransport(LinkTransport):
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
        super().__init__(context, clock)
        prefix = f"{segment_prefix(run_dir)}{node}-{incarnation}-"
        self.ring = SharedRing(prefix, ring_bytes, folder=folder, free=free)
        self.reader = RingReader(folder)
        self._run_dir = run_dir
        self._copier = ThreadPoolExecutor(max_workers=1, thread_name_prefix="copier")

    def link_address(self, name: str) -> str:
        """Address of the socket that a node, `CONTROL_LINK` or `PUBLISH_LINK` binds."""
        return f"ipc://{self._run_dir}/{name}.sock"

    def outlet(self, names: Sequence[str]) -> RingOutlet:
        """A link to these nodes; they need not be there yet."""
        socket = connect(self.context, [self.link_address(name) for name in names])
        outlet = RingOutlet(socket, self.ring, self._copier)
        self._links.append(outlet)
        return outlet

    def close(self) -> None:
        """Close all links and remove the ring. May be called again."""
        super().close()
        self._copier.shutdown(wait=True)
        self.ring.close()
        self.reader.close()

    def _read(self, frames: list[zmq.Frame], received_ns: int) -> ReceivedMessage | None:
        return read_message(frames, received_ns, self.reader)
