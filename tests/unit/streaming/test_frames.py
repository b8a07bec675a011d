"""Frames: what is taken, what is refused, and that a step either happens wholly or not at all."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ssa_stream.errors import ShapeError
from ssa_stream.streaming import ReferSession, SessionConfig
from ssa_stream.streaming.emission import emit_masks
from tests.support.tiny_model import random_frames, tiny_model
from tests.unit.streaming.comparing import assert_same_results, saved

CONFIG = SessionConfig(window=3, lookahead=1)
SIZE = (37, 53)


def _running(frames: int = 4) -> ReferSession:
    session = ReferSession(tiny_model(), CONFIG, ["a dog"])
    for frame in random_frames(frames, SIZE):
        session.push(frame)
    return session


BAD_FRAMES: dict[str, Any] = {
    "other_size": np.zeros((53, 37, 3), np.uint8),
    "one_pixel_more": np.zeros((38, 53, 3), np.uint8),
    "float": np.zeros((*SIZE, 3), np.float32),
    "int64": np.zeros((*SIZE, 3), np.int64),
    "bool": np.zeros((*SIZE, 3), np.bool_),
    "grey": np.zeros(SIZE, np.uint8),
    "one_channel": np.zeros((*SIZE, 1), np.uint8),
    "alpha": np.zeros((*SIZE, 4), np.uint8),
    "channels_first": np.zeros((3, *SIZE), np.uint8),
    "batch": np.zeros((1, *SIZE, 3), np.uint8),
    "no_rows": np.zeros((0, 53, 3), np.uint8),
    "no_columns": np.zeros((37, 0, 3), np.uint8),
    "list": [[[0, 0, 0]]],
    "none": None,
}


@pytest.mark.parametrize("kind", BAD_FRAMES)
def test_bad_frame_raises_and_changes_nothing(kind: str) -> None:
    """Before any frame and in mid-stream, where the stream then goes on as if nothing had been."""
    if kind not in ("other_size", "one_pixel_more"):
        fresh = ReferSession(tiny_model(), CONFIG, ["a dog"])
        with pytest.raises(ShapeError):
            fresh.push(BAD_FRAMES[kind])
        assert fresh.next_index == 0
    session, twin = _running(), _running()
    before = session.state()
    with pytest.raises(ShapeError):
        session.push(BAD_FRAMES[kind])
    assert session.state() is before
    frame = random_frames(1, SIZE, seed=5)[0]
    assert_same_results(session.push(frame), twin.push(frame))


VIEWS: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "fortran_order": np.asfortranarray,
    "channels_reversed": lambda frame: np.ascontiguousarray(frame[..., ::-1])[..., ::-1],
    "rows_reversed": lambda frame: np.ascontiguousarray(frame[::-1])[::-1],
    "crop": lambda frame: np.pad(frame, ((2, 3), (4, 5), (0, 0)))[2:-3, 4:-5],
    "transposed": lambda frame: np.ascontiguousarray(frame.transpose(2, 1, 0)).transpose(2, 1, 0),
    "read_only": lambda frame: np.frombuffer(frame.tobytes(), np.uint8).reshape(frame.shape),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [SIZE, (40, 64)], ids=["resized", "as_it_is"])
@pytest.mark.parametrize("kind", VIEWS)
def test_views_are_taken_as_their_copies(kind: str, size: tuple[int, int]) -> None:
    """Crops, flips and read-only buffers, which cameras and decoders give."""
    view, plain = (ReferSession(tiny_model(), CONFIG, ["a dog"]) for _ in range(2))
    for frame in random_frames(3, size):
        turned = VIEWS[kind](frame)
        np.testing.assert_array_equal(turned, frame)
        assert_same_results(view.push(turned), plain.push(np.ascontiguousarray(frame)))


def test_frame_may_be_overwritten_after_the_push() -> None:
    """A camera that fills one buffer again and again does not change what was seen."""
    reused, plain = ReferSession(tiny_model(), CONFIG), ReferSession(tiny_model(), CONFIG)
    buffer = np.zeros((40, 64, 3), np.uint8)
    for frame in random_frames(3, (40, 64)):
        buffer[:] = frame
        reused.push(buffer)
        plain.push(frame)
    buffer[:] = 0
    for session in (reused, plain):
        session.set_prompts(["a dog"])  # replays what was kept
    assert_same_results(reused.flush(), plain.flush())


def test_results_are_the_callers_to_change() -> None:
    """Painting into a mask has no influence on what follows."""
    painted, plain = _running(), _running()
    for frame in random_frames(3, SIZE, seed=8):
        results = painted.push(frame)
        assert_same_results(results, plain.push(frame))
        for result in results:
            for track in result.tracks:
                track.mask[:] = True


def test_reset_takes_a_new_size() -> None:
    """Masks then have it."""
    session = _running()
    session.reset()
    (result,) = [one for frame in random_frames(2, (64, 41)) for one in session.push(frame)]
    assert result.size == (64, 41)
    assert result.merged().shape == (64, 41)
    with pytest.raises(ShapeError, match=r"53x37 .* 41x64"):
        session.push(np.zeros((37, 53, 3), np.uint8))


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (2000, 2), (33, 33)])
def test_odd_sizes_work(size: tuple[int, int]) -> None:
    """Down to a pixel, and far from any usual aspect."""
    session = ReferSession(tiny_model(), SessionConfig(threshold=0.0), ["a dog"])
    (result,) = session.push(np.full((*size, 3), 90, np.uint8))
    assert result.merged().shape == size


STAGES = ["encode_stem", "condition", "generate_queries", "project_queries", "decode_window", "predict_masks"]


@pytest.mark.parametrize(
    ("stage", "call"),
    # A flush has the prompt-free features of all its frames.
    [
        (stage, call)
        for stage in STAGES
        for call in ("push", "gap", "flush")
        if (stage, call) != ("encode_stem", "flush")
    ],
)
def test_failing_stage_leaves_the_session_as_it_was(stage: str, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of memory in the middle of a step, a replay or a flush: the same call then works as if it were the first."""
    session, twin = _running(), _running()
    for one in (session, twin):
        one.add_prompt("the red car")
    before, content = session.state(), saved(session)
    frame = random_frames(1, SIZE, seed=5)[0]
    calls: dict[str, Callable[[ReferSession], Any]] = {
        "push": lambda one: one.push(frame),
        "gap": lambda one: one.push(frame, 1000.0),
        "flush": lambda one: one.flush(),
    }

    def fail(*_: object) -> None:
        raise MemoryError(stage)

    with monkeypatch.context() as patch:
        patch.setattr(tiny_model(), stage, fail)
        with pytest.raises(MemoryError, match=stage):
            calls[call](session)
    assert session.state() is before
    assert saved(session) == content
    assert_same_results(calls[call](session), calls[call](twin))
    assert saved(session) == saved(twin)


def test_failing_text_tower_leaves_the_prompts_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when only the last of several prompts fails."""
    session = _running()
    before = session.state()

    def fail(texts: list[str]) -> object:
        if texts == ["a cat"]:
            raise MemoryError
        return type(tiny_model()).encode_text(tiny_model(), texts)

    monkeypatch.setattr(tiny_model(), "encode_text", fail)
    with pytest.raises(MemoryError):
        session.set_prompts(["a bird", "a cat"])
    assert session.state() is before


def test_failing_emission_leaves_the_session_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last stage of all: for the second prompt, when the first one's masks are made."""
    session = _running()
    session.add_prompt("the red car")
    before = session.state()
    calls = []

    def fail(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise MemoryError
        return emit_masks(*args, **kwargs)

    monkeypatch.setattr("ssa_stream.streaming.masking.emit_masks", fail)
    with pytest.raises(MemoryError):
        session.push(random_frames(1, SIZE)[0])
    assert session.state() is before
