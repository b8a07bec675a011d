"""Links within one process: headers as always, tensors by reference."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import zmq
import zmq.asyncio
from numpy.typing import NDArray

from ssa_stream.errors import MessageError, SessionStateError
from ssa_stream.nodes.runtime.clock import Clock
from ssa_stream.nodes.runtime.transport.link_transport import LinkTransport
from ssa_stream.nodes.runtime.transport.links import connect, push
from ssa_stream.nodes.runtime.transport.payload import OutgoingPayload
from ssa_stream.nodes.runtime.transport.received import ReceivedMessage
from ssa_stream.protocols import AnyMessage, Limits, TensorSpec, Unknown, encode
from ssa_stream.protocols.header import decode_header, encode_header

if TYPE_CHECKING:
    import torch

    from ssa_stream.nodes.runtime.transport.payload import Item

__all__ = ["InProcessStore", "InProcessTransport"]

_LIMITS = Limits()
_TOKEN_BYTES = 8


class InProcessStore:
    """Tensors on their way between nodes of one process, by a token that travels in the message."""

    def __init__(self) -> None:
        self._payloads: dict[bytes, tuple[Item, ...]] = {}
        self._next = 0

    def put(self, items: "tuple[Item, ...]") -> bytes:
        """Keep tensors until they are taken; returns their token."""
        token = self._next.to_bytes(_TOKEN_BYTES, "little")
        self._next += 1
        self._payloads[token] = items
        return token

    def take(self, token: bytes) -> "tuple[Item, ...]":
        """Hand over what the token stands for, once.

        Raises:
            MessageError: It stands for nothing.
        """
        items = self._payloads.pop(token, None)
        if items is None:
            raise MessageError(f"token {token[:16].hex()} of {len(token)} bytes stands for no tensors of this process")
        return items

    def clear(self) -> None:
        """Let everything go."""
        self._payloads.clear()

    def __len__(self) -> int:
        return len(self._payloads)


class InProcessTransport(LinkTransport):
    """Links between nodes of one event loop.

    Args:
        context: Of all their sockets.
        graph: Name of the graph, so that two of them may share a context.
        clock: Of the times when messages come.
    """

    def __init__(self, context: zmq.asyncio.Context, graph: str, *, clock: Clock | None = None) -> None:
        super().__init__(context, clock)
        self._graph = graph
        self._store = InProcessStore()

    def link_address(self, name: str) -> str:
        """Address of the socket that a node, `CONTROL_LINK` or `PUBLISH_LINK` binds."""
        return f"inproc://{self._graph}-{name}"

    def outlet(self, names: Sequence[str]) -> "_FusedOutlet":
        """A link to these nodes; they need not be there yet."""
        outlet = _FusedOutlet(connect(self.context, [self.link_address(name) for name in names]), self._store)
        self._links.append(outlet)
        return outlet

    def close(self) -> None:
        """Close all links and let all tensors go. May be called again."""
        super().close()
        self._store.clear()

    def _read(self, frames: list[zmq.Frame], received_ns: int) -> ReceivedMessage | None:
        if len(frames) != 3:
            raise MessageError(f"message of {len(frames)} parts; expected an empty topic, a header and a token")
        items = self._store.take(frames[2].bytes) if len(frames[2]) else ()
        message = decode_header(frames[1].bytes, _LIMITS.max_depth)
        return None if isinstance(message, Unknown) else _FusedDelivery(message, received_ns, items)


class _FusedOutlet:
    def __init__(self, socket: zmq.asyncio.Socket, store: InProcessStore) -> None:
        self._socket = socket
        self._store = store
        self._lock = asyncio.Lock()

    async def send(
        self, message: AnyMessage, payload: OutgoingPayload | None = None, *, timeout_s: float = 5.0
    ) -> bool:
        """Send a message with its tensors; see `Outlet`."""
        if payload is None:
            header, token = encode(message, limits=_LIMITS)[1], b""
        else:
            payload.expect_named_by(message)
            header = encode_header(message)
            token = self._store.put(payload.items) if len(payload) else b""
        is_sent = False
        try:
            async with self._lock:
                is_sent = await push(self._socket, [b"", header, token], timeout_s)
        finally:
            if token and not is_sent:
                self._store.take(token)
        return is_sent

    def close(self) -> None:
        """Take the link down at once. May be called again."""
        self._socket.close(linger=0)


class _FusedDelivery(ReceivedMessage):
    """Tensors as their sender has them; they stay valid after `release`, which only lets them go."""

    def __init__(self, message: AnyMessage, received_ns: int, items: "tuple[Item, ...]") -> None:
        super().__init__(message, received_ns)
        self._items: tuple[Item, ...] | None = items

    def tensor(self, spec: TensorSpec, device: "torch.device | str | None" = None) -> "torch.Tensor":
        """The sender's tensor itself, or a copy of it on another device."""
        import torch

        item = self._item(spec)
        if isinstance(item, np.ndarray):  # torch warns of read-only memory, though nobody writes to it
            item = torch.from_numpy(item if item.flags.writeable else item.copy()).reshape(spec.shape)
        return item if device is None else item.to(device)

    def array(self, spec: TensorSpec) -> NDArray[Any]:
        """The sender's array itself; a tensor on another device is copied."""
        item = self._item(spec)
        if not isinstance(item, np.ndarray):
            import torch

            host = item.cpu()
            item = (host.view(torch.uint16) if host.dtype == torch.bfloat16 else host).numpy()
        array = item.reshape(spec.shape).view()
        array.flags.writeable = False
        return array

    def is_valid(self) -> bool:
        """Always: a node of the same process is not lost without the others."""
        return True

    def release(self) -> None:
        """Let the tensors go."""
        self._items = None

    def _item(self, spec: TensorSpec) -> "Item":
        if self._items is None:
            raise SessionStateError(f"tensor {spec.buffer} of a received that was released; take it before release()")
        return self._items[spec.buffer]
