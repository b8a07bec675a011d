"""Which way up the pictures of a stream are: display matrices, where they come from and how long they hold."""

import numpy as np
from av import VideoFrame
from av.sidedata.sidedata import SideDataContainer, Type
from numpy.typing import NDArray

from ssa_stream.sources.filters import FilterChain

__all__ = ["Orientation", "apply_display_matrix", "is_quarter_turn"]

# Kinds of side data that FFmpeg may attach and PyAV cannot name: it refuses to list any if one of them is there.
_UNKNOWN_KINDS = tuple(sorted(set(range(64)) - {kind.value for kind in Type}))
_KEY_FRAMES_THAT_END_IT = 2


def apply_display_matrix(image: NDArray[np.uint8], matrix: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Turn and mirror an image as its container asks.

    Args:
        image: `(H, W, 3)` as stored.
        matrix: The nine numbers of a display matrix; a stored pixel (x, y) is shown at
            (m0 x + m3 y, m1 x + m4 y). Angles between quarter turns are rounded to the nearest quarter.
    """
    m0, m1, m3, m4 = (int(matrix[index]) for index in (0, 1, 3, 4))
    if is_quarter_turn(matrix):
        image, to_x, to_y = image.transpose(1, 0, 2), m3, m1
    else:
        to_x, to_y = m0, m4
    return image[:: -1 if to_y < 0 else 1, :: -1 if to_x < 0 else 1]


def is_quarter_turn(matrix: NDArray[np.int32]) -> bool:
    """Whether a display matrix makes rows of columns."""
    return abs(int(matrix[3])) > abs(int(matrix[0]))


class Orientation:
    """The display matrix that holds for each picture of one stream.

    A container's matrix and EXIF come with every picture. The orientation message (SEI) of H.264 and HEVC comes with
    some key frames only and holds until it is taken back. So a matrix counts at once, a picture without one keeps
    the last one, and that ends when the coded size changes or two key frames in a row come without any.

    Args:
        stand_alone: Whether the pictures are files of their own: then a matrix counts for the picture it comes with.
    """

    def __init__(self, *, stand_alone: bool = False) -> None:
        self._stand_alone = stand_alone
        self._matrix: NDArray[np.int32] | None = None
        self._size = (0, 0)
        self._key_frames_without = 0
        self._without_unknown = FilterChain([("sidedata", {"mode": "delete", "type": str(n)}) for n in _UNKNOWN_KINDS])

    def take(self, decoded: VideoFrame) -> NDArray[np.int32] | None:
        """Return the display matrix of the next picture, nine numbers; None if it is stored upright."""
        size, self._size = self._size, (decoded.width, decoded.height)
        matrix = self._written(decoded)
        if matrix is not None or self._stand_alone:
            self._matrix, self._key_frames_without = matrix, 0
        else:
            self._key_frames_without += decoded.key_frame
            if size != self._size or self._key_frames_without >= _KEY_FRAMES_THAT_END_IT:
                self._matrix = None
        return self._matrix

    def _written(self, decoded: VideoFrame) -> NDArray[np.int32] | None:
        """The matrix that comes with a picture."""
        try:
            side_data = _side_data(decoded)
        except ValueError:  # a kind that PyAV cannot name
            side_data = _side_data(self._without_unknown.apply(decoded))
        matrix = side_data.get(Type.DISPLAYMATRIX)
        return None if matrix is None else np.frombuffer(bytes(matrix), np.int32)


def _side_data(decoded: VideoFrame) -> SideDataContainer:
    """What comes with a picture.

    Not `decoded.side_data`: that refers to the picture and is kept by it, so that pixels stay until the garbage
    collector finds them, hundreds of pictures later.
    """
    return SideDataContainer(decoded)  # type: ignore[call-arg]  # its stub tells of no constructor
