"""Pictures as subscribers get them: JPEG, perhaps smaller."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ssa_stream.nodes.pipeline import MasksSection

__all__ = ["JpegPicture", "jpeg_picture"]


class JpegPicture(NamedTuple):
    """A JPEG file in memory.

    Attributes:
        data: The file.
        size: Height and width of its picture.
    """

    data: bytes
    size: tuple[int, int]


def jpeg_picture(image: NDArray[np.uint8], section: MasksSection) -> JpegPicture:
    """Encode a picture as the settings say.

    Args:
        image: `(H, W, 3)`, RGB.
        section: Quality, and the longest edge.
    """
    height, width = image.shape[:2]
    longest = max(height, width)
    if section.picture_long_edge_px is not None and longest > section.picture_long_edge_px:
        share = section.picture_long_edge_px / longest
        height, width = max(1, round(height * share)), max(1, round(width * share))
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    in_order = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", in_order, [cv2.IMWRITE_JPEG_QUALITY, section.picture_quality])
    return JpegPicture(data.tobytes(), (height, width))
