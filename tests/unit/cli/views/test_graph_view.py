"""What a graph's figures look like."""

import io
from collections import Counter, deque
from typing import Any

from rich.console import Console

from ssa_stream.cli.views.graph_view import _figures, print_graph_summary
from ssa_stream.cli.views.model_words import ModelWords
from ssa_stream.client.graph_state import GraphState
from ssa_stream.found_frames import FoundFrames
from ssa_stream.input_warnings import InputWarning
from ssa_stream.knowledge import Knowledge
from ssa_stream.nodes.launcher import GraphReport
from tests.support.scripted_nodes import source_state


def test_summary_names_drops_restarts_and_prompt_changes() -> None:
    """Everything that a user compares between two runs is printed."""
    report = GraphReport(
        read=Counter(cam0=36), frames=Counter(cam0=31), drops=Counter(stale=2, unprocessed=3),
        restarts={"encoder-0": 1}, elapsed_s=3.0,
        prompt_to_mask_ms=deque([41.7]), warnings=[InputWarning("stream cam0", "source a.mp4: cut off")],
    )  # fmt: skip
    report.latencies_ms.extend([10.0, 20.0, 30.0])
    text = io.StringIO()
    report.found["cam0"] = found = FoundFrames()
    for index in range(31):
        found.count("p1", "the red cup", has_target=index < 12)
    print_graph_summary(report, ModelWords(Knowledge("ssa"), is_synthetic=False), Console(file=text, width=200))
    assert text.getvalue().splitlines() == [
        "done: 31 frames in 3.0 s = 10.0 fps over the whole time, latency p50 20 ms, p95 29 ms, 2 dropped",
        "read 36 frames: 31 with masks, 2 stale, 3 read ahead and not needed",
        "restarts of encoder-0: 1",
        "prompt change to first masks: 42 ms",
        "warning: stream cam0: source a.mp4: cut off",
        '"the red cup": target found in 12 of 31 frames',
    ]


def test_summary_of_no_frames_has_no_rate_and_no_latency() -> None:
    """There is none to tell."""
    text = io.StringIO()
    words = ModelWords(Knowledge("ssa"), is_synthetic=False)
    print_graph_summary(GraphReport(is_interrupted=True), words, Console(file=text, width=200))
    assert text.getvalue().splitlines()[0] == "ended by a signal: no frame got masks, 0 dropped"


def test_figures_of_a_graph_name_sources_that_are_lost() -> None:
    """The others are seen by their frames."""
    state = GraphState()
    state.take(source_state("side"), now_ns=0)
    lost: dict[str, Any] = {"status": "lost", "attempt": 3, "text": "connection refused", "code": "refused"}
    state.take(source_state("cam0", retry_in_s=4.0, **lost), now_ns=0)
    figures = _figures(GraphReport.of(state, ["cam0", "side"], now_ns=0))
    assert figures.endswith("  cam0 reconnecting, attempt 3, next in 4 s: connection refused (refused)")
    assert "side" not in figures
