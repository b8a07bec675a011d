"""Pictures with the masks of all their prompts, drawn as everywhere else."""

import av
import numpy as np
from numpy.typing import NDArray

from ssa_stream.nodes.gateway.pictures.feed import VideoFeed
from ssa_stream.nodes.gateway.pictures.overlay import OverlayFeed
from ssa_stream.protocols import Limits, MaskMessage, decode
from ssa_stream.streaming.results import MaskResult, TrackMask
from ssa_stream.viz import draw_overlay
from tests.support.mask_messages import circle, mask_parts

SIZE = (120, 200)
MASKS = [circle(SIZE, (60, 50), 20), circle(SIZE, (70, 150), 25)]


def _take(overlay: OverlayFeed, prompt: str, masks: list[NDArray[np.bool_]]) -> MaskMessage:
    packet = decode(mask_parts(masks=masks, prompt=prompt, received_ns=100, clock="monotonic:x"), Limits())
    assert isinstance(packet.message, MaskMessage)
    overlay.take(packet.message, packet.buffers)
    return packet.message


async def test_picture_is_shown_with_the_masks_of_its_last_prompt() -> None:
    """Pixel by pixel as the library draws the same results, in the order of the prompts, not of their masks."""
    feed = VideoFeed(is_camera=True, clock_ns=lambda: 0)
    overlay = OverlayFeed(feed)
    overlay.prompts_are(["p1", "p2", "p3"])
    slot = overlay.join()
    image = np.full((*SIZE, 3), 100, dtype=np.uint8)
    feed.push(100, av.VideoFrame.from_ndarray(image, format="rgb24"))
    messages = [_take(overlay, "p2", []), _take(overlay, "p3", [circle((60, 100), (30, 25), 10)])]
    assert slot.overtaken == 0
    messages.append(_take(overlay, "p1", MASKS))
    shown = await slot.take()
    assert shown is not None
    results = [_result(messages[2], MASKS), _result(messages[0], [])]
    # Masks of another size than the picture are counted, not drawn.
    small = _result(messages[1], [np.zeros(SIZE, dtype=np.bool_)])
    assert np.array_equal(shown.frame.to_ndarray(format="rgb24"), draw_overlay(image, [*results, small]))
    overlay.leave(slot)
    assert await slot.take() is None


def _result(message: MaskMessage, masks: list[NDArray[np.bool_]]) -> MaskResult:
    tracks = tuple(
        TrackMask(track.id, track.score, track.probability, track.box_xyxy, int(mask.sum()), mask)
        for track, mask in zip(message.tracks, masks, strict=True)
    )
    return MaskResult(message.prompt.id, message.prompt.text, 1, 0, 0.0, SIZE, tracks, 0.9)
