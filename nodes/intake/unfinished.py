"""What a stream has under way: frames, and the end of what comes for now."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssa_stream.nodes.intake.picture import Picture
from ssa_stream.nodes.intake.window import Position
from ssa_stream.protocols import AppliesFrom, FrameIdentity, Prompt
from ssa_stream.sources import Frame

__all__ = ["EndOfFrames", "UnfinishedFrame", "identity"]

_MAX_RATIONAL = 2**31 - 1


@dataclass(frozen=True, slots=True, eq=False)
class UnfinishedFrame:
    """A frame with all that is needed to send it again as it was sent first.

    Attributes:
        index: Number in the stream.
        memory: Number of the stream's memory.
        picture: The frame.
        history: Pictures of the frames sent before it, oldest first.
        prompts: All prompts that apply to it.
        prompts_version: Version that these are.
        applies_from: First frame that they apply to.
        opening: Which opening of the source it comes from.
        source_count: Frames of that opening up to it, those that were overtaken included.
        live: Whether the newest frame counted more than all frames when it came.
    """

    index: int
    memory: int
    picture: Picture
    history: tuple[NDArray[np.uint8], ...]
    prompts: tuple[Prompt, ...]
    prompts_version: int
    applies_from: AppliesFrom
    opening: int
    source_count: int
    live: bool


@dataclass(frozen=True, slots=True, eq=False)
class EndOfFrames:
    """No frame comes for now: what waits for later ones is made with what is known.

    Attributes:
        index: Index that the next frame will have, if one ever comes.
        frame: The last frame of the source.
        live: As of a frame.
    """

    index: int
    frame: Frame
    live: bool


def identity(stream: str, position: Position, index: int, frame: Frame, clock: str, *, live: bool) -> FrameIdentity:
    """How a frame is called on the wire.

    Args:
        stream: Name of the stream.
        position: In the stream.
        index: In the stream, across epochs.
        frame: As it came from the source.
        clock: Name of the clock of `time.monotonic_ns`, which sources stamp with.
        live: Whether it may be dropped when it is old.
    """
    base = frame.time_base
    captured_ns, capture_clock = frame.t_capture_ns, clock
    if frame.capture_clock == "camera":
        captured_ns, capture_clock = frame.t_camera_ns, f"camera:{stream}"
    is_timed = base is not None and 0 < base.numerator <= _MAX_RATIONAL and base.denominator <= _MAX_RATIONAL
    return FrameIdentity(
        stream=stream,
        epoch=position.epoch,
        seq=position.seq,
        index=index,
        t=float(frame.t),
        t_receive_ns=frame.t_receive_ns,
        receive_clock=clock,
        pts=frame.pts if is_timed else None,
        time_base=(base.numerator, base.denominator) if base is not None and is_timed else None,
        t_capture_ns=captured_ns,
        capture_clock=None if captured_ns is None else capture_clock,
        live=live,
    )
