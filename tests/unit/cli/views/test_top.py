"""What `ssa-stream top` makes of what is published."""

import io
import os
import pty
import select
import termios
from collections.abc import Iterator

import pytest
from rich.console import Console

from ssa_stream.cli.views.graph_status import GraphStatus
from ssa_stream.cli.views.keyboard import Keyboard
from ssa_stream.cli.views.top_rates import Rates
from ssa_stream.cli.views.top_view import top_view
from ssa_stream.client import MaskView
from ssa_stream.protocols import (
    AnyMessage,
    AppliesFrom,
    DropCount,
    Event,
    Heartbeat,
    Latency,
    Limits,
    MaskMessage,
    Prompt,
    PromptState,
    QueueDepth,
    Statistics,
    Topic,
    decode,
)
from tests.support.mask_messages import mask_parts
from tests.support.scripted_nodes import source_state

CLOCK = "monotonic:x"
SECOND = 1_000_000_000


def _beat(steps: int, at_s: float, incarnation: int = 0, depth: int = 1, step_age_s: float | None = 0.2) -> Heartbeat:
    return Heartbeat(
        node="encoder-0",
        role="encoder",
        incarnation=incarnation,
        beat=0,
        at_ns=round(at_s * SECOND),
        clock=CLOCK,
        ready=True,
        step_age_s=step_age_s,
        steps=steps,
        queues=(QueueDepth(name="inbox", depth=depth, capacity=4),),
    )


def _statistics(dropped: int, at_s: float) -> Statistics:
    return Statistics(
        node="encoder-0",
        role="encoder",
        incarnation=0,
        at_ns=round(at_s * SECOND),
        clock=CLOCK,
        interval_s=1.0,
        drops=(DropCount(stream="cam0", reason="stale", count=dropped),),
        latencies=(Latency(name="encoder", stream="cam0", count=9, p50_ms=12.3, p95_ms=45.6, p99_ms=50, max_ms=60),),
    )


def _masks(arrived_ns: int, seq: int = 0, prompt: str = "p1") -> MaskView:
    packet = decode(mask_parts(seq, prompt=prompt), Limits())
    assert isinstance(packet.message, MaskMessage)
    return MaskView(packet.message, packet.buffers, arrived_ns=arrived_ns)


def _shown(*messages: AnyMessage, rates: Rates | None = None, is_heard: bool = True, width: int = 160) -> str:
    graph, known = GraphStatus(), rates or Rates()
    for message in messages:
        graph.note(Topic("cam0", "state"), message)
        known.note(message)
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(top_view(graph, known, now_ns=10 * SECOND, header="HEADER", is_heard=is_heard))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_rates_are_differences_over_the_last_two_seconds() -> None:
    """What is older does not count; nothing is known of one sample."""
    rates = Rates()
    rates.note(_beat(0, 0.0))
    assert rates.steps_per_s("encoder-0") is None
    for tenths in range(1, 51):
        rates.note(_beat(tenths if tenths <= 20 else 20 + 3 * (tenths - 20), tenths / 10))
    assert rates.steps_per_s("encoder-0") == pytest.approx(30.0)
    rates.note(_statistics(5, 0.0))
    rates.note(_statistics(9, 2.0))
    assert rates.drops_per_s("encoder-0") == pytest.approx(2.0)


def test_rates_of_a_restarted_node_begin_anew() -> None:
    """Its counters do, too: a rate is never negative."""
    rates = Rates()
    rates.note(_beat(100, 0.0))
    rates.note(_beat(1, 0.5, incarnation=1))
    assert rates.steps_per_s("encoder-0") is None
    rates.note(_beat(3, 1.0, incarnation=1))
    assert rates.steps_per_s("encoder-0") == pytest.approx(4.0)


def test_frames_with_masks_are_counted_once_for_all_prompts() -> None:
    """Those of the last two seconds; the age is that of the newest picture."""
    rates = Rates()
    for seq in range(6):
        for prompt in ("p1", "p2"):
            rates.note_masks(_masks((5 + seq) * SECOND, seq, prompt))
    assert rates.masks_per_s("cam0", 10 * SECOND) == pytest.approx(1.5)
    assert rates.masks_per_s("cam0", 20 * SECOND) == 0
    figures = rates.prompts("cam0")["p1"]
    assert figures.objects == 1
    assert figures.score == pytest.approx(0.9)
    assert figures.age_ms is not None


def test_streams_prompts_and_nodes_are_shown() -> None:
    """With what each does."""
    rates = Rates()
    rates.note_masks(_masks(10 * SECOND))
    prompt = Prompt(id="p1", text="the [red] cup", version=1)
    text = _shown(
        source_state(size=(360, 640), rate_hz=29.97, address="camera"),
        PromptState(stream="cam0", prompts=(prompt,), version=1, applies_from=AppliesFrom(epoch=0, seq=0, index=0)),
        _beat(0, 0.0),
        _beat(20, 1.0, depth=3),
        _statistics(7, 1.0),
        Event(kind="node_lost", node="control", at_ns=0, clock=CLOCK, about_node="decoder-0", text="killed"),
        rates=rates,
    )
    for part in ("HEADER", "running camera", "640x360", "30.0", "the [red] cup", "0.90", "stale 7", "20.0", "0.20 s"):
        assert part in text
    assert "██████░░ 3/4" in text
    assert "12/46" in text
    assert "node_lost decoder-0  killed" in text


def test_graph_that_has_fallen_silent_is_told() -> None:
    """What was last known stays on the screen."""
    text = _shown(source_state(), is_heard=False)
    assert "nothing comes; waiting for it" in text
    assert "cam0" in text


def test_narrow_terminal_gets_lines_that_fit() -> None:
    """Cut, not folded."""
    lines = _shown(source_state(address="x" * 200), _beat(1, 1.0), width=60).splitlines()
    assert max(map(len, lines)) <= 60


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of one: what a person types, and what a program reads."""
    person, program = pty.openpty()
    yield person, program
    os.close(person)
    os.close(program)


def test_keys_come_without_enter_and_the_terminal_is_restored(terminal: tuple[int, int]) -> None:
    """Nothing waits for them."""
    person, program = terminal
    before = termios.tcgetattr(program)
    with Keyboard(program) as keyboard:
        assert keyboard.pressed() == ""
        os.write(person, b"q")
        assert select.select([program], [], [], 10)[0]
        assert keyboard.pressed() == "q"
    assert termios.tcgetattr(program) == before


def test_no_keys_come_where_the_input_is_no_terminal() -> None:
    """A pipe is left alone, its content for others."""
    read, write = os.pipe()
    os.write(write, b"q")
    with Keyboard(read) as keyboard:
        assert keyboard.pressed() == ""
    assert os.read(read, 1) == b"q"
    os.close(read)
    os.close(write)
