"""View of a mask message: the masks of one prompt in one frame."""

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property

import numpy as np
from msgspec import UnsetType
from numpy.typing import NDArray

from ssa_stream.client.clock import now_ns, picture_age_s
from ssa_stream.client.pictures import decode_jpeg
from ssa_stream.client.polygons import Polygon, mask_polygons
from ssa_stream.errors import ConfigError
from ssa_stream.protocols import (
    FrameIdentity,
    LabelMaps,
    MaskMessage,
    Prompt,
    StageTime,
    Status,
    Track,
    unpack_labels,
)
from ssa_stream.run_lengths import RunLengths, encode_counts

__all__ = ["MaskView"]

_NS = 1e-9


class MaskView:
    """The masks of one prompt in one frame. Label maps are unpacked when they are first asked for.

    Attributes:
        message: All that came; the properties below are what is needed most.
        gap: Frames of the stream between the one given before, under the same prompt, and this one: dropped anywhere.
        dropped_here: Messages of this prompt since the one given before that came, but were overtaken by a newer one
            or were too old.
        arrived_ns: When it came, on this machine's monotonic clock.
    """

    def __init__(
        self,
        message: MaskMessage,
        buffers: Sequence[memoryview],
        *,
        arrived_ns: int,
        gap: int = 0,
        dropped_here: int = 0,
    ) -> None:
        self.message = message
        self.gap = gap
        self.dropped_here = dropped_here
        self.arrived_ns = arrived_ns
        self._buffers = buffers

    def __repr__(self) -> str:
        frame = self.frame
        return (
            f"<MaskView of {frame.stream} frame {frame.epoch}.{frame.seq}, {self.prompt.text!r}: "
            f"{len(self.tracks)} tracks>"
        )

    @property
    def frame(self) -> FrameIdentity:
        """Which frame."""
        return self.message.frame

    @property
    def prompt(self) -> Prompt:
        """Which sentence."""
        return self.message.prompt

    @property
    def prompts_version(self) -> int | None:
        """Version of all the stream's prompts in force for this frame; None if the graph does not tell.

        It grows with every change, and over restarts. As long as it is lower than that of an answer, the masks are of
        before the change.
        """
        version = self.message.prompts_version
        return None if isinstance(version, UnsetType) else version

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Objects that the sentence refers to: id, score, probability, box in pixels of the source, area."""
        return self.message.tracks

    @property
    def target_present(self) -> bool:
        """Whether there is any such object."""
        return self.message.target_present

    @property
    def status(self) -> Status:
        """`final`, or `provisional` if another result for this frame follows."""
        return self.message.status

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the masks."""
        return self.message.size

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of the source's pixels divided by their height; masks of the source's size have the same."""
        aspect = self.message.pixel_aspect
        return Fraction(1) if isinstance(aspect, UnsetType) else Fraction(*aspect)

    @property
    def times(self) -> tuple[StageTime, ...]:
        """When each node worked on the frame, in order."""
        return self.message.times

    @property
    def stages_ms(self) -> dict[str, float]:
        """How long each node took, by role, waiting included. Times of a node are of one clock."""
        return {stage.role: (stage.end_ns - stage.received_ns) * _NS * 1e3 for stage in self.times}

    @property
    def age_s(self) -> float | None:
        """Seconds since the picture was taken, or since it was received if that is not known.

        None if it was stamped by the clock of another machine: such times cannot be compared.
        """
        return picture_age_s(self.frame, now_ns())

    @property
    def layers(self) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], ...]:
        """Label maps, `(H, W)` uint8 or uint16, read-only: a pixel holds `track.label` in layer `track.layer`.

        More than one only where tracks overlap; none if there are no tracks.

        Raises:
            MessageError: They are damaged.
        """
        return self._maps.layers

    @cached_property
    def labels(self) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """The first label map, all zeros if there is none, `(H, W)`; enough where tracks do not overlap.

        Raises:
            MessageError: It is damaged.
        """
        return self.layers[0] if self.layers else np.zeros(self.size, dtype=np.uint8)

    def mask(self, track: Track) -> NDArray[np.bool_]:
        """The mask of one of the tracks, `(H, W)` bool.

        Raises:
            MessageError: It is damaged.
        """
        return self._maps.mask(track)

    def merged(self, tracks: Sequence[Track] | None = None) -> NDArray[np.bool_]:
        """Everything that the sentence refers to, or the union of some tracks, `(H, W)` bool.

        Raises:
            MessageError: A mask is damaged.
        """
        return self._maps.merged(self.tracks if tracks is None else tracks)

    def rle(self, track: Track) -> RunLengths:
        """The mask of a track as COCO's compressed run lengths, as pycocotools takes it.

        Raises:
            MessageError: It is damaged.
        """
        height, width = self.size
        counts = encode_counts(self.mask(track)) if track.rle is None else bytes(self._buffers[track.rle])
        return {"size": [height, width], "counts": counts}

    def polygons(self, track: Track, tolerance_px: float = 1.0) -> list[Polygon]:
        """The mask of a track as polygons with holes, in pixels of the source; see `Polygon` for their form.

        Args:
            track: Which one.
            tolerance_px: How far a polygon may be from the outline of the mask, and the outline from it, in pixels of
                the source. 0 gives the outline along the pixels' edges, and with it exactly the mask.
        Raises:
            ConfigError: The tolerance is negative or not finite.
            MessageError: The mask is damaged.
        """
        if not 0 <= tolerance_px < math.inf:
            raise ConfigError(f"tolerance_px is {tolerance_px!r}; expected 0 or more pixels")
        (height, width), (source_height, source_width) = self.size, self.message.source_size
        return mask_polygons(self.mask(track), tolerance_px, (source_width / width, source_height / height))

    @property
    def picture_jpeg(self) -> bytes | None:
        """The very picture that the masks were made of, as a JPEG file; None if the graph sends none.

        A graph sends them with `masks.picture: jpeg`.
        """
        picture = self.message.picture
        if isinstance(picture, UnsetType) or picture.encoding != "jpeg":
            return None
        return bytes(self._buffers[picture.buffer])

    def picture(self) -> NDArray[np.uint8] | None:
        """The very picture that the masks were made of, `(H, W, 3)` uint8, RGB; None if the graph sends none.

        It is decoded at each call, by Pillow or OpenCV. Its size is the source's, unless the graph sends smaller ones.

        Raises:
            MessageError: It is damaged.
            MissingExtraError: Neither library is installed; `picture_jpeg` needs none.
        """
        jpeg = self.picture_jpeg
        if jpeg is None or isinstance(self.message.picture, UnsetType):
            return None
        return decode_jpeg(jpeg, self.message.picture.size)

    @cached_property
    def _maps(self) -> LabelMaps:
        return unpack_labels(self.message, self._buffers)
