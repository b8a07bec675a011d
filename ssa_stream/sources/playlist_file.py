"""HLS playlists that lie on this machine as files."""

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from ssa_stream.playlist_names import URI, lines_of, local_file, names_of, playlist_text, require_playlist_length
from ssa_stream.sources.conversion import Joints
from ssa_stream.sources.hosts import is_http

__all__ = ["PlaylistFile"]

_TAG = "#EXT-X-"
_END = "#EXT-X-ENDLIST"
_VARIANT = "#EXT-X-STREAM-INF"
_LENGTH = "#EXTINF:"
_GAP = "#EXT-X-GAP"
_DISCONTINUITY = "#EXT-X-DISCONTINUITY"
_INITS = ("#EXT-X-MAP:", "#EXT-X-KEY:")
_NAMES_SHOWN = 5
# The names of segments are taken as they are: a playlist on this machine may call them what it likes. Playlists on
# servers that one here names are read from their start, and looked at once more, not for ever.
_OPTIONS = {
    "allowed_extensions": "ALL",
    "allowed_segment_extensions": "ALL",
    "extension_picky": "0",
    "live_start_index": "0",
    "max_reload": "1",
}
# Lengths are rounded, or are those of a longer sound track: less than this, or than this share, is not missing.
_TOLERANCE_S = 0.5
_TOLERANCE = 0.02
# A pause in the times as long as this share of the shortest segment is a segment that did not come.
_HOLE = 0.9


class PlaylistFile:
    """A playlist of segments, or of other playlists, as FFmpeg shall read it.

    FFmpeg takes one without an end mark for a live stream: it begins three segments before the end, and waits for more.
    A file is read whole, so FFmpeg gets it with an end mark. FFmpeg does not decode names, so it gets those of the
    files that exist.

    Attributes:
        warnings: What is incomplete about it.
        problem: Why it may not open: what is missing; None if nothing is.
        joints: Where its times may begin anew.
        options: What to tell FFmpeg.
        servers: Addresses of web servers that it names.
    """

    options = _OPTIONS

    def __init__(self, path: str, text: str) -> None:
        self._path, self._text = Path(path), text
        is_master = _VARIANT in text
        playlists = _variants(self._path, text) if is_master else [self._path]
        texts = [text, *(playlist_text(one) or "" for one in playlists if is_master)]
        self.servers = tuple(dict.fromkeys(name for one in texts for name in names_of(one) if is_http(name)))
        missing = [f"the playlist {one.name} is missing" for one in playlists if playlist_text(one) is None]
        listings = [
            _Listing.read(one, f"the playlist {one.name}" if is_master else "the playlist", text)
            for one in playlists
            if (text := playlist_text(one) or "")
        ]
        missing += [warning for listing in listings for warning in listing.missing()]
        endless = [listing.endless() for listing in listings if not listing.is_finished]
        self.warnings = (*endless, *missing)
        self.problem = "; ".join(missing) or None
        # Of several variants nobody knows which one FFmpeg takes: the one that promises least is compared.
        self._listing = min(listings, key=lambda listing: listing.present_s, default=None)
        self.joints = Joints(
            max((listing.discontinuities for listing in listings), default=0),
            Joints().leap_s + max((listing.absent_s for listing in listings), default=0.0),
        )
        self._holes_s = self._longest_hole_s = self._longest_step_s = 0.0
        self._last_s: float | None = None

    @classmethod
    def open(cls, path: str) -> "PlaylistFile | None":
        """Read a playlist; None if it is none.

        Raises:
            SourceError: It is too long to be meant.
        """
        text = playlist_text(Path(path))
        if text is not None:
            require_playlist_length(text, path)
        return None if text is None or _TAG not in text else cls(path, text)

    @contextmanager
    def stream(self) -> Iterator[io.BytesIO]:
        """The playlist as a file for FFmpeg, which finds the rest by its name. To be open while FFmpeg opens it."""
        with tempfile.TemporaryDirectory(prefix="ssa-stream-") if _VARIANT in self._text else nullcontext() as folder:
            file = _NamedBytes(_encoded(_for_ffmpeg(self._path, self._text, folder)))
            file.name = f"file:{self._path}"
            yield file

    def note(self, written_s: float | None) -> None:
        """See the written time of the next picture, in seconds."""
        last_s, self._last_s = self._last_s, written_s
        if self._listing is None or last_s is None or written_s is None:
            return
        step_s = written_s - last_s
        if step_s > (self.joints.leap_s if self.joints.most else self._listing.listed_s):
            return  # stream time has no such pause
        if step_s >= self._listing.shortest_s * _HOLE:
            self._holes_s += step_s - self._longest_step_s
            self._longest_hole_s = max(self._longest_hole_s, step_s)
        else:
            self._longest_step_s = max(self._longest_step_s, step_s)

    def shortage(self, end_s: float, *, is_damaged: bool) -> str:
        """What did not come besides the segments that are known to be missing; an empty text if nothing.

        Args:
            end_s: Stream time at which the last picture ends.
            is_damaged: Whether something is known to be wrong. Otherwise pauses are those of a video of few pictures.
        """
        if self._listing is None:
            return ""
        has_holes = is_damaged or self._listing.may_have_holes
        missing_s = self._listing.present_s - end_s + (self._holes_s if has_holes else 0.0)
        usual_s = self._longest_step_s if has_holes else max(self._longest_step_s, self._longest_hole_s)
        if missing_s <= max(_TOLERANCE_S, _TOLERANCE * self._listing.listed_s, usual_s, self._listing.rounding_s):
            return ""
        return f"{missing_s:.2f} of {self._listing.listed_s:.2f} s that {self._listing.which} lists did not come"


class _NamedBytes(io.BytesIO):
    name: str


class _Segment(NamedTuple):
    """A line of a playlist that names a segment; `file` is None where it is on a server."""

    file: Path | None
    length_s: float
    is_rounded: bool

    @property
    def is_missing(self) -> bool:
        return self.file is not None and not _has_bytes(self.file)


class _Listing(NamedTuple):
    """What a playlist of segments lists."""

    which: str
    segments: list[_Segment]
    inits: list[Path]
    discontinuities: int
    is_finished: bool

    @classmethod
    def read(cls, playlist: Path, which: str, text: str) -> "_Listing":
        segments: list[_Segment] = []
        inits: list[Path] = []
        discontinuities, length, is_gap = 0, "", False
        for line in lines_of(text):
            if line.startswith(_LENGTH):
                length = line.removeprefix(_LENGTH).partition(",")[0]
            elif line == _GAP:
                is_gap = True
            elif line == _DISCONTINUITY:
                discontinuities += 1
            elif line.startswith(_INITS):
                files = (local_file(playlist, name) for name in URI.findall(line))
                inits += [file for file in files if file is not None]
            elif line and not line.startswith("#"):
                if not is_gap:
                    segments.append(_Segment(local_file(playlist, line), _seconds(length), "." not in length))
                length, is_gap = "", False
        return cls(which, segments, inits, discontinuities, _END in text)

    @property
    def listed_s(self) -> float:
        return sum(segment.length_s for segment in self.segments)

    @property
    def absent_s(self) -> float:
        return sum(segment.length_s for segment in self.segments if segment.is_missing)

    @property
    def present_s(self) -> float:
        return self.listed_s - self.absent_s

    @property
    def shortest_s(self) -> float:
        return min((segment.length_s for segment in self.segments), default=0.0)

    @property
    def may_have_holes(self) -> bool:
        return any(segment.file is None or segment.is_missing for segment in self.segments)

    @property
    def rounding_s(self) -> float:
        """By how much lengths that are written in whole seconds may be wrong together."""
        return sum(segment.is_rounded for segment in self.segments) / 2

    def endless(self) -> str:
        return f"{self.which} has no end mark ({_END}): it is read as far as it goes now, and may still be written to"

    def missing(self) -> list[str]:
        warnings = [
            f"{file.name}, which {self.which} needs to read its segments, is missing"
            for file in dict.fromkeys(self.inits)
            if not _has_bytes(file)
        ]
        if not self.segments:
            return [*warnings, f"{self.which} names no segments"]
        names = list(
            dict.fromkeys(segment.file.name for segment in self.segments if segment.file and segment.is_missing)
        )
        if names:
            shown = ", ".join(names[:_NAMES_SHOWN])
            more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
            files = len({segment.file for segment in self.segments})
            seconds = f" ({self.absent_s:.2f} s)" if self.absent_s else ""
            warnings.append(f"{len(names)} of {files} segments of {self.which} are missing: {shown}{more}{seconds}")
        return warnings


def _variants(master: Path, text: str) -> list[Path]:
    files = (local_file(master, line) for line in lines_of(text) if line and not line.startswith("#"))
    return [file for file in dict.fromkeys(files) if file is not None]


def _for_ffmpeg(playlist: Path, text: str, folder: str | None) -> str:
    """The text with an end mark and the full names of files that exist.

    A playlist of playlists has no end mark; those that it names come into the folder, in the same form.
    """

    def full(name: str) -> str:
        file = local_file(playlist, name)
        if file is None or not file.exists() or '"' in str(file):
            return name
        nested = None if folder is None else playlist_text(file)
        if folder is None or nested is None or _VARIANT in nested:
            return f"file:{os.path.abspath(file)}"
        copy = Path(folder, f"{len(os.listdir(folder))}.m3u8")
        copy.write_bytes(_encoded(_for_ffmpeg(file, nested, None)))
        return f"file:{copy}"

    lines = [
        URI.sub(lambda match: full(match[0]), line) if line.startswith("#") else line and full(line)
        for line in lines_of(text)
    ]
    if folder is None and _END not in lines:
        lines.append(_END)
    return "\n".join(lines) + "\n"


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _has_bytes(file: Path) -> bool:
    try:
        return file.is_file() and file.stat().st_size > 0
    except OSError:
        return False


def _seconds(length: str) -> float:
    try:
        seconds = float(length)
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < 1e6 else 0.0
