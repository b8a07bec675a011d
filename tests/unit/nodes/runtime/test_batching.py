"""Messages of several streams that wait go together; each is answered for by itself."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from ssa_stream.nodes.runtime.batch_costs import BatchCosts
from ssa_stream.nodes.runtime.batching import Arrivals, Batch, BatchedWork, BatchSize, serve_batches
from ssa_stream.nodes.runtime.clock import MonotonicClock
from ssa_stream.nodes.runtime.dropping import Drops
from ssa_stream.nodes.runtime.executor import ModelExecutor
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.node import NodeContext
from ssa_stream.nodes.runtime.transport.payload import OutgoingPayload
from ssa_stream.nodes.runtime.transport.received import ReceivedMessage
from ssa_stream.protocols import AnyMessage, DropNotice, FrameMessage, FrameSizes, Heartbeat, TensorSpec
from tests.support.frame_works import work
from tests.support.model_nodes import pipeline

_KIND = (32, 64, 3)


class _Received(ReceivedMessage):
    """A message without tensors."""

    def __init__(self, message: AnyMessage, received_ns: int = 0, *, valid: bool = True) -> None:
        super().__init__(message, received_ns)
        self._is_valid, self.released = valid, 0

    def tensor(self, spec: TensorSpec, device: Any = None) -> Any:
        """None is there."""
        raise AssertionError(spec)

    array = tensor

    def is_valid(self) -> bool:
        """As the test says."""
        return self._is_valid

    def release(self) -> None:
        """Count it."""
        self.released += 1


class _Link:
    """An inlet of what the test puts in, and an outlet that keeps what is sent. It ends the node when all was taken."""

    def __init__(self, come: Sequence[_Received], later: Sequence[_Received], stop: asyncio.Event) -> None:
        self.waiting, self.later = deque(come), deque(later)
        self.sent, self.waits_s = list[Any](), list[float]()
        self._stop = stop

    async def receive(self, timeout_s: float) -> ReceivedMessage | None:
        """The next one."""
        if self.waiting:
            return self.waiting.popleft()
        self.waits_s.append(timeout_s)
        if 0 < timeout_s < 0.1 and self.later:
            return self.later.popleft()
        if timeout_s == 0.1:  # the node waits for work
            self._stop.set()
        return None

    async def send(self, message: AnyMessage, payload: OutgoingPayload | None = None) -> bool:
        """Keep it."""
        self.sent.append(message)
        return True


class _Work(BatchedWork[FrameMessage, str]):
    """Notes which frames went together; raises for frames that the test names."""

    def __init__(self, node: NodeContext, link: _Link, fails: Callable[[Sequence[str]], bool]) -> None:
        self.drops = Drops(node, cast(Any, link))
        self.costs = BatchCosts("encoder-0", 16, lambda: 0.0)
        self.costs.choose = lambda kind, rows: len(rows)  # type: ignore[method-assign]  # what is decided is not tested here
        self.batches: list[list[str]] = []
        self._fails = fails

    def size(self, message: FrameMessage) -> BatchSize | None:
        """Replays go alone."""
        return None if message.work.is_replay else BatchSize(message.image.shape, len(message.work.prompts))

    def make_together(self, batch: Batch[FrameMessage]) -> list[str]:
        """Their names."""
        names = [_name(message) for message, _ in batch]
        if self._fails(names):
            raise MemoryError(f"{names}")
        self.batches.append(names)
        return names

    async def send(self, message: FrameMessage, received: ReceivedMessage, made: str, begin_ns: int) -> None:
        """What was made is this message's."""
        assert made == _name(message)

    async def take(self, message: FrameMessage, received: ReceivedMessage) -> bool:
        """Alone."""
        if self._fails([_name(message)]):
            return False
        self.batches.append([_name(message)])
        return True


def _name(message: FrameMessage) -> str:
    return f"{message.work.frame.stream}{message.work.frame.seq}"


def _frame(name: str, *, height: int = 32, frames: int = 1, valid: bool = True, **fields: Any) -> _Received:
    """A frame by stream and number, such as `a0`; `frames` above 1 is a replay, `fields` are of its identity."""
    size = (height, 64)
    known = work(int(name[1:]), "x", frames=frames)
    identity = msgspec.structs.replace(known.frame, stream=name[0], **fields)
    sizes = FrameSizes(source=size, network=size, padded=size)
    picture = TensorSpec(buffer=0, dtype="uint8", shape=(*size, 3))
    history = tuple(msgspec.structs.replace(picture, buffer=k) for k in range(1, frames))
    message = FrameMessage(
        work=msgspec.structs.replace(known, frame=identity, sizes=sizes), image=picture, history=history
    )
    return _Received(message, valid=valid)


def _notice(name: str) -> _Received:
    message = _frame(name).message
    assert isinstance(message, FrameMessage)
    return _Received(DropNotice(frame=message.work.frame, node="ingest", reason="overtaken"))


async def _serve(
    come: Sequence[_Received],
    fails: Callable[[Sequence[str]], bool] = lambda names: False,
    later: Sequence[_Received] = (),
    **flow: Any,
) -> tuple[_Work, _Link, NodeMetrics]:
    """Serve what came, until all of it is done."""
    settings = pipeline(names=("a", "b", "c"), flow=flow)
    stop, clock = asyncio.Event(), MonotonicClock()
    link, metrics = _Link(come, later, stop), NodeMetrics("encoder-0", "encoder", 0, clock)
    with ModelExecutor() as executor:
        node = cast(
            NodeContext,
            SimpleNamespace(
                name="encoder-0",
                settings=settings,
                clock=clock,
                awake=clock,
                stop=stop,
                executor=executor.of_role("encoder"),
                metrics=metrics,
                broker=SimpleNamespace(mark_ready=lambda: None, event=lambda *_, **__: None),
            ),
        )
        done = _Work(node, link, fails)
        await asyncio.wait_for(serve_batches(node, cast(Any, link), cast(Any, link), FrameMessage, done), 10)
    assert all(one.released == 1 for one in [*come, *later])
    return done, link, metrics


@pytest.mark.parametrize(
    ("come", "batches"),
    [
        (["a0", "b0", "c0"], [["a0", "b0", "c0"]]),
        (["a0", "a1", "b0", "a2"], [["a0", "b0"], ["a1"], ["a2"]]),
        (["a0", "b0", "b1", "a1"], [["a0", "b0"], ["b1", "a1"]]),
    ],
    ids=["three_streams", "a_stream_never_with_itself", "order_of_each_stream"],
)
async def test_frames_of_several_streams_that_wait_go_together(come: list[str], batches: list[list[str]]) -> None:
    """One of each stream at a time."""
    done, _, metrics = await _serve([_frame(name) for name in come])
    assert done.batches == batches
    counters = {one.name: one.value for one in metrics.statistics().counters}
    several = [batch for batch in batches if len(batch) > 1]
    assert counters == {"batches": len(several), "batched_frames": sum(map(len, several))}
    assert metrics.heartbeat(ready=True).steps == len(come)


async def test_other_sizes_and_replays_go_alone_and_nothing_overtakes_in_its_stream() -> None:
    """What follows a frame of another size in its stream waits for it, though it would fit into the batch."""
    come = [_frame("a0"), _frame("b0", height=64), _frame("b1"), _frame("c0", frames=3), _frame("c1"), _notice("a1")]
    done, link, _ = await _serve(come)
    assert done.batches == [["a0"], ["b0"], ["b1"], ["c0"], ["c1"]]
    assert [message.frame.seq for message in link.sent] == [1]


async def test_batching_never_takes_each_alone() -> None:
    """And does not look at what else waits."""
    done, link, _ = await _serve([_frame("a0"), _frame("b0")], batching="never")
    assert done.batches == [["a0"], ["b0"]]
    assert set(link.waits_s) == {0.1}


async def test_frame_waits_a_moment_for_another_that_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most `max_wait_ms`, and no longer once that has come."""
    monkeypatch.setattr(Arrivals, "is_another_due", lambda _, here, *times: "b" not in here and times[0] < times[1])
    done, link, _ = await _serve([_frame("a0")], later=[_frame("b0")], max_wait_ms=50)
    assert done.batches == [["a0", "b0"]]
    assert [wait_s <= 0.05 for wait_s in link.waits_s if wait_s not in (0, 0.1)] == [True]
    done, link, _ = await _serve([_frame("a1")], max_wait_ms=50)
    assert done.batches == [["a1"]]
    assert [0.04 < wait_s <= 0.05 for wait_s in link.waits_s if wait_s not in (0, 0.1)] == [True]


async def test_stream_alone_waits_for_nobody() -> None:
    """Though others are in the pipeline."""
    done, link, _ = await _serve([_frame(f"a{k}") for k in range(4)], max_wait_ms=1000)
    assert done.batches == [["a0"], ["a1"], ["a2"], ["a3"]]
    assert set(link.waits_s) == {0.0, 0.1}


async def test_failure_of_one_stream_is_not_that_of_another() -> None:
    """The batch is done again one by one; only the frame that fails there is lost, and batches go on."""
    done, _, metrics = await _serve(
        [_frame("a0"), _frame("b0"), _frame("c0"), _frame("a1"), _frame("c1")], lambda names: "b0" in names
    )
    assert done.batches == [["a0"], ["c0"], ["a1", "c1"]]
    counters = {one.name: one.value for one in metrics.statistics().counters}
    assert counters["batches_failed"] == 1


async def test_batch_that_fails_where_its_frames_do_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No memory for two, for example."""
    refused: list[tuple[object, ...]] = []
    monkeypatch.setattr(BatchCosts, "refuse", lambda _, *batch: refused.append(batch))
    done, _, _ = await _serve([_frame("a0"), _frame("b0")], lambda names: len(names) > 1)
    assert done.batches == [["a0"], ["b0"]]
    assert refused == [(_KIND, [1, 1])]


async def test_stale_and_reclaimed_frames_leave_the_batch_and_the_others_go_on() -> None:
    """One is too old before the work, the memory of another is gone after it."""
    done, link, metrics = await _serve(
        [_frame("a0", live=True, receive_clock=MonotonicClock().name), _frame("b0"), _frame("c0", valid=False)]
    )
    assert done.batches == [["b0", "c0"]]
    assert [(one.frame.stream, one.reason) for one in link.sent] == [("a", "stale"), ("c", "node_restart")]
    assert [(one.stream, one.reason) for one in metrics.statistics().drops] == [("a", "stale")]


async def test_unexpected_messages_are_counted() -> None:
    """And frames beside them taken."""
    beat = Heartbeat(node="x", role="x", incarnation=0, beat=0, at_ns=0, clock="monotonic:x", ready=True, steps=0)
    done, _, metrics = await _serve([_Received(beat), _frame("a0")])
    assert done.batches == [["a0"]]
    assert [(one.name, one.value) for one in metrics.statistics().counters] == [("unexpected", 1)]


def test_another_stream_is_due_around_the_time_of_its_next_frame() -> None:
    """Never for a stream alone, nor one whose second frame has not come, nor one that ended."""
    arrivals, ms = Arrivals(), 1_000_000

    def due(at_ms: int, here: set[str]) -> bool:
        return arrivals.is_another_due(here, at_ms * ms, (at_ms + 5) * ms, 5 * ms)

    for k in range(3):
        arrivals.note("a", 200 * k * ms)
        assert not due(200 * k, {"a"})
    arrivals.note("b", 401 * ms)
    assert not due(401, {"a"})
    arrivals.note("b", 601 * ms)
    assert [due(at_ms, {"a"}) for at_ms in (700, 795, 796, 801, 806, 807, 1000)] == [
        False, False, True, True, True, False, False,
    ]  # fmt: skip
    assert not due(801, {"a", "b"})
    assert [arrivals.is_another_live({"a"}, at_ms * ms) for at_ms in (801, 1200, 1202)] == [True, True, False]
