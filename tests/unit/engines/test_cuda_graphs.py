"""Recorded graphs: which shapes are recorded, results that are the caller's own, and what happens when it fails."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from ssa_stream.engines import open_engine
from ssa_stream.engines.cuda_graphs import CudaGraphEngine, Recording
from ssa_stream.errors import ConfigError
from ssa_stream.model import SSA, empty_carry
from ssa_stream.model.positions import sine_1d
from ssa_stream.streaming import MaskResult, ReferSession, SessionConfig
from tests.support.tiny_model import one_model_thread, random_frames, tiny_model


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other cost more than they save here."""
    with one_model_thread():
        yield


class FixedMemory:
    """A recorder without a device: replaying does the work again and writes to the tensors of the first time.

    Attributes:
        recorded: How often something was recorded.
        replayed: How often something was replayed.
        failure: Raised instead of recording, if set.
    """

    def __init__(self) -> None:
        self.recorded = self.replayed = 0
        self.failure: Exception | None = None

    def record(self, work: Callable[[], Any]) -> Recording:
        """Do the work once."""
        if self.failure is not None:
            raise self.failure
        self.recorded += 1
        output = work()

        @torch.inference_mode()
        def replay() -> None:
            """Overwrite the output, whatever mode the caller is in: a device knows none."""
            self.replayed += 1
            for own, new in zip(_tensors(output), _tensors(work()), strict=True):
                own.copy_(new)

        return Recording(output, replay)


def _tensors(value: Any) -> list[Tensor]:
    """All tensors of nested tuples."""
    if isinstance(value, Tensor):
        return [value]
    return [tensor for part in value for tensor in _tensors(part)] if isinstance(value, tuple) else []


class Stand:
    """Graphs of the test network by fixed memory, and what they said."""

    def __init__(self, model: SSA | None = None, **settings: int) -> None:
        self.recorder, self.said = FixedMemory(), list[str]()
        self.stages = CudaGraphEngine(model or tiny_model(), self.recorder, say=self.said.append, **settings)


@torch.inference_mode()
def test_graph_stages_record_a_shape_at_its_third_use() -> None:
    """Two uses run the network, the third is recorded; all results are the network's."""
    stand = Stand()
    pictures = [torch.randn(1, 3, 64, 96) for _ in range(5)]
    made = [stand.stages.encode_stem(picture) for picture in pictures]
    assert (stand.recorder.recorded, stand.recorder.replayed) == (1, 1 + 3)  # one is its trial
    for picture, stem in zip(pictures, made, strict=True):  # also: no later call changed an earlier result
        torch.testing.assert_close(stem, tiny_model().encode_stem(picture), rtol=0, atol=0)
    assert stand.said == []


@torch.inference_mode()
def test_graph_stages_tell_shapes_types_and_orders_of_memory_apart() -> None:
    """A recording is used for what it was made for only."""
    stand = Stand()
    plain = torch.randn(2, 3, 64, 64)
    for picture in (plain, plain.to(memory_format=torch.channels_last), plain[:1], plain[..., :32]):
        for _ in range(4):
            torch.testing.assert_close(stand.stages.encode_stem(picture), tiny_model().encode_stem(picture))
    assert stand.stages.num_graphs == 4


@torch.inference_mode()
def test_graph_stages_record_windows_with_and_without_memory() -> None:
    """Nested arguments are part of the key, and nested results come back in their own classes."""
    stand, N, C = Stand(), 6, 64
    aligned, text = torch.randn(2, 3, N, C), torch.randn(2, 3, C)
    for carried in (None, empty_carry(N, C, torch.device("cpu"), batch=2)):
        for _ in range(4):
            output = stand.stages.decode_window(aligned, text, carried)
        expected = tiny_model().decode_window(aligned, text, carried)
        assert type(output) is type(expected)
        torch.testing.assert_close(output, expected, rtol=0, atol=0)
    assert stand.stages.num_graphs == 2


@torch.inference_mode()
def test_graph_stages_that_cannot_be_recorded_run_by_the_network() -> None:
    """A failure is said once for a stage, and is not tried again."""
    stand = Stand()
    stand.recorder.failure = RuntimeError("operation not permitted when stream is capturing")
    picture = torch.randn(1, 3, 64, 64)
    for size in (64, 32):
        for _ in range(5):
            made = stand.stages.encode_stem(picture[..., :size])
            torch.testing.assert_close(made, tiny_model().encode_stem(picture[..., :size]))
    assert len(stand.said) == 1
    assert "encode_stem runs without a CUDA graph" in stand.said[0]
    assert "not permitted" in stand.said[0]


@torch.inference_mode()
def test_graph_stages_prove_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording that keeps the numbers it was made with is refused, with the stage; the network computes."""
    stand = Stand()
    monkeypatch.setattr(stand.recorder, "record", lambda work: Recording(work(), lambda: None))
    pictures = [torch.randn(1, 3, 64, 64) for _ in range(5)]
    for picture in pictures:
        torch.testing.assert_close(stand.stages.encode_stem(picture), tiny_model().encode_stem(picture))
    (line,) = stand.said
    assert line.startswith("encode_stem runs without a CUDA graph: it gives other numbers")
    assert stand.stages.num_graphs == 0


def test_engine_is_for_cuda_devices_only() -> None:
    """Asked for by name on a processor it is an error that says what to do."""
    with pytest.raises(ConfigError, match=r"the network is on cpu: choose device cuda, or engine torch"):
        open_engine(tiny_model(), "cuda-graph")


@torch.inference_mode()
def test_graph_stages_are_limited_and_idle_ones_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shape too many runs by the network while all graphs are in use; said once."""
    monkeypatch.setattr("ssa_stream.engines.cuda_graphs._IDLE_CALLS", 12)
    stand = Stand(most_graphs=2)
    for size in (32, 64, 96, 128):
        for _ in range(3):
            stand.stages.encode_stem(torch.zeros(1, 3, 32, size))
    assert (stand.stages.num_graphs, stand.recorder.recorded) == (2, 2)
    assert [line.partition(" are in use")[0] for line in stand.said] == ["2 CUDA graphs"]
    for _ in range(9):
        stand.stages.encode_stem(torch.zeros(1, 3, 32, 128))
    assert (stand.stages.num_graphs, stand.recorder.recorded) == (2, 3)


def test_graph_stages_leave_gradients_to_the_network() -> None:
    """Nothing is recorded where a gradient may be asked for; what inference recorded can be used outside of it."""
    stand = Stand()
    picture = torch.randn(1, 3, 64, 64)
    for _ in range(5):
        stand.stages.encode_stem(picture)
    assert stand.recorder.recorded == 0
    with torch.inference_mode():
        for _ in range(3):
            stand.stages.encode_stem(picture)
    with torch.no_grad():
        stem = stand.stages.encode_stem(picture)
    assert stand.recorder.replayed == 1 + 2
    assert not stem.is_inference()


@torch.inference_mode()
def test_graph_stages_hold_the_shared_tensors_that_a_graph_reads() -> None:
    """A position code that newer ones push out must not be freed: the graph reads its memory."""
    stand = Stand()
    for _ in range(3):
        stand.stages.decode_window(torch.randn(1, 5, 6, 64), torch.randn(1, 5, 64))
    code = sine_1d(5, 64, torch.device("cpu"), torch.float32)
    (graph,) = stand.stages._graphs.values()
    assert any(held is code for held in graph.held)


@torch.inference_mode()
def test_graph_stages_serve_threads_one_after_the_other() -> None:
    """Threads that share fixed memory get their own results."""
    stand = Stand()
    pictures = [torch.randn(1, 3, 32, 32) for _ in range(4)]
    wrong = list[int]()

    def work(place: int) -> None:
        """Compute one picture many times."""
        with torch.inference_mode():
            expected = tiny_model().encode_stem(pictures[place])
            for _ in range(20):
                if not torch.equal(stand.stages.encode_stem(pictures[place]), expected):
                    wrong.append(place)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert stand.recorder.recorded == 1


def test_session_with_graphs_gives_the_same_results() -> None:
    """A session with changing prompts, replay and several prompts is the same by graphs; its snapshots stay good."""
    frames = random_frames(14)
    sessions = [ReferSession(stages, SessionConfig(window=3)) for stages in (tiny_model(), Stand().stages)]
    results: list[list[MaskResult]] = [[], []]
    for which, session in enumerate(sessions):
        for i, frame in enumerate(frames):
            if i in (0, 5, 9):
                session.set_prompts([["a dog"], ["a dog", "the red car"], ["the red car"]][(0, 5, 9).index(i)])
            results[which] += session.push(frame)
            if which and i == 6:
                state, as_bytes = session.state(), session.state().to_bytes()
    assert len(results[0]) == len(results[1]) > 14
    for plain, recorded in zip(*results, strict=True):
        assert plain.probability == recorded.probability
        assert [(m.track_id, m.area_px) for m in plain.tracks] == [(m.track_id, m.area_px) for m in recorded.tracks]
    assert state.to_bytes() == as_bytes
