"""A source that is connected again: scripted connections instead of a network, limits of milliseconds."""

import dataclasses
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import pytest

from ssa_stream.errors import ConfigError, SourceError, SourceErrorCode
from ssa_stream.sources import (
    Frame,
    Freshest,
    Prefetch,
    Recovering,
    RecoveryPolicy,
    Source,
    SourceInfo,
    SourceStage,
    SourceStatus,
)
from tests.support.scripted_source import DEADLINE_S, ScriptedSource, numbered_frame
from tests.support.waiting import wait_until

Script = Sequence[int | Frame | threading.Event | Exception]
LOST = SourceError("cam was lost", SourceErrorCode.LOST)
REFUSED = SourceError("cannot open cam: nothing listens there", SourceErrorCode.REFUSED)
# Nothing here waits on purpose but for what a test is about; the rest is far away.
POLICY = RecoveryPolicy(connect_s=10, first_frame_s=10, stall_s=10, lost_s=10, retry_s=0.001, retry_max_s=0.001)
PATIENT = dataclasses.replace(POLICY, patient_start=True)


class Camera:
    """Hands out one scripted connection after the other; an error instead of one is a connection that fails."""

    def __init__(self, *connections: Source | Exception | Callable[[], Source]) -> None:
        self.asked = 0
        self._connections = list(connections)

    def __call__(self) -> Source:
        """Connect."""
        self.asked += 1
        connection = self._connections.pop(0)
        if isinstance(connection, Exception):
            raise connection
        return connection if isinstance(connection, Source) else connection()


class Paced(ScriptedSource):
    """Delivers a frame whenever the one before was taken, so that none is overtaken."""

    def __init__(self, script: Script, *, block_at_end: bool = False) -> None:
        super().__init__(script, block_at_end=block_at_end)
        self.taken = threading.Semaphore(0)

    def frames(self) -> Iterator[Frame]:
        """Wait for `taken` after each frame."""
        for frame in super().frames():
            yield frame
            assert self.taken.acquire(timeout=DEADLINE_S)

    def close(self) -> None:
        """End a wait as well."""
        super().close()
        self.taken.release(1000)


class Recording(ScriptedSource):
    """Says how long it is."""

    @property
    def info(self) -> SourceInfo:
        """As a recording on a server."""
        return SourceInfo("recording", live=True, duration_s=5.0)


def _after(event: threading.Event, connection: Source) -> Callable[[], Source]:
    """A connection that is made once something has happened."""

    def connect() -> Source:
        assert event.wait(DEADLINE_S)
        return connection

    return connect


def _read(source: Recovering, connections: Sequence[Paced], count: int) -> list[Frame]:
    """Take that many frames, letting each connection go on after each of its frames."""
    frames = []
    for frame in islice(source.frames(), count):
        frames.append(frame)
        connections[frame.epoch].taken.release()
    return frames


def _connections() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("connection of")]


def test_lost_source_is_connected_again_and_goes_on_in_a_new_epoch() -> None:
    """Failed attempts in between cost no epoch; all states are told in order."""
    first, second = Paced([0, 1, LOST]), Paced([0, 1, 2], block_at_end=True)
    camera = Camera(first, REFUSED, REFUSED, second)
    states: list[SourceStatus] = []
    with Recovering("cam", camera, POLICY, on_state=states.append) as source:
        frames = _read(source, [first, second], 5)
        assert source.status.connections == 2
        assert source.status.frames == 5
    assert [(frame.epoch, frame.seq) for frame in frames] == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    told = [(status.stage.value, status.code) for status in states]
    assert told[:2] == [("connecting", None), ("live", None)]
    assert ("reconnecting", SourceErrorCode.LOST) in told
    assert ("reconnecting", SourceErrorCode.REFUSED) in told
    assert [stage for stage, _ in told].count("live") == 2
    assert states[-1].stage is SourceStage.ENDED
    assert camera.asked == 4
    assert not _connections()


def test_reader_with_memory_can_tell_the_gap() -> None:
    """Time goes on over it, and only forward."""
    first, second = Paced([numbered_frame(0, t=7.0), LOST]), Paced([numbered_frame(0, t=0.0)], block_at_end=True)
    with Recovering("cam", Camera(first, second), POLICY) as source:
        before, after = _read(source, [first, second], 2)
    assert (before.t, after.epoch) == (7.0, 1)
    assert after.t > before.t
    assert after.continues(before)


def test_first_connection_that_fails_is_raised_where_it_is_opened() -> None:
    """Somebody may have mistyped the address."""
    states: list[SourceStatus] = []
    with pytest.raises(SourceError, match="nothing listens there") as caught:
        Recovering("cam", Camera(REFUSED), POLICY, on_state=states.append)
    assert caught.value.code is SourceErrorCode.REFUSED
    assert [status.stage for status in states] == [SourceStage.CONNECTING, SourceStage.FAILED]


def test_patient_start_waits_for_a_source_that_is_not_there_yet() -> None:
    """A robot may boot before its camera."""
    policy = RecoveryPolicy(patient_start=True, retry_s=0.001, retry_max_s=0.001)
    connection = Paced([0], block_at_end=True)
    with Recovering("cam", Camera(REFUSED, REFUSED, connection), policy) as source:
        assert source.info.live
        assert next(source.frames()).seq == 0
        assert source.status.attempt == 3


def test_silent_source_is_stalled_then_connected_again_while_the_old_connection_still_hangs() -> None:
    """The thread that hangs in a read is not waited for."""
    hangs = _Hanging([0])
    states: list[SourceStage] = []
    policy = RecoveryPolicy(stall_s=0.02, lost_s=0.05, retry_s=0.001, retry_max_s=0.001)
    taken = threading.Event()
    camera = Camera(hangs, _after(taken, Paced([0], block_at_end=True)))
    with Recovering("cam", camera, policy, on_state=lambda status: states.append(status.stage)) as source:
        frames = source.frames()
        assert next(frames).epoch == 0
        taken.set()
        assert next(frames).epoch == 1
        assert hangs.closed.is_set()
        assert len(_connections()) == 2
    hangs.let_go.set()
    assert states[:5] == ["connecting", "live", "stalled", "reconnecting", "reconnecting"]


class _Hanging(ScriptedSource):
    """Hangs after its script, as a read in the kernel does: closing it does not end that."""

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.let_go = threading.Event()

    def frames(self) -> Iterator[Frame]:
        """Play, then hang."""
        yield from super().frames()
        assert self.let_go.wait(DEADLINE_S)


def test_connection_that_hangs_while_opening_is_given_up_and_closed_when_it_comes() -> None:
    """What nobody waits for any more does not stay open."""
    may_open = threading.Event()
    late = ScriptedSource([0], block_at_end=True)

    def open_late() -> Source:
        assert may_open.wait(DEADLINE_S)
        return late

    policy = RecoveryPolicy(connect_s=0.05, retry_s=0.001, retry_max_s=0.001, patient_start=True)
    with Recovering("cam", Camera(open_late, Paced([5], block_at_end=True)), policy) as source:
        assert next(source.frames()).seq == 5
        may_open.set()
        assert late.closed.wait(DEADLINE_S)


def test_connections_in_parallel_are_bounded() -> None:
    """A device that only one may use is not opened before the last one let go of it."""
    hangs = _Hanging([0])
    camera = Camera(hangs, Paced([0], block_at_end=True))
    policy = RecoveryPolicy(stall_s=0.01, lost_s=0.02, retry_s=0.001, retry_max_s=0.001)
    lost = threading.Event()

    def on_state(status: SourceStatus) -> None:
        if status.stage is SourceStage.RECONNECTING:
            lost.set()

    with Recovering("cam", camera, policy, on_state=on_state, connections_in_parallel=1) as source:
        epochs: list[int] = []
        taken = threading.Event()

        def read() -> None:
            for frame in islice(source.frames(), 2):
                epochs.append(frame.epoch)
                taken.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert lost.wait(DEADLINE_S)
        assert taken.wait(DEADLINE_S)
        assert camera.asked == 1
        hangs.let_go.set()
        reader.join(DEADLINE_S)
        assert epochs == [0, 1]
        assert camera.asked == 2


@pytest.mark.parametrize("where", ["a silence", "a wait for the next attempt", "an attempt"])
def test_close_ends_every_wait_at_once(where: str) -> None:
    """From another thread; the reader's iteration ends without an error."""
    hangs = threading.Event()

    def open_never() -> Source:
        hangs.wait(DEADLINE_S)
        raise REFUSED

    second: Source | Exception | Callable[[], Source] = open_never if where == "an attempt" else REFUSED
    first = Paced([0], block_at_end=True) if where == "a silence" else Paced([0, LOST])
    slow = RecoveryPolicy(retry_s=60, retry_max_s=60)
    policy = slow if where == "a wait for the next attempt" else RecoveryPolicy(retry_s=0.001, retry_max_s=0.001)
    reached = threading.Event()

    def on_state(status: SourceStatus) -> None:
        is_waiting, is_trying = status.retry_in_s is not None, status.attempt == 1 and status.connections == 1
        if {"a silence": status.stage is SourceStage.LIVE, "an attempt": is_trying and not is_waiting}.get(
            where, is_waiting
        ):
            reached.set()

    source = Recovering("cam", Camera(first, second), policy, on_state=on_state)

    def read() -> None:
        for _ in source.frames():
            first.taken.release()

    reader = threading.Thread(target=read)
    reader.start()
    assert reached.wait(DEADLINE_S)
    began_s = time.monotonic()
    source.close()
    source.close()
    reader.join(DEADLINE_S)
    assert time.monotonic() - began_s < DEADLINE_S / 2
    assert not reader.is_alive()
    assert source.status.stage is SourceStage.ENDED
    hangs.set()


def test_slow_reader_gets_the_newest_frame_and_the_rest_is_counted() -> None:
    """One slot; memory does not grow with what nobody takes."""
    all_came = threading.Event()
    with Recovering("cam", Camera(ScriptedSource([*range(50), all_came], block_at_end=True)), POLICY) as source:
        assert all_came.wait(DEADLINE_S)
        assert next(source.frames()).seq == 49
        assert source.status.overtaken == 49


def test_overtaken_frames_stay_counted_while_their_connection_is_closed() -> None:
    """However long that takes: whoever looks at that moment must not find them missing."""
    lost, taken, seen = threading.Event(), threading.Event(), []

    class Watched(ScriptedSource):
        def close(self) -> None:
            if threading.current_thread().name.startswith("read "):  # which gives it up
                seen.append(source.status.overtaken)
            super().close()

    second = _after(taken, ScriptedSource([0], block_at_end=True))
    with Recovering("cam", Camera(Watched([*range(50), lost, LOST]), second), POLICY) as source:
        assert lost.wait(DEADLINE_S)
        frames = source.frames()
        assert next(frames).seq == 49
        taken.set()
        assert next(frames).seq == 0
        assert source.status.overtaken == 49
    assert set(seen) == {49}


def test_lost_connection_is_let_go_without_the_garbage_collector() -> None:
    """Its decoder and buffers are large, and the collector may not come for minutes."""
    taken = threading.Event()

    class LostOnce(ScriptedSource):
        def frames(self) -> Iterator[Frame]:
            yield from super().frames()
            assert taken.wait(DEADLINE_S)
            raise SourceError("cam was lost", SourceErrorCode.LOST)

    first = LostOnce([0])
    kept, connections = weakref.ref(first), [first, ScriptedSource([0], block_at_end=True)]
    del first
    gc.disable()
    try:
        with Recovering("cam", lambda: connections.pop(0), POLICY) as source:
            frames = source.frames()
            assert next(frames).epoch == 0
            taken.set()
            assert next(frames).epoch == 1
            deadline_s = time.monotonic() + DEADLINE_S
            while kept() is not None and time.monotonic() < deadline_s:
                time.sleep(0.001)  # its thread is just ending
            assert kept() is None
    finally:
        gc.enable()


def test_finite_source_ends_and_is_not_connected_again() -> None:
    """Not after its end, and not after a loss: it would begin from its start."""
    camera = Camera(ScriptedSource([0]))
    with Recovering("cam", camera, POLICY) as source:
        assert [frame.seq for frame in source.frames()] == [0]
        assert source.status.stage is SourceStage.ENDED
    camera = Camera(Recording([0, LOST]))
    with Recovering("cam", camera, POLICY) as source, pytest.raises(SourceError, match="was lost"):
        list(source.frames())
    assert source.status.stage is SourceStage.FAILED
    assert camera.asked == 1


def test_source_that_gives_up_raises_what_is_wrong() -> None:
    """After the policy's limit."""
    policy = RecoveryPolicy(retry_s=0.001, retry_max_s=0.001, give_up_after_s=0.05)
    with Recovering("cam", Camera(ScriptedSource([0, LOST]), *[REFUSED] * 1000), policy) as source:
        with pytest.raises(SourceError, match="nothing listens"):
            list(source.frames())
        assert source.status.stage is SourceStage.FAILED
        assert source.status.code is SourceErrorCode.REFUSED


def test_mistake_of_the_caller_is_raised_not_repeated() -> None:
    """Only a source's own errors are worth another attempt."""
    camera = Camera(ConfigError("no such option"))
    with pytest.raises(ConfigError, match="no such option"):
        Recovering("cam", camera, POLICY)
    assert camera.asked == 1


def test_freshest_has_patience_with_a_source_that_recovers() -> None:
    """Its own limit is not for an outage."""
    first, second = Paced([0, LOST]), Paced([0], block_at_end=True)
    first.taken.release(10)
    policy = RecoveryPolicy(retry_s=0.3, retry_max_s=0.3)
    with Freshest(Recovering("cam", Camera(first, second), policy), stall_timeout_s=0.01) as freshest:
        assert 1 in (frame.epoch for frame in freshest.frames())


def test_source_is_watched_however_slow_its_reader_is() -> None:
    """Nobody takes a frame, and still it is called stalled, given up and connected again."""
    came, told = threading.Event(), list[SourceStage]()
    policy = RecoveryPolicy(stall_s=0.01, lost_s=0.02, retry_s=0.001, retry_max_s=0.001)
    camera = Camera(ScriptedSource([0, 1, 2], block_at_end=True), ScriptedSource([0, came], block_at_end=True))
    with Recovering("cam", camera, policy, on_state=lambda status: told.append(status.stage)) as source:
        reading = threading.Thread(target=source.fill)
        reading.start()
        assert came.wait(DEADLINE_S)
        newest = source.buffer.take(DEADLINE_S)
        assert newest is not None
        assert (newest.epoch, newest.seq) == (1, 0)
        assert (source.status.frames, source.status.overtaken, source.status.connections) == (1, 3, 2)
        source.close()
        reading.join(DEADLINE_S)
    assert told[:4] == ["connecting", "live", "stalled", "reconnecting"]


def test_freshest_and_the_source_count_the_same_frames() -> None:
    """There is one place for frames, and one count of those that were overtaken."""
    all_came = threading.Event()
    camera = Camera(ScriptedSource([*range(50), all_came], block_at_end=True))
    with Freshest(Recovering("cam", camera, POLICY)) as freshest:
        assert all_came.wait(DEADLINE_S)
        assert next(freshest.frames()).seq == 49
        assert isinstance(freshest.source, Recovering)
        assert (freshest.received, freshest.dropped, freshest.source.status.overtaken) == (50, 49, 49)


def test_prefetch_keeps_more_frames_of_a_source_that_recovers() -> None:
    """It does not wait for room: what is too much is overtaken and counted."""
    all_came, wrapped = threading.Event(), threading.Event()
    connection = ScriptedSource([*range(9), all_came], block_at_end=True)
    source = Recovering("cam", Camera(_after(wrapped, connection)), PATIENT)
    with Prefetch(source, depth=4) as prefetch:
        wrapped.set()
        assert all_came.wait(DEADLINE_S)
        assert [frame.seq for frame in islice(prefetch.frames(), 4)] == [5, 6, 7, 8]
        assert (prefetch.received, source.status.overtaken) == (9, 5)


def test_source_is_not_judged_by_the_time_in_which_this_process_was_stopped() -> None:
    """After Ctrl-Z and fg the camera is heard before it is called silent: nothing is stalled or connected again."""
    looks, jumped_ns = 0, 0

    def now_ns() -> int:
        nonlocal looks
        looks += 1
        return time.monotonic_ns() + jumped_ns

    states: list[SourceStage] = []
    connection = Paced([0, 1], block_at_end=True)
    camera = Camera(connection)
    with Recovering("cam", camera, POLICY, now_ns=now_ns, on_state=lambda new: states.append(new.stage)) as source:
        frames = source.frames()
        assert next(frames).seq == 0
        jumped_ns = 600 * 10**9
        enough = looks + 10
        wait_until(lambda: looks >= enough, "it looks at the clock")
        connection.taken.release()
        assert next(frames).epoch == 0
    assert states == [SourceStage.CONNECTING, SourceStage.LIVE, SourceStage.ENDED]
    assert camera.asked == 1
