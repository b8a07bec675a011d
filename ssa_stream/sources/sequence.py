"""Pictures of a folder as a recording: numbered ones (`frames/%03d.png`), or all that fit (`frames/*.png`)."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from ssa_stream.errors import SourceError, SourceErrorCode, misnamed
from ssa_stream.picture_limits import USUAL_LIMITS, PictureLimits
from ssa_stream.picture_names import file_names, number_width, pictures_of
from ssa_stream.sources.conversion import NO_JOINTS, Joints
from ssa_stream.sources.file_structure import shortfall
from ssa_stream.sources.pictures import Still, is_video, read_still
from ssa_stream.sources.recording import Decoded, Delivered

__all__ = ["PictureSequence"]

_DEFAULT_RATE = Fraction(25)
_NAMES_SHOWN = 5


class PictureSequence:
    """Reads the pictures one after the other, at a rate that is given.

    Numbered pictures begin with the lowest number in the folder, and have their time by their number: where some are
    missing or cannot be read, there is a hole in the times. Pictures of a glob pattern are taken in natural order
    (`p2` before `p10`) without holes.
    """

    def __init__(
        self,
        pattern: str,
        name: str,
        *,
        options: Mapping[str, str],
        rate_hz: Fraction | None = None,
        limits: PictureLimits = USUAL_LIMITS,
    ) -> None:
        """Find the pictures.

        Args:
            pattern: With `%d`, `%03d` or `%3d` in its last part, and `%%` for a percent sign; or with `*`, `?` or
                `[...]`.
            name: What to call it in messages.
            options: FFmpeg options; `framerate` is the rate.
            rate_hz: Pictures per second; None for that of the options, or 25.
            limits: How large they may be.
        Raises:
            SourceError: No picture fits; the text says what is in the folder.
        """
        self._name = name
        self._pictures = pictures_of(pattern)
        if not self._pictures:
            raise misnamed(SourceError(_nothing_fits(pattern, name), SourceErrorCode.NOT_FOUND))
        self._rate_hz = rate_hz or Fraction(options.get("framerate", _DEFAULT_RATE))
        self._limits = limits
        self._too_large: list[str] = []
        self._unreadable: list[str] = []
        self._videos: list[str] = []
        self._closed = False
        self._stored_aspect = Fraction(1)
        self.corrupt_packets = 0
        self.warnings: list[str] = []
        gaps = [
            (earlier.number + 1, later.number - 1)
            for earlier, later in pairwise(self._pictures)
            if later.number > earlier.number + 1
        ]
        if gaps:
            self.warnings.append(_missing(gaps, number_width(pattern)))

    @property
    def fps(self) -> float | None:
        """Pictures per second."""
        return float(self._rate_hz)

    @property
    def frame_count(self) -> int | None:
        """Pictures in the folder that fit."""
        return len(self._pictures)

    @property
    def joints(self) -> Joints:
        """None: their times are counted."""
        return NO_JOINTS

    @property
    def stored_aspect(self) -> Fraction:
        """Width of a stored pixel divided by its height, of the picture that came last."""
        return self._stored_aspect

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def damage(self) -> list[str]:
        """Which pictures could not be read, are cut off, too large, or are none, so far."""
        told, count = [], len(self._pictures)
        if self._unreadable:
            told.append(f"{len(self._unreadable)} of {count} pictures are damaged: {_listed(self._unreadable)}")
        if self._too_large:
            told.append(
                f"{len(self._too_large)} of {count} pictures are too large ({self._limits}): "
                f"{_listed(self._too_large)}; allow them with #max_edge=... and #max_area=... (pixels)"
            )
        if self._videos:
            told.append(
                f"{len(self._videos)} of {count} files are videos, a pattern is for pictures: {_listed(self._videos)}; "
                "give each video by its own name"
            )
        return told

    def decode(self) -> Iterator[Decoded]:
        """Yield every picture that can be read, with its number as its time."""
        first = self._pictures[0].number
        expected = first
        for number, path in self._pictures:
            if self._closed:
                return
            still = self._read(path)
            if still is None:
                continue
            picture, self._stored_aspect = still
            picture.pts, picture.time_base = number - first, 1 / self._rate_hz
            yield Decoded(picture, skipped=number - expected)
            expected = number + 1

    def compare(self, delivered: Delivered) -> None:
        """Nothing is declared that could be missing beyond what `warnings` and `damage` say."""

    def close(self) -> None:
        """Stop reading."""
        self._closed = True

    def _read(self, path: Path) -> Still | None:
        try:
            still = read_still(path, self._limits)
        except SourceError as error:
            self.corrupt_packets += 1
            if error.code is SourceErrorCode.TOO_LARGE:
                self._too_large.append(path.name)
                return None
            (self._videos if is_video(path, self._limits) else self._unreadable).append(path.name)
            return None
        if shortfall(path):
            self._unreadable.append(path.name)
        return still


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


def _missing(gaps: list[tuple[int, int]], width: int) -> str:
    """Which numbers are missing: "pictures 005 and 007 to 009 are missing"."""
    texts = [
        f"{first:0{width}d}" if first == last else f"{first:0{width}d} to {last:0{width}d}" for first, last in gaps
    ]
    count = sum(last - first + 1 for first, last in gaps)
    if len(texts) > _NAMES_SHOWN:
        texts = [*texts[:_NAMES_SHOWN], f"others, {count} in all,"]
    listed = f"{', '.join(texts[:-1])} and {texts[-1]}" if len(texts) > 1 else texts[0]
    return f"picture {listed} is missing" if count == 1 else f"pictures {listed} are missing"


def _nothing_fits(pattern: str, name: str) -> str:
    folder = Path(pattern).parent
    if not folder.is_dir():
        return f"{name} fits no file: there is no folder {folder}"
    entries = file_names(folder)
    if not entries:
        return f"{name} fits no file: the folder {folder} holds none"
    return (
        f"{name} fits no file: {folder} holds {_listed(entries)}; expected a pattern such as %03d.png for 001.png, "
        "%d.png for 1.png, or *.png"
    )
