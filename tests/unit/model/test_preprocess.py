"""From pictures to the network's input."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from ssa_stream.errors import ShapeError
from ssa_stream.model import MaskSizes, network_size, resize_frame, to_input
from ssa_stream.model.preprocess import PIXEL_MEAN, PIXEL_STD, check_frame, frame_sizes, padded_size


@pytest.mark.parametrize(
    ("size", "short", "long", "expected"),
    [
        ((720, 1280), 448, 1333, (448, 796)),
        ((1280, 720), 448, 1333, (796, 448)),
        ((100, 1000), 448, 1333, (133, 1333)),  # the longest edge is what limits
        ((448, 448), 448, 1333, (448, 448)),
        ((1, 5000), 448, 1333, (1, 1333)),  # never less than a pixel
        ((3, 5), 2, 99, (2, 3)),  # 3.33 goes down
        ((4, 7), 2, 99, (2, 4)),  # 3.5 goes up
    ],
)
def test_network_size_keeps_aspect_and_rounds_half_up(
    size: tuple[int, int], short: int, long: int, expected: tuple[int, int]
) -> None:
    """Shortest edge as asked, unless the longest would be too long."""
    assert network_size(size, short, long) == expected


@pytest.mark.parametrize(("size", "padded"), [((32, 64), (32, 64)), ((1, 33), (32, 64)), ((448, 796), (448, 800))])
def test_padded_size_is_the_next_multiple_of_32(size: tuple[int, int], padded: tuple[int, int]) -> None:
    """Of both sides; one that is a multiple stays."""
    assert padded_size(size) == padded
    assert to_input(np.zeros((1, *size, 3), np.uint8)).shape[2:] == padded


def test_frame_sizes_are_those_of_resizing_padding_and_masks() -> None:
    """Masks are as large as the source."""
    assert frame_sizes((720, 1280), (448, 1333)) == MaskSizes((448, 800), (448, 796), (720, 1280))


def test_resize_frame_is_pillow_bilinear() -> None:
    """The released weights were trained on Pillow's antialiased filter; another one costs accuracy."""
    frame = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(frame).resize((30, 20), Image.Resampling.BILINEAR))
    assert np.array_equal(resize_frame(frame, (20, 30)), expected)
    assert resize_frame(frame, (40, 60)) is frame


def test_to_input_normalises_and_pads_with_the_mean_colour() -> None:
    """Colours are normalised per channel; padding is zero, on the right and at the bottom only."""
    frames = np.random.default_rng(0).integers(0, 256, (2, 33, 64, 3), dtype=np.uint8)
    images = to_input(frames)
    assert images.shape == (2, 3, 64, 64)
    assert images.dtype == torch.float32
    expected = (frames.astype(np.float32) - np.array(PIXEL_MEAN, np.float32)) / np.array(PIXEL_STD, np.float32)
    torch.testing.assert_close(images[:, :, :33].permute(0, 2, 3, 1), torch.from_numpy(expected))
    assert not images[:, :, 33:].any()


def test_to_input_of_list_equals_array_and_keeps_asked_dtype() -> None:
    """A list of frames and one array are the same thing."""
    frames = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    assert torch.equal(to_input(list(frames)), to_input(frames))
    assert to_input(frames, dtype=torch.bfloat16).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (np.zeros((4, 5), np.uint8), r"\(4, 5\)"),
        (np.zeros((4, 5, 4), np.uint8), r"\(4, 5, 4\)"),
        (np.zeros((4, 5, 3), np.float32), "float32"),
        (np.zeros((0, 5, 3), np.uint8), r"\(0, 5, 3\)"),
        ("picture.png", "str"),
    ],
    ids=["grey", "alpha", "float", "empty", "no_array"],
)
def test_check_frame_of_other_form_is_refused(frame: object, told: str) -> None:
    """The message says what came and what was expected."""
    with pytest.raises(ShapeError, match=told):
        check_frame(frame)


def test_to_input_of_no_or_mixed_frames_is_refused() -> None:
    """A clip has frames, and all of one size."""
    small, large = np.zeros((4, 5, 3), np.uint8), np.zeros((5, 5, 3), np.uint8)
    with pytest.raises(ShapeError, match="at least one frame"):
        to_input([])
    with pytest.raises(ShapeError, match="all of one size"):
        to_input([small, large])


@pytest.mark.parametrize(
    ("size", "pixel_aspect", "like"),
    [
        ((180, 160), Fraction(2), (180, 320)),
        ((720, 720), Fraction(16, 9), (720, 1280)),
        ((320, 90), Fraction(1, 2), (640, 90)),
        ((576, 720), Fraction(64, 45), (576, 1024)),
    ],
    ids=["wide", "anamorphic", "narrow", "pal"],
)
def test_network_sees_square_pixels_whatever_the_shape_of_the_frames_own(
    size: tuple[int, int], pixel_aspect: Fraction, like: tuple[int, int]
) -> None:
    """Its size is that of the picture as displayed; masks keep the frame's own pixels."""
    sizes = frame_sizes(size, (128, 1333), pixel_aspect)
    assert sizes.network == frame_sizes(like, (128, 1333)).network
    assert sizes.output == size
