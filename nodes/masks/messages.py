"""From a session's result to the message that is published."""

import re
from typing import Literal

import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from ssa_stream.nodes.masks.pictures import JpegPicture
from ssa_stream.protocols import (
    Buffers,
    EncodedPicture,
    FrameIdentity,
    FrameSizes,
    MaskMessage,
    Prompt,
    StageTime,
    Track,
    pack_labels,
)
from ssa_stream.run_lengths import encode_counts
from ssa_stream.streaming import MaskResult

__all__ = ["mask_message", "model_name"]

_MAX_MISSED = 2**63 - 1


def model_name(name: str) -> str:
    """The name of a network, as messages can have it."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name).lstrip("_.-")[:64] or "model"


def mask_message(
    result: MaskResult,
    frame: FrameIdentity,
    sizes: FrameSizes,
    *,
    model: str,
    size: Literal["source", "network"] = "source",
    with_run_lengths: bool = False,
    times: tuple[StageTime, ...] = (),
    prompts_version: int | UnsetType = UNSET,
    picture: JpegPicture | None = None,
) -> tuple[MaskMessage, Buffers]:
    """Pack the masks of one prompt in one frame.

    Args:
        result: Of the frame, masks at source size.
        frame: Which frame.
        sizes: Of the frame.
        model: Name of the network.
        size: Which size the sent masks have; boxes and areas are in source pixels always.
        with_run_lengths: Send each mask as COCO's compressed run lengths, too.
        times: Of all stages.
        prompts_version: Of the stream's prompts in force; unset if it is not known.
        picture: The frame, if it is to be sent.
    Raises:
        MessageError: More masks than a message holds, or masks that overlap too much.
    """
    buffers = Buffers()
    masks = [track.mask for track in result.tracks]
    boxes = [track.box_xyxy for track in result.tracks]
    if size == "network":
        masks = [_nearest(mask, sizes.network) for mask in masks]
    packed = pack_labels(masks, buffers, boxes if size == "source" else None)
    tracks = []
    for track, mask, place in zip(result.tracks, masks, packed.places, strict=True):
        rle = buffers.add_bytes(encode_counts(mask)) if with_run_lengths else None
        tracks.append(
            Track(
                id=track.track_id,
                score=min(track.score, 1.0),
                probability=min(track.probability, 1.0),
                box_xyxy=track.box_xyxy,
                area_px=track.area_px,
                layer=place.layer,
                label=place.label,
                rle=rle,
            )
        )
    sent = UNSET if picture is None else EncodedPicture(buffer=buffers.add_bytes(picture.data), size=picture.size)
    message = MaskMessage(
        frame=frame,
        prompt=Prompt(id=result.prompt_id, text=result.prompt, version=result.prompt_version),
        model=model,
        source_size=sizes.source,
        size=sizes.source if size == "source" else sizes.network,
        probability=min(result.probability, 1.0),
        target_present=result.target_present,
        tracks=tuple(tracks),
        layers=packed.layers,
        status=result.status,
        frames_missed=min(result.frames_missed, _MAX_MISSED),
        after_reset=result.after_reset,
        times=times,
        pixel_aspect=sizes.pixel_aspect,
        prompts_version=prompts_version,
        picture=sent,
    )
    return message, buffers


def _nearest(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask at another size, `(height, width)`; each pixel is that of the source under its centre."""
    rows, columns = (
        np.minimum(((np.arange(wanted) + 0.5) * have / wanted).astype(np.int64), have - 1)
        for wanted, have in zip(size, mask.shape, strict=True)
    )
    return mask[np.ix_(rows, columns)]
