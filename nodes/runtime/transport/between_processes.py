"""Links between processes: small tensors in the message, large ones in shared memory.

A large tensor is copied once, into the sender's ring; the receiver computes on it where it lies.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import zmq
import zmq.asyncio

from ssa_stream.nodes.runtime.clock import Clock
from ssa_stream.nodes.runtime.transport.link_transport import LinkTransport
from ssa_stream.nodes.runtime.transport.links import connect
from ssa_stream.nodes.runtime.transport.received import ReceivedMessage
from ssa_stream.nodes.runtime.transport.ring_inlet import read_message
from ssa_stream.nodes.runtime.transport.ring_outlet import RingOutlet
from ssa_stream.nodes.runtime.transport.segments import free_bytes, segment_prefix
from ssa_stream.nodes.runtime.transport.shared_ring import RingReader, SharedRing

__all__ = ["ProcessTransport"]


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
