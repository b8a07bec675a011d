"""Subscribers with a publisher on loopback."""

import asyncio
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from ssa_stream.client import MaskSubscription, MaskView, UpdateSubscription, masks, masks_async, updates
from ssa_stream.errors import ConfigError, TransportError
from ssa_stream.protocols import EVENTS, Event, SourceState, Topic, encode
from tests.support.checkout import ROOT
from tests.support.mask_messages import CLOCK, FakePublisher, circle, mask_parts, publisher, publishing
from tests.support.scripted_nodes import source_state
from tests.support.threads import in_thread
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

PATIENCE_S = 20.0


def _next(subscribed: MaskSubscription) -> MaskView:
    view = subscribed.next(PATIENCE_S)
    assert view is not None
    return view


# Freshness.


def test_slow_consumer_gets_the_newest_masks_and_is_told_what_it_missed() -> None:
    """However many came meanwhile."""
    with publisher() as source, MaskSubscription(source.address, "cam0") as subscribed:
        source.wait_for_subscriber()
        source.send(mask_parts(0))
        assert _next(subscribed).frame.seq == 0
        source.send(*[mask_parts(seq) for seq in range(1, 50)])
        wait_until(lambda: subscribed.counts.received == 50)
        view = _next(subscribed)
        assert (view.frame.seq, view.gap, view.dropped_here) == (49, 48, 48)
        assert subscribed.next(0.0) is None
        counts = subscribed.counts
        assert (counts.received, counts.given, counts.overtaken, counts.too_old) == (50, 2, 48, 0)


def test_prompts_and_streams_do_not_overtake_each_other() -> None:
    """One slot each."""
    with publisher() as source, MaskSubscription(source.address) as subscribed:
        source.wait_for_subscriber()
        source.send(
            *[mask_parts(seq, prompt=p, stream=s) for seq in range(3) for p in ("p1", "p2") for s in ("a", "b")]
        )
        wait_until(lambda: subscribed.counts.received == 12)
        found = {(view.frame.stream, view.prompt.id, view.frame.seq) for view in (_next(subscribed) for _ in range(4))}
        assert found == {("a", "p1", 2), ("a", "p2", 2), ("b", "p1", 2), ("b", "p2", 2)}


def test_subscription_to_one_prompt_brings_no_other() -> None:
    """Not even one whose id begins alike."""
    with publisher() as source, MaskSubscription(source.address, "cam0", prompts=["p1"]) as subscribed:
        assert source.wait_for_subscriber() == b"v1/cam0/masks/p1"
        source.send(mask_parts(0, prompt="p10"), mask_parts(1, prompt="p1"))
        assert _next(subscribed).frame.seq == 1
        assert subscribed.counts.received == 1


def test_masks_older_than_allowed_are_passed_over_and_counted() -> None:
    """The next one says how many."""
    old_ns = CLOCK.monotonic_ns() - 5_000_000_000
    with publisher() as source, MaskSubscription(source.address, "cam0", max_age_s=2.0) as subscribed:
        source.wait_for_subscriber()
        for seq in range(2):
            source.send(mask_parts(seq, received_ns=old_ns))
            wait_until(lambda: subscribed.counts.received == seq + 1)  # noqa: B023  called in this round
            assert subscribed.next(0.0) is None
        source.send(mask_parts(2))
        view = _next(subscribed)
        assert (view.frame.seq, view.dropped_here, view.gap) == (2, 2, 0)
        assert subscribed.counts.too_old == 2


def test_delay_on_another_machines_clock_counts_beyond_the_quickest_message() -> None:
    """What the clocks differ by is not known, and does not matter."""
    with publisher() as source, MaskSubscription(source.address, "cam0", max_age_s=2.0) as subscribed:
        source.wait_for_subscriber()
        source.send(mask_parts(0, received_ns=10**15, clock="monotonic:elsewhere"))
        view = _next(subscribed)
        assert view.age_s is None
        source.send(mask_parts(1, received_ns=10**15 - 5_000_000_000, clock="monotonic:elsewhere"))
        wait_until(lambda: subscribed.counts.received == 2)
        assert subscribed.next(0.0) is None
        assert subscribed.counts.too_old == 1
        source.send(mask_parts(0, stream="cam0", prompt="p2", received_ns=5, clock="monotonic:third"))
        assert _next(subscribed).prompt.id == "p2"  # nothing is known of that clock yet


@pytest.mark.parametrize(
    ("epoch", "seq", "index", "gap"),
    [(0, 5, 5, 4), (0, 1, 1, 0), (1, 0, 1, 0), (1, 3, 7, 6)],
    ids=["hole", "next", "next in a new epoch", "later in a new epoch"],
)
def test_gap_counts_frames_between(epoch: int, seq: int, index: int, gap: int) -> None:
    """By number within an epoch, by index across epochs."""
    with publisher() as source, MaskSubscription(source.address, "cam0") as subscribed:
        source.wait_for_subscriber()
        source.send(mask_parts(0))
        assert _next(subscribed).gap == 0
        source.send(mask_parts(seq, epoch=epoch, index=index))
        assert _next(subscribed).gap == gap


def test_provisional_result_does_not_overtake_a_final_one() -> None:
    """The final one of an earlier frame is still wanted."""
    with publisher() as source, MaskSubscription(source.address, "cam0") as subscribed:
        source.wait_for_subscriber()
        source.send(mask_parts(3), mask_parts(5, status="provisional"))
        wait_until(lambda: subscribed.counts.received == 2)
        assert [_next(subscribed).status for _ in range(2)] == ["final", "provisional"]


# What comes from outside.


def test_garbage_and_other_kinds_are_passed_over() -> None:
    """And counted where they pretend to be masks."""
    with publisher() as source, MaskSubscription(source.address) as subscribed:
        source.wait_for_subscriber()
        good = mask_parts(7)
        source.send(
            [b"v1/cam0/masks/p1"],
            [b"v1/cam0/masks/p1", b"\xff"],
            [b"v1/cam0/masks/p1", good[1]],
            [b"v1/cam0/state", b"\xff"],
            [b"v1/cam0/novel/p1", b"\xff"],
            good,
        )
        assert _next(subscribed).frame.seq == 7
        assert (subscribed.counts.malformed, subscribed.counts.received) == (3, 1)


def test_masks_are_those_that_were_sent() -> None:
    """Through the wire and back."""
    mask = circle()
    with publisher() as source, MaskSubscription(source.address, "cam0") as subscribed:
        source.wait_for_subscriber()
        source.send(mask_parts(0, [mask]))
        view = _next(subscribed)
        assert np.array_equal(view.mask(view.tracks[0]), mask)
        assert view.age_s is not None
        assert 0 <= view.age_s < PATIENCE_S


def test_publisher_that_comes_back_is_found_again() -> None:
    """At the same address, without anything being done."""
    first = FakePublisher("tcp://127.0.0.1:*")
    with MaskSubscription(first.address, "cam0") as subscribed:
        first.wait_for_subscriber()
        first.send(mask_parts(0))
        assert _next(subscribed).frame.seq == 0
        assert subscribed.is_connected
        first.close()
        wait_until(lambda: not subscribed.is_connected)
        with publisher(first.address) as second:
            second.wait_for_subscriber()
            second.send(mask_parts(0, epoch=1, index=9))
            assert _next(subscribed).frame.epoch == 1
            assert subscribed.is_connected


# The end.


def test_loop_that_is_left_closes_the_connection() -> None:
    """No thread is left, as the fixture of all tests checks too."""
    with publishing(lambda number: [mask_parts(number)]) as address:
        for view in masks(address, "cam0", timeout_s=PATIENCE_S):
            if view.frame.seq > 3:
                break
        wait_until(lambda: not any("receiver" in thread.name for thread in threading.enumerate()))


def test_wait_in_vain_says_that_nobody_is_there() -> None:
    """With what to do."""
    with pytest.raises(TransportError, match=r"no publisher at tcp://127.0.0.1:1 for 0.05 s; start one"):
        next(iter(masks("tcp://127.0.0.1:1", "cam0", timeout_s=0.05)))


def test_wait_in_vain_says_what_did_not_come() -> None:
    """If there is a publisher: nothing, or nothing young enough."""
    with publisher() as source:
        with MaskSubscription(source.address, "cam0", timeout_s=0.05) as subscribed:
            source.wait_for_subscriber()
            wait_until(lambda: subscribed.is_connected)
            with pytest.raises(TransportError, match=r"connected to .*, but no masks of stream 'cam0' came for 0.05 s"):
                next(subscribed)
        with MaskSubscription(source.address, "cam0", timeout_s=0.2, max_age_s=0.001) as subscribed:
            source.wait_for_subscriber()
            source.send(mask_parts(0, received_ns=1))
            wait_until(lambda: subscribed.counts.received)
            with pytest.raises(TransportError, match="older than max_age_s"):
                next(subscribed)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"address": "nonsense"}, "expected one like tcp://HOST:PORT"),
        ({"stream": "c/m"}, "is no name"),
        ({"stream": "cam0", "prompts": "p1"}, r"expected a list of prompt ids: \['p1'\]"),
        ({"stream": "cam0", "prompts": ["p/1"]}, "is no name"),
        ({"max_age_s": 0}, "max_age_s is 0"),
        ({"timeout_s": -1.0}, "timeout_s is -1.0"),
    ],
    ids=["address", "stream", "string", "prompt", "age", "timeout"],
)
def test_wrong_argument_is_refused(arguments: dict[str, object], text: str) -> None:
    """Before anything is started."""
    with pytest.raises(ConfigError, match=text):
        MaskSubscription(**arguments)  # type: ignore[arg-type]


def test_closed_subscription_ends_the_loop_of_another_thread() -> None:
    """Which waits at that moment."""
    with publisher() as source:
        subscribed = MaskSubscription(source.address)
        seen: list[list[MaskView]] = []
        thread = threading.Thread(target=lambda: seen.append(list(subscribed)))
        thread.start()
        source.wait_for_subscriber()
        subscribed.close()
        subscribed.close()
        thread.join(PATIENCE_S)
        assert seen == [[]]


def test_interrupted_loop_ends_its_process_at_once() -> None:
    """Ctrl-C while nothing comes."""
    program = """
        import signal
        from ssa_stream.client import masks
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are born without
        print("waiting", flush=True)
        for view in masks("tcp://127.0.0.1:1"):
            pass
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        deadline_s = time.monotonic() + PATIENCE_S
        while process.poll() is None:
            assert time.monotonic() < deadline_s
            process.send_signal(2)
            time.sleep(0.2)
        assert process.stderr is not None
        assert "KeyboardInterrupt" in process.stderr.read()


def test_client_needs_no_torch() -> None:
    """It runs on a robot with the base installation."""
    program = "import sys, ssa_stream.client; print([m for m in ('torch', 'cv2', 'av') if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert output.stdout == "[]\n"


# asyncio.


async def test_async_loop_gives_masks_while_others_work() -> None:
    """The loop runs on between two masks."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.001)

    with publishing(lambda number: [mask_parts(number)]) as address:
        task = asyncio.create_task(tick())
        seen = []
        async with asyncio.timeout(PATIENCE_S):
            views = masks_async(address, "cam0", timeout_s=PATIENCE_S)
            async for view in views:
                seen.append(view.frame.seq)
                if len(seen) == 5:
                    break
            await views.aclose()  # type: ignore[attr-defined]
        task.cancel()
        await asyncio.wait([task])
    assert seen == sorted(set(seen))
    assert ticks > 1


async def test_async_wait_that_is_cancelled_loses_nothing() -> None:
    """A mask that came at that moment is there the next time."""
    with publisher() as source:
        async with MaskSubscription(source.address) as subscribed:
            await in_thread(source.wait_for_subscriber)
            for seq in range(20):
                waiting = asyncio.create_task(subscribed.next_async())
                await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.wait([waiting])
                source.send(mask_parts(seq))
                view = await subscribed.next_async(PATIENCE_S)
                assert view is not None
                assert view.frame.seq == seq


async def test_async_wait_in_vain_is_an_error() -> None:
    """As without asyncio."""
    async with MaskSubscription("tcp://127.0.0.1:1", timeout_s=0.05) as subscribed:
        with pytest.raises(TransportError, match="no publisher"):
            await anext(aiter(subscribed))


# Updates.


def test_updates_are_given_in_order_and_repeated_states_once() -> None:
    """A broker tells states again to everybody when somebody comes."""
    state, topic = encode(source_state(epoch=1), topic=Topic("cam0", "state")), Topic("cam0", EVENTS)
    event = Event(kind="epoch", node="ingest-cam0", at_ns=1, clock=CLOCK.name, stream="cam0")
    with publisher() as source, UpdateSubscription(source.address, "cam0") as subscribed:
        subscriptions = {source.wait_for_subscriber() for _ in range(3)}
        assert subscriptions == {b"v1/cam0/state", b"v1/cam0/prompts", b"v1/cam0/events"}
        source.send(
            state, state, encode(event, topic=topic), state, encode(event, topic=topic), [b"v1/cam0/state", b""]
        )
        source.send(encode(source_state(epoch=2), topic=Topic("cam0", "state")))
        found = [subscribed.next(PATIENCE_S) for _ in range(4)]
        kinds = [type(update.message) for update in found if update is not None]
        assert kinds == [SourceState, Event, Event, SourceState]


def test_updates_of_all_streams_are_no_masks() -> None:
    """Of which the wish for everything brings many."""
    with publishing(lambda n: [mask_parts(n), encode(source_state(frames=n), topic=Topic("cam0", "state"))]) as address:
        for update in updates(address, timeout_s=PATIENCE_S):
            assert isinstance(update.message, SourceState)
            if update.message.frames > 3:
                break


def test_updates_of_an_unknown_kind_are_refused() -> None:
    """Masks have a subscription of their own."""
    with pytest.raises(ConfigError, match="expected some of state, prompts, events"):
        UpdateSubscription(kinds=["masks"])
