"""Reader of the MeViS format: the public data set, and ours from `write_mevis`.

On disk: `JPEGImages/<video>/<frame>.jpg`, `meta_expressions.json` and, where masks are public,
`mask_dict.json`. Frames and masks are read when they are asked for.

A folder may come from anywhere: whatever is wrong with it is a ConfigError, no name leads out of it, and nothing in it
takes more memory than the limits below.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ssa_stream.data.reading import (
    expect_to_fit,
    field,
    frame_at,
    is_file_name,
    optional_field,
    picture_size,
    read_frames,
    read_json,
    whole_number,
)
from ssa_stream.data.referring import ReferringExpression, ReferringVideo
from ssa_stream.errors import ConfigError, MessageError
from ssa_stream.picture_limits import USUAL_LIMITS
from ssa_stream.run_lengths import decode_counts
from ssa_stream.texts import brief

__all__ = ["MevisReader"]

_EXPECTED: Final = "a directory in the MeViS format"
_MOST_META_BYTES: Final = 256 * 2**20
_MOST_MASK_BYTES: Final = 2 * 2**30
_MOST_FRAMES: Final = 100_000
_MOST_TARGETS: Final = 1000
_MOST_CHARACTERS: Final = 1000
"""Of a sentence, as in a message."""


class MevisReader:
    """Reads one split's directory.

    Args:
        directory: Where `meta_expressions.json` and `JPEGImages` are.

    Raises:
        ConfigError: If a file is missing, unreadable or not in the format.
    """

    def __init__(self, directory: Path | str) -> None:
        self._root = Path(directory)
        self._meta_path = self._root / "meta_expressions.json"
        meta = read_json(self._meta_path, _MOST_META_BYTES, _EXPECTED)
        videos = field(meta, "videos", dict, self._meta_path, "top level")
        self._videos = {name: self._parse_video(name, value) for name, value in videos.items()}
        self._mask_dict: dict[str, Any] | None = None

    @property
    def videos(self) -> tuple[str, ...]:
        """The videos' names, in the file's order."""
        return tuple(self._videos)

    def video(self, name: str) -> ReferringVideo:
        """Give a video's frame names and sentences.

        Raises:
            ConfigError: If there is no such video.
        """
        if name not in self._videos:
            raise ConfigError(f"{self._meta_path} has no video {brief(name)}; it has {len(self._videos)} others")
        return self._videos[name]

    def frames(self, name: str, indices: Sequence[int] | None = None) -> npt.NDArray[np.uint8]:
        """Read frames, all of them unless told which.

        Returns:
            `(T, H, W, 3)` uint8 RGB.

        Raises:
            ConfigError: If a picture is missing, broken or of another size than the first.
        """
        names = self.video(name).frames
        chosen = range(len(names)) if indices is None else indices
        folder = self._root / "JPEGImages" / name
        paths = [folder / f"{frame_at(names, index, name)}.jpg" for index in chosen]
        return read_frames(paths, self._meta_path.name)

    def masks(
        self, name: str, expression: ReferringExpression, indices: Sequence[int] | None = None
    ) -> npt.NDArray[np.bool_]:
        """Decode the masks of a sentence's targets, in all frames unless told which.

        Returns:
            `(n, T, H, W)` bool, in the order of `target_ids`; without targets `(0, T, H, W)` with the
            size of the video's first frame.

        Raises:
            ConfigError: If the targets are not in the data, or a mask is missing, broken or of another size than the
                video.
        """
        names = self.video(name).frames
        if not expression.has_targets:
            raise ConfigError(f"{self._meta_path} gives no anno_id for {expression.text!r} of {name!r}: no masks")
        chosen = list(range(len(names)) if indices is None else indices)
        for index in chosen:
            frame_at(names, index, name)
        tracks = [self._track(anno_id, len(names)) for anno_id in expression.target_ids]
        sizes = [tuple(rle["size"]) for track in tracks for rle in track if rle is not None]
        height, width = self.size(name)
        if sizes and sizes[0] != (height, width):
            raise ConfigError(
                f"{self._root / 'mask_dict.json'}: masks of anno_id {', '.join(expression.target_ids)} are of "
                f"{sizes[0][1]}x{sizes[0][0]} pixels; expected {width}x{height}, the size of the frames of {name!r}"
            )
        expect_to_fit((len(tracks), len(chosen), height, width), f"masks of {expression.expression_id} of {name}")
        decoded = np.zeros((len(tracks), len(chosen), height, width), np.bool_)
        for row, track in enumerate(tracks):
            for column, index in enumerate(chosen):
                rle = track[index]
                if rle is not None:
                    decoded[row, column] = self._decode(rle, (height, width), expression.target_ids[row], index)
        return decoded

    def size(self, name: str) -> tuple[int, int]:
        """Height and width of a video's first frame."""
        path = self._root / "JPEGImages" / name / f"{self.video(name).frames[0]}.jpg"
        return picture_size(path, self._meta_path.name)

    def _parse_video(self, name: str, value: object) -> ReferringVideo:
        path = self._meta_path
        where = f"videos.{brief(name)[1:-1]}"
        if not is_file_name(name):
            raise ConfigError(f"{path}: videos has the name {brief(name)}; expected the name of a folder in JPEGImages")
        frames = field(value, "frames", list, path, where)
        if not 1 <= len(frames) <= _MOST_FRAMES or not all(map(is_file_name, frames)):
            raise ConfigError(
                f"{path}: {where}.frames is {brief(frames)}; expected a list of one name or more, of "
                f"files in its folder, and at most {_MOST_FRAMES}"
            )
        if len(set(frames)) < len(frames):
            raise ConfigError(f"{path}: {where}.frames has a name twice; expected different ones")
        expressions = field(value, "expressions", dict, path, where)
        parsed = [
            self._parse_expression(key, entry, f"{where}.expressions.{brief(key)[1:-1]}")
            for key, entry in expressions.items()
        ]
        return ReferringVideo(name, tuple(frames), tuple(parsed))

    def _parse_expression(self, key: str, entry: object, where: str) -> ReferringExpression:
        path = self._meta_path
        text = field(entry, "exp", str, path, where)
        assert isinstance(entry, dict)
        if len(key) > _MOST_CHARACTERS or len(text) > _MOST_CHARACTERS:
            raise ConfigError(f"{path}: {where} has more than {_MOST_CHARACTERS} characters; expected a sentence")
        if "anno_id" not in entry:
            return ReferringExpression(key, text, has_targets=False)
        anno_ids = field(entry, "anno_id", list, path, where)
        obj_ids = field(entry, "obj_id", list, path, where)
        numbers = [whole_number(value) for value in obj_ids]
        if None in numbers:
            raise ConfigError(f"{path}: {where}.obj_id is {brief(obj_ids)}; expected a list of whole numbers")
        if not all(_is_id(value) for value in anno_ids):
            raise ConfigError(f"{path}: {where}.anno_id is {brief(anno_ids)}; expected a list of ids of mask_dict.json")
        if len(anno_ids) > _MOST_TARGETS or len(set(map(str, anno_ids))) < len(anno_ids):
            raise ConfigError(
                f"{path}: {where}.anno_id has {len(anno_ids)} ids; expected at most {_MOST_TARGETS}, and none twice"
            )
        return ReferringExpression(
            key,
            text,
            tuple(str(value) for value in anno_ids),
            type=optional_field(entry, "type", str, path, where),
            held_out_pair=optional_field(entry, "held_out_pair", bool, path, where),
            held_out_phrasing=optional_field(entry, "held_out_phrasing", bool, path, where),
        )

    def _track(self, anno_id: str, num_frames: int) -> list[dict[str, Any] | None]:
        path = self._root / "mask_dict.json"
        if self._mask_dict is None:
            content = read_json(path, _MOST_MASK_BYTES, _EXPECTED)
            if not isinstance(content, dict):
                raise ConfigError(f"{path}: top level is {type(content).__name__}; expected an object by anno_id")
            self._mask_dict = content
        track: list[dict[str, Any] | None] = field(self._mask_dict, anno_id, list, path, "top level")
        if len(track) != num_frames:
            raise ConfigError(f"{path}: {anno_id} has {len(track)} masks; expected {num_frames}, one a frame")
        for index, rle in enumerate(track):
            if rle is not None:
                size = field(rle, "size", list, path, f"{anno_id}[{index}]")
                field(rle, "counts", str, path, f"{anno_id}[{index}]")
                if len(size) != 2 or not all(type(side) is int and 0 < side <= USUAL_LIMITS.edge_px for side in size):
                    raise ConfigError(f"{path}: {anno_id}[{index}].size is {brief(size)}; expected [height, width]")
        return track

    def _decode(self, rle: dict[str, Any], size: tuple[int, int], anno_id: str, index: int) -> npt.NDArray[np.bool_]:
        where = f"{self._root / 'mask_dict.json'}: {anno_id}[{index}]"
        if tuple(rle["size"]) != size:
            raise ConfigError(f"{where}.size is {rle['size']}; expected {list(size)}, that of the other masks")
        try:
            return decode_counts(rle["counts"], size)
        except MessageError as error:
            raise ConfigError(
                f"{where}.counts cannot be decoded: {error}; expected COCO's run-length string"
            ) from error


def _is_id(value: object) -> bool:
    return type(value) is int or (isinstance(value, str) and len(value) <= 200)
