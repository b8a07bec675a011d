"""A node's side of the control plane, against a broker that does what the test says."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import zmq
import zmq.asyncio

from ssa_stream.errors import TransportError
from ssa_stream.nodes.runtime.broker_link import BrokerLink, LinkTimes
from ssa_stream.nodes.runtime.clock import MonotonicClock
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.protocols import (
    AnyMessage,
    ErrorReply,
    Event,
    EventKind,
    Finished,
    Heartbeat,
    Hello,
    Limits,
    ListPrompts,
    Recover,
    Statistics,
    Unknown,
    Welcome,
    decode,
    encode,
)

ADDRESS = "inproc://broker-link-test"
DEADLINE_S = 20.0
TIMES = LinkTimes(heartbeat_s=0.02, heartbeat_timeout_s=0.3, welcome_timeout_s=DEADLINE_S, statistics_s=0.05)
NAME = "ingest-cam0"


class _Broker:
    """Remembers what comes; answers hello and beats if asked to."""

    def __init__(self, context: zmq.asyncio.Context) -> None:
        self._socket = context.socket(zmq.ROUTER)
        self._socket.linger = 0
        self._socket.bind(ADDRESS)
        self.heard: list[AnyMessage | Unknown] = []
        self.welcomes = self.beats = True
        self._news = asyncio.Event()
        self._metrics = NodeMetrics("control", "control")

    async def run(self) -> None:
        while True:
            if await self._socket.poll(10):
                identity, *parts = await self._socket.recv_multipart()
                assert identity == NAME.encode()
                message = decode(parts, Limits()).message
                self.heard.append(message)
                self._news.set()
                if isinstance(message, Hello) and self.welcomes:
                    await self.say(
                        Welcome(
                            request_id=message.request_id, node="control", role="control", incarnation=0, version=(1, 0)
                        )
                    )
            if self.beats and self.heard:
                await self.say(self._metrics.heartbeat(ready=True))

    async def say(self, message: AnyMessage) -> None:
        await self.say_parts(encode(message))

    async def say_parts(self, parts: list[bytes | memoryview]) -> None:
        await self._socket.send_multipart([NAME.encode(), *parts])

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def of(self, kind: type) -> list[AnyMessage]:
        return [message for message in self.heard if isinstance(message, kind)]  # type: ignore[misc]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
async def context() -> AsyncIterator[zmq.asyncio.Context]:
    """Blocks at its end should a socket be left."""
    context = zmq.asyncio.Context()
    yield context
    context.term()


@pytest.fixture
async def broker(context: zmq.asyncio.Context) -> AsyncIterator[_Broker]:
    """Running."""
    broker = _Broker(context)
    task = asyncio.create_task(broker.run())
    yield broker
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    broker.close()


def _link(
    context: zmq.asyncio.Context,
    stop: asyncio.Event,
    times: LinkTimes = TIMES,
    broker_lives: Callable[[], bool] = lambda: False,
) -> BrokerLink:
    return BrokerLink(
        context,
        ADDRESS,
        NodeMetrics(NAME, "ingest", 2),
        name=NAME,
        role="ingest",
        incarnation=2,
        clock=MonotonicClock(),
        stop=stop,
        times=times,
        broker_lives=broker_lives,
    )


async def _run_until_stopped(context: zmq.asyncio.Context, broker: _Broker, at_end: Callable[[], object]) -> None:
    """A node whose broker falls silent."""
    stop = asyncio.Event()
    async with _link(context, stop):
        broker.beats = False
        async with asyncio.timeout(DEADLINE_S):
            await stop.wait()
        at_end()


async def test_link_says_hello_beats_and_tells_figures(context: zmq.asyncio.Context, broker: _Broker) -> None:
    """Ready only when the node says so, and then at once."""
    stop = asyncio.Event()
    async with _link(context, stop) as link:
        await broker.until(lambda: len(broker.of(Heartbeat)) >= 3 and bool(broker.of(Statistics)))
        (hello,) = broker.of(Hello)
        assert isinstance(hello, Hello)
        assert (hello.node, hello.role, hello.incarnation) == (NAME, "ingest", 2)
        assert not any(beat.ready for beat in broker.of(Heartbeat) if isinstance(beat, Heartbeat))
        link.mark_ready()
        await broker.until(lambda: any(beat.ready for beat in broker.of(Heartbeat) if isinstance(beat, Heartbeat)))
    beats = [beat.beat for beat in broker.of(Heartbeat) if isinstance(beat, Heartbeat)]
    assert beats == list(range(len(beats)))
    assert not stop.is_set()


async def test_link_of_a_ready_node_says_why_it_takes_nothing_just_now(
    context: zmq.asyncio.Context, broker: _Broker
) -> None:
    """And says so no longer once it does."""
    reason = "the door is shut"

    def last() -> Heartbeat:
        beat = broker.of(Heartbeat)[-1]
        assert isinstance(beat, Heartbeat)
        return beat

    async with _link(context, asyncio.Event()) as link:
        link.mark_ready(lambda: reason)
        await broker.until(lambda: bool(broker.of(Heartbeat)) and last().text == "the door is shut")
        assert not last().ready
        reason = ""
        await broker.until(lambda: last().ready and not last().text)


async def test_link_refused_is_an_error(context: zmq.asyncio.Context, broker: _Broker) -> None:
    """With the broker's reason, such as a version or a twin."""
    broker.welcomes = False

    async def refuse() -> None:
        await broker.until(lambda: bool(broker.heard))
        (hello,) = broker.of(Hello)
        assert isinstance(hello, Hello)
        await broker.say(ErrorReply(code="busy", text="another node has this name", request_id=hello.request_id))

    async with asyncio.TaskGroup() as group:
        group.create_task(refuse())
        with pytest.raises(
            TransportError, match=r"the broker refuses node ingest-cam0 \(busy\): another node has this"
        ):
            async with _link(context, asyncio.Event()):
                pytest.fail("was let in")


async def test_link_without_answer_is_an_error(context: zmq.asyncio.Context, broker: _Broker) -> None:
    """Heartbeats of the broker are no answer."""
    broker.welcomes = False
    with pytest.raises(TransportError, match=r"did not answer node ingest-cam0 within 0\.05 s"):
        async with _link(context, asyncio.Event(), LinkTimes(welcome_timeout_s=0.05)):
            pytest.fail("was let in")


async def test_link_broker_silent_stops_the_node(context: zmq.asyncio.Context, broker: _Broker) -> None:
    """Its launcher is gone; the node ends with an error of its own."""
    with pytest.raises(TransportError, match=r"the broker was silent for 0\.3 s"):
        await _run_until_stopped(context, broker, lambda: None)


async def test_link_broker_silent_but_there_is_waited_for(context: zmq.asyncio.Context, broker: _Broker) -> None:
    """Its process was stopped for a while: the node goes on when the broker does, and ends when its process does."""
    stop, asked = asyncio.Event(), 0

    def lives() -> bool:
        nonlocal asked
        asked += 1
        return not broker.beats

    times = LinkTimes(heartbeat_s=0.02, heartbeat_timeout_s=0.1, welcome_timeout_s=DEADLINE_S, statistics_s=0.05)
    async with _link(context, stop, times, lives):
        broker.beats = False
        await broker.until(lambda: asked > 2)
        broker.beats = True
        known = len(broker.of(Heartbeat))
        await broker.until(lambda: len(broker.of(Heartbeat)) > known + 10)
        assert not stop.is_set()


async def test_link_without_answer_waits_while_the_broker_is_there(
    context: zmq.asyncio.Context, broker: _Broker
) -> None:
    """A graph whose launcher is stopped while its nodes start."""
    broker.welcomes, asked = False, 0

    def lives() -> bool:
        nonlocal asked
        asked += 1
        return asked < 3

    with pytest.raises(TransportError, match=r"did not answer node ingest-cam0 within 0\.05 s"):
        async with _link(context, asyncio.Event(), LinkTimes(welcome_timeout_s=0.05), lives):
            pytest.fail("was let in")
    assert asked == 3


async def test_link_broker_silent_error_of_the_node_comes_first(context: zmq.asyncio.Context, broker: _Broker) -> None:
    """The node's own error is not hidden."""
    with pytest.raises(ZeroDivisionError):
        await _run_until_stopped(context, broker, lambda: 1 // 0)


async def test_requests_come_in_order_until_stop(context: zmq.asyncio.Context, broker: _Broker) -> None:
    """What is no request, or nothing at all, is passed over; the end wakes who waits."""
    stop = asyncio.Event()
    recover = Recover(stream="cam0", about_node="encoder-0", reason="died")
    finished = Finished(node="masks-0", incarnation=0, stream="cam0", epoch=0, seq=7)
    heard = []
    async with _link(context, stop) as link:
        await broker.say_parts([b"", b"garbage"])
        await broker.say(recover)
        await broker.say(finished)
        await broker.say(ListPrompts(request_id="r1", stream="cam0"))

        async def listen() -> None:
            async for request in link.requests():
                heard.append(request)
                if isinstance(request, ListPrompts):
                    link.reply(ErrorReply(code="unavailable", text="not yet", request_id=request.request_id))

        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
            group.create_task(listen())
            await broker.until(lambda: bool(broker.of(ErrorReply)))
            stop.set()
    assert heard == [recover, finished, ListPrompts(request_id="r1", stream="cam0")]


async def test_requests_beyond_the_limit_are_refused(context: zmq.asyncio.Context, broker: _Broker) -> None:
    """Nobody waits in vain."""
    async with _link(context, asyncio.Event()):
        for number in range(300):
            await broker.say(ListPrompts(request_id=f"r{number}", stream="cam0"))
        await broker.until(lambda: len(broker.of(ErrorReply)) == 300 - 256)
    assert {reply.code for reply in broker.of(ErrorReply) if isinstance(reply, ErrorReply)} == {"busy"}


async def test_event_is_told_with_its_fields(context: zmq.asyncio.Context, broker: _Broker) -> None:
    """A long text is cut rather than refused; what was told last arrives though the link closes."""
    async with _link(context, asyncio.Event()) as link:
        link.event(EventKind.GAP, stream="cam0", severity="warning", epoch=1, seq=7, frames_lost=2, text="x" * 5000)
    await broker.until(lambda: bool(broker.of(Event)))
    (event,) = broker.of(Event)
    assert isinstance(event, Event)
    assert (event.kind, event.node, event.stream, event.frames_lost) == ("gap", NAME, "cam0", 2)
    assert len(event.text) == 1000


async def test_publish_to_a_broker_that_does_not_read_keeps_the_newest(
    context: zmq.asyncio.Context, broker: _Broker
) -> None:
    """Never waits, never grows without end."""
    async with _link(context, asyncio.Event()) as link:
        for number in range(5000):
            link.event(EventKind.GAP, seq=number)
        await broker.until(lambda: any(event.seq == 4999 for event in broker.of(Event) if isinstance(event, Event)))
    seqs = [event.seq for event in broker.of(Event) if isinstance(event, Event)]
    assert seqs == sorted(seqs, key=lambda seq: seq or 0)
    assert 1000 <= len(seqs) < 4000
