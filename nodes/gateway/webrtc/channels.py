"""The data channels of a peer: prompts both ways, masks to it."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec
from aiortc import RTCDataChannel
from aiortc.exceptions import InvalidStateError

from ssa_stream.errors import MessageError, TransportError
from ssa_stream.nodes.gateway.graph_link import Answer, Request
from ssa_stream.nodes.gateway.page_messages import PromptAnswer, as_json, as_request, coloured, error_text, read_command
from ssa_stream.nodes.gateway.settings import PeerLimits
from ssa_stream.nodes.gateway.webrtc.limits import RateLimit
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.protocols import Accepted, ErrorReply, PromptReply

__all__ = ["MaskOutbox", "PromptHandler", "send_text"]

_MAX_WAITING_COMMANDS = 32
_ENOUGH_BUFFERED = 65_536
_MAX_SLOTS = 64


def send_text(channel: RTCDataChannel | None, text: str) -> None:
    """Send something, if there is a channel and it is open."""
    if channel is not None and channel.readyState == "open":
        try:
            channel.send(text)
        except (InvalidStateError, ValueError):
            pass  # it was closed, or takes smaller messages only


class PromptHandler:
    """Does what a peer's commands ask, one after the other.

    Args:
        stream: Which stream they are about.
        ask: Asks the graph.
        limits: Of messages.
        metrics: Count those that are refused.
    """

    def __init__(
        self, stream: str, ask: Callable[[Request], Awaitable[Answer]], limits: PeerLimits, metrics: NodeMetrics
    ) -> None:
        self._stream, self._ask, self._limits, self._metrics = stream, ask, limits, metrics
        self._rate = RateLimit(limits.messages_per_s)
        self._waiting: asyncio.Queue[str | bytes] = asyncio.Queue(_MAX_WAITING_COMMANDS)

    def take(self, data: str | bytes) -> str | None:
        """A message came. It waits for its turn; returns the refusal if it does not."""
        refusal = self._refusal(data)
        if refusal is None:
            self._waiting.put_nowait(data)
        return refusal

    async def answer(self, data: str | bytes) -> str:
        """Do what a message asks, at once; returns the answer, which may be a refusal."""
        return self._refusal(data) or await self._answer(data)

    def _refusal(self, data: str | bytes) -> str | None:
        size = len(data.encode() if isinstance(data, str) else data)
        if size > self._limits.message_bytes:
            self._metrics.count("limit_command_bytes", stream=self._stream)
            return error_text(
                "too_large", f"the message has {size} bytes; at most {self._limits.message_bytes} are taken"
            )
        if not self._rate.take() or self._waiting.full():
            self._metrics.count("limit_commands", stream=self._stream)
            return error_text(
                "busy", f"more than {self._limits.messages_per_s} messages a second; wait and send it again"
            )
        return None

    async def run(self, send: Callable[[str], None]) -> None:
        """Answer until cancelled."""
        while True:
            send(await self._answer(await self._waiting.get()))

    async def _answer(self, data: str | bytes) -> str:
        command_id: str | int | None = None
        try:
            command = read_command(data)
            command_id = command.id
            answer = await self._ask(as_request(command, self._stream))
        except MessageError as error:
            return error_text("invalid", str(error), command_id)
        except TransportError as error:
            return error_text("unavailable", str(error), command_id)
        match answer:
            case PromptReply():
                return as_json(
                    PromptAnswer(
                        id=command_id,
                        prompts=coloured(answer.prompts),
                        version=answer.version,
                        applies_from=answer.applies_from,
                        hint="; ".join(answer.warnings) if answer.warnings else msgspec.UNSET,
                    )
                )
            case ErrorReply(code=code, text=text):
                return error_text(code, text, command_id)
            case Accepted():
                return as_json({"type": "accepted", "id": command_id})


class MaskOutbox:
    """Masks on their way to a peer: of each prompt the newest only, and none while much waits in the channel.

    Attributes:
        sent: Messages that were sent.
        overtaken: Messages that a newer one of their prompt replaced.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.overtaken = 0
        self._slots: OrderedDict[str, bytes] = OrderedDict()
        self._changed = asyncio.Event()

    def put(self, prompt_id: str, data: bytes) -> None:
        """Masks of a prompt came."""
        if prompt_id in self._slots:
            self.overtaken += 1
        elif len(self._slots) >= _MAX_SLOTS:
            self._slots.popitem(last=False)
            self.overtaken += 1
        self._slots[prompt_id] = data
        self._changed.set()

    async def run(self, channel: RTCDataChannel) -> None:
        """Send until the channel is closed or this is cancelled."""
        channel.bufferedAmountLowThreshold = _ENOUGH_BUFFERED
        channel.on("bufferedamountlow", self._changed.set)
        while channel.readyState in ("open", "connecting"):
            self._changed.clear()
            while self._slots and channel.readyState == "open" and channel.bufferedAmount <= _ENOUGH_BUFFERED:
                _, data = self._slots.popitem(last=False)
                try:
                    channel.send(data)
                except (InvalidStateError, ValueError):
                    return
                self.sent += 1
            await self._changed.wait()
