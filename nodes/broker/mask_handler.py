"""Serves the masks node: publishes its masks once, and passes on which frames are finished."""

from collections import deque

import zmq
import zmq.asyncio

from ssa_stream.errors import MessageError
from ssa_stream.nodes.broker.counters import Counters
from ssa_stream.nodes.broker.node_handler import NodeHandler
from ssa_stream.nodes.broker.publisher import Publisher
from ssa_stream.nodes.broker.refusals import MASK_LIMITS
from ssa_stream.nodes.broker.sockets import bound_socket, receive
from ssa_stream.nodes.pipeline import ingest_name
from ssa_stream.nodes.runtime.transport.socket_files import SocketFile
from ssa_stream.protocols import MASKS, Finished, MaskMessage, Topic, decode

__all__ = ["Deduplicator", "MaskHandler"]

_REMEMBERED = 256
"""Masks of each stream; more than can be on their way at once."""


class Deduplicator:
    """Tells masks that were there before, as they come after a restart, from new ones.

    A repeated frame keeps its `index` and its time `t`; its epoch is a new one. Provisional masks are not looked at,
    since others follow anyway.
    """

    def __init__(self) -> None:
        self._published: dict[str, deque[tuple[str, int, int, float]]] = {}

    def is_new(self, masks: MaskMessage) -> bool:
        """Whether these masks were not there yet; they are from now on."""
        if masks.status != "final":
            return True
        key = masks.prompt.id, masks.prompt.version, masks.frame.index, masks.frame.t
        published = self._published.setdefault(masks.frame.stream, deque(maxlen=_REMEMBERED))
        if key in published:
            return False
        published.append(key)
        return True


_QUEUED_MASKS = 64
_MOST_LEFT = 1000


class MaskHandler:
    """The private socket for masks, and for what must not overtake them.

    A frame counts as finished once its masks are published. Were that told on another link, a masks node that is
    killed could lose masks of a frame that nobody sends again. One that is killed in between does such a frame again,
    because nobody knows then what got through; but what was published is not published again.

    Attributes:
        files: Of the socket.
    """

    def __init__(
        self, context: zmq.asyncio.Context, address: str, publisher: Publisher, nodes: NodeHandler, counters: Counters
    ) -> None:
        """Bind the socket.

        Args:
            context: For the socket.
            address: Where masks nodes connect.
            publisher: Of masks.
            nodes: Where ingest nodes are told what is finished.
            counters: Counts.
        """
        options = {zmq.LINGER: 0, zmq.RCVHWM: _QUEUED_MASKS}
        self._socket, _ = bound_socket(context, zmq.PULL, address, options)
        self.files = [SocketFile(self._socket.bind, address)]
        self._publisher = publisher
        self._nodes = nodes
        self._counters = counters
        self._published = Deduplicator()

    async def serve(self) -> None:
        """Pass on what comes, in order. Runs until it is cancelled."""
        while True:
            await self._pass_on(await receive(self._socket))

    async def serve_rest(self) -> None:
        """Pass on what has come already: of a file, subscribers want the last frame too."""
        for _ in range(_MOST_LEFT):
            if not await self._socket.poll(0):
                return
            await self._pass_on(await receive(self._socket))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    async def _pass_on(self, parts: list[zmq.Frame]) -> None:
        match self._read(parts):
            case MaskMessage() as masks if self._published.is_new(masks):
                self._counters["masks_published"] += 1
                await self._publisher.forward(parts)
            case MaskMessage():
                self._counters["masks_repeated"] += 1
            case Finished() as finished:
                if not await self._nodes.send(ingest_name(finished.stream), finished):
                    self._counters["finished_not_passed_on"] += 1
            case _:
                self._counters.passed_over("masks_refused", "parts that are no mask message of this graph")

    def _read(self, parts: list[zmq.Frame]) -> MaskMessage | Finished | None:
        """Masks to publish, or what is for an ingest node, of a stream of this graph; None if it is something else."""
        try:
            packet = decode(parts, MASK_LIMITS)
        except MessageError:
            return None
        match packet.message:
            case MaskMessage(frame=frame, prompt=prompt) as masks:
                is_known = frame.stream in self._nodes.resume_points
                is_ours = is_known and packet.topic == Topic(frame.stream, MASKS, prompt.id)
                return masks if is_ours else None
            case Finished(stream=stream) as finished:
                return finished if stream in self._nodes.resume_points else None
        return None
