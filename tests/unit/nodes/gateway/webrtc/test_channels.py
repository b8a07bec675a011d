"""What goes through data channels: masks and commands about prompts."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from ssa_stream.errors import MessageError, TransportError
from ssa_stream.nodes.gateway.graph_link import Answer, Request
from ssa_stream.nodes.gateway.settings import PeerLimits
from ssa_stream.nodes.gateway.webrtc.channels import MaskOutbox, PromptHandler
from ssa_stream.nodes.pipeline import GATEWAY
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.protocols import AppliesFrom, ErrorReply, Prompt, PromptReply


class _Channel:
    """A data channel that sends when it is told to."""

    readyState = "open"

    def __init__(self, buffered: int) -> None:
        self.bufferedAmount = buffered
        self.bufferedAmountLowThreshold = 0
        self.sent: list[bytes] = []
        self.wake: Any = None

    def on(self, event: str, call: Any) -> None:
        """Remember whom to call."""
        self.wake = call

    def send(self, data: bytes) -> None:
        """Send, and close after two."""
        self.sent.append(data)
        if len(self.sent) == 2:
            self.readyState = "closed"


async def test_outbox_slow_channel_newest_of_each_prompt_is_sent() -> None:
    """What waits in the channel can not be replaced any more, so little waits there."""
    outbox, channel = MaskOutbox(), _Channel(10**6)
    for number in range(3):
        outbox.put("a", b"a%d" % number)
        outbox.put("b", b"b%d" % number)
    channel.bufferedAmount = 0
    anything: Any = channel
    outbox.put("c", b"c")
    running = outbox.run(anything)
    with pytest.raises(TimeoutError):
        async with _soon():
            await running
    assert channel.sent == [b"a2", b"b2"]
    assert (outbox.sent, outbox.overtaken) == (2, 4)


def _soon() -> Any:
    return asyncio.timeout(0.05)


REPLY = PromptReply(
    request_id="x", stream="cam", prompts=(Prompt(id="p1", text="a", version=1),), version=1,
    applies_from=AppliesFrom(epoch=0, seq=3, index=9),
)  # fmt: skip


def _handler(answer: Answer | Exception, metrics: NodeMetrics | None = None, **limits: int) -> PromptHandler:
    async def ask(request: Request) -> Answer:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return PromptHandler("cam", ask, PeerLimits(**limits), metrics or NodeMetrics(GATEWAY, "gateway"))


async def _answer(handler: PromptHandler, text: str) -> dict[str, Any]:
    assert handler.take(text) is None
    said: dict[str, Any] = json.loads(await handler._answer(await handler._waiting.get()))
    return said


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (REPLY, {"type": "prompts", "id": 7, "version": 1}),
        (ErrorReply(code="too_many", text="no room"), {"type": "error", "id": 7, "code": "too_many"}),
        (TransportError("gone"), {"type": "error", "id": 7, "code": "unavailable"}),
        (MessageError("bad"), {"type": "error", "id": 7, "code": "invalid"}),
    ],
    ids=["done", "refused", "no_graph", "limit_of_protocol"],
)
async def test_prompt_handler_answers_every_command(answer: Answer | Exception, expected: dict[str, Any]) -> None:
    """With its id, and the first frame that it applies to."""
    said = await _answer(_handler(answer), '{"type":"add","text":"a","id":7}')
    assert expected.items() <= said.items()
    if said["type"] == "prompts":
        assert said["applies_from"] == {"epoch": 0, "seq": 3, "index": 9}


async def test_prompt_handler_gives_hints_with_the_answer() -> None:
    """What the graph warns of; without a warning there is no such field."""
    said = await _answer(_handler(msgspec.structs.replace(REPLY, warnings=("a", "b"))), '{"type":"list","id":7}')
    assert said["hint"] == "a; b"
    assert "hint" not in await _answer(_handler(REPLY), '{"type":"list","id":7}')


async def test_prompt_handler_nonsense_is_answered() -> None:
    """An error, not the end of the session."""
    assert (await _answer(_handler(REPLY), "nonsense"))["code"] == "invalid"


def test_prompt_handler_limits_refuse() -> None:
    """Size and rate; both are counted."""
    metrics = NodeMetrics(GATEWAY, "gateway")
    handler = _handler(REPLY, metrics, message_bytes=10, messages_per_s=2)
    assert json.loads(handler.take("x" * 11) or "")["code"] == "too_large"
    refusals = [handler.take("{}") for _ in range(10)]
    assert [text is None for text in refusals].count(True) == 4
    assert json.loads(refusals[-1] or "")["code"] == "busy"
    counts = {(one.name, one.stream): one.value for one in metrics.statistics().counters}
    assert counts == {("limit_command_bytes", "cam"): 1, ("limit_commands", "cam"): 6}
