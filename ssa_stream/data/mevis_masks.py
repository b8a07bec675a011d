"""`mask_dict.json` of the MeViS format: the masks of each object in all frames of its video, as COCO run lengths."""

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from ssa_stream.data.json_entries import JsonEntries
from ssa_stream.data.reading import field
from ssa_stream.errors import ConfigError, MessageError
from ssa_stream.picture_limits import USUAL_LIMITS
from ssa_stream.run_lengths import decode_columns
from ssa_stream.texts import brief

__all__ = ["MaskTracks", "Track"]

Track = list[dict[str, Any] | None]
"""A mask for each frame, encoded; None where the object is not seen."""
_MOST_BYTES: Final = 2 * 2**30
_MOST_KEPT: Final = 16


class MaskTracks:
    """Objects' masks, read when they are asked for. Its index is read with the first, or by `read_index`.

    Args:
        path: The file.
        expected: What its folder should be, for the message where it is missing.
    """

    def __init__(self, path: Path, expected: str) -> None:
        self.path = path
        self._expected = expected
        self._entries: JsonEntries | None = None
        self._newest: dict[tuple[str, int], Track] = {}

    def __getstate__(self) -> dict[str, Any]:
        """What other processes need: the index, not the masks that were read last."""
        return self.__dict__ | {"_newest": {}}

    def read_index(self) -> JsonEntries:
        """Where the objects' masks are in the file.

        Raises:
            ConfigError: The file is missing or not in the format.
        """
        if self._entries is None:
            self._entries = JsonEntries(self.path, most_bytes=_MOST_BYTES, expected=self._expected)
        return self._entries

    def track(self, anno_id: str, num_frames: int) -> Track:
        """The encoded masks of one object; the newest are kept, for other frames of the same sentence.

        Raises:
            ConfigError: There is no such object, or its masks are not in the format or fewer than the frames.
        """
        track = self._newest.pop((anno_id, num_frames), None)
        if track is None:
            track = self._read(anno_id, num_frames)
        self._newest[anno_id, num_frames] = track
        if len(self._newest) > _MOST_KEPT:
            del self._newest[next(iter(self._newest))]
        return track

    def decode(self, track: Track, index: int, size: tuple[int, int], anno_id: str) -> npt.NDArray[np.bool_] | None:
        """The mask of one frame, `(H, W)` bool; None where the object is not seen.

        Raises:
            ConfigError: It is broken or of another size.
        """
        rle = track[index]
        if rle is None:
            return None
        where = f"{self.path}: {anno_id}[{index}]"
        if tuple(rle["size"]) != size:
            raise ConfigError(f"{where}.size is {rle['size']}; expected {list(size)}, that of the other masks")
        try:
            columns = decode_columns(rle["counts"], size)
        except MessageError as error:
            raise ConfigError(
                f"{where}.counts cannot be decoded: {error}; expected COCO's run-length string"
            ) from error
        # Ten times as fast as numpy's; most of the time of decoding.
        return np.asarray(cv2.transpose(columns.view(np.uint8)), np.uint8).view(np.bool_)

    def _read(self, anno_id: str, num_frames: int) -> Track:
        """Of the first frames: published code looks at no more, and takes whatever is false (`{}`) for no mask."""
        entries = self.read_index().entry(anno_id)
        if len(entries) < num_frames:
            raise ConfigError(f"{self.path}: {anno_id} has {len(entries)} masks; expected {num_frames}, one a frame")
        track: Track = [rle or None for rle in entries[:num_frames]]
        for index, rle in enumerate(track):
            if rle is not None:
                where = f"{anno_id}[{index}]"
                size = field(rle, "size", list, self.path, where)
                field(rle, "counts", str, self.path, where)
                if len(size) != 2 or not all(type(side) is int and 0 < side <= USUAL_LIMITS.edge_px for side in size):
                    raise ConfigError(f"{self.path}: {where}.size is {brief(size)}; expected [height, width]")
        return track
