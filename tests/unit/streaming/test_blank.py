"""Nothing is found in a picture that shows nothing, and the stream goes on as before after it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ssa_stream.model.preprocess import network_size, resize_frame
from ssa_stream.streaming import MaskResult, ReferSession, SessionConfig, SessionState
from ssa_stream.streaming.blank import is_blank
from tests.unit.streaming.colour_model import ColourModel, draw

RED = ("red", (0, 0, 16, 16))
SIZES = pytest.mark.parametrize("size", [(96, 128), (180, 320), (360, 640)], ids=str)
EDGES = pytest.mark.parametrize("edges", [(128, 256), (448, 1333)], ids=["ssa-tiny", "published"])


def _at_network(image: NDArray[np.uint8], edges: tuple[int, int]) -> bool:
    size = image.shape[0], image.shape[1]
    return is_blank(resize_frame(image, network_size(size, *edges)), size)


@SIZES
@EDGES
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (0, 0, 255), (128, 128, 128)], ids=str)
def test_plain_picture_with_noise_is_blank(
    size: tuple[int, int], edges: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    """Sensor noise of 3 levels, and without."""
    noise = np.random.default_rng(0).normal(0, 3, (*size, 3))
    for strength in (0, 1):
        image = np.clip(np.array(colour) + strength * noise, 0, 255).round().astype(np.uint8)
        assert _at_network(image, edges)


@SIZES
@EDGES
@pytest.mark.parametrize("offset", [0, 3])
def test_dim_small_object_is_not_blank(size: tuple[int, int], edges: tuple[int, int], offset: int) -> None:
    """8x8 pixels, 24 levels above black, wherever it is in the grid of cells."""
    image = np.full((*size, 3), 16, dtype=np.uint8)
    top, left = size[0] // 2 // 8 * 8 + offset, size[1] // 2 // 8 * 8 + offset
    image[top : top + 8, left : left + 8] += 24
    assert not _at_network(image, edges)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 2)], ids=str)
def test_tiny_picture_is_blank_if_its_pixels_are_equal(size: tuple[int, int]) -> None:
    """Smaller than a cell."""
    image = np.full((*size, 3), 90, dtype=np.uint8)
    assert is_blank(image, size)
    image[0, 0] = 120
    assert is_blank(image, size) == (size == (1, 1))


def _presence(results: list[MaskResult]) -> list[tuple[int, float, list[int]]]:
    return [(one.frame_index, round(one.probability, 3), [track.track_id for track in one.tracks]) for one in results]


@pytest.mark.parametrize("lookahead", [0, 2])
def test_blank_frames_have_no_target_and_ids_go_on_after_them(lookahead: int) -> None:
    """The network would give 0.1 to each frame without red; a blank one has 0. State is saved and read in between."""
    frames = [draw(RED), draw(RED), draw(), draw(), draw(RED), draw(RED)]
    config = SessionConfig(window=4, lookahead=lookahead, threshold=0.05)
    session, results = ReferSession(ColourModel(), config, ["red"]), list[MaskResult]()
    for frame in frames:
        results += session.push(frame)
        session.restore(SessionState.from_bytes(session.state().to_bytes()))
    results += session.flush()
    seen = _presence(results)
    assert [one[0] for one in seen] == list(range(6))
    assert seen[2:4] == [(2, 0.0, []), (3, 0.0, [])]
    assert all(probability > 0 and ids for index, probability, ids in seen if index not in (2, 3))
    assert seen[4][2][0] == seen[1][2][0]
    assert not results[2].target_present


def test_new_prompt_finds_nothing_in_a_blank_frame_that_waits() -> None:
    """With lookahead a prompt that comes later is run on the frames that wait."""
    session = ReferSession(ColourModel(), SessionConfig(window=4, lookahead=2))
    session.push(draw())
    session.push(draw(RED))
    session.set_prompts(["red"])
    assert _presence([*session.push(draw(RED)), *session.flush()])[0] == (0, 0.0, [])
