"""HLS playlists that lie on this machine as files."""

import io
from pathlib import Path
from urllib.parse import unquote

__all__ = ["PlaylistFile"]

_HEAD = b"#EXTM3U"
_TAG = "#EXT-X-"
_END = "#EXT-X-ENDLIST"
_VARIANT = "#EXT-X-STREAM-INF"
_NAMES_SHOWN = 5
# A playlist of playlists: those without an end mark are read from their start, and looked at once more, not for ever.
_OPTIONS = {"live_start_index": "0", "max_reload": "1"}


class PlaylistFile:
    """A playlist of segments, or of other playlists, as FFmpeg shall read it.

    FFmpeg takes one without an end mark for a live stream: it begins three segments before the end, and waits for more.
    A file is read whole, so FFmpeg gets it with an end mark.

    Attributes:
        warnings: What is incomplete about it.
        options: What to tell FFmpeg.
    """

    def __init__(self, path: str, text: str) -> None:
        lines = [line.strip() for line in text.splitlines()]
        self.is_master = any(line.startswith(_VARIANT) for line in lines)
        self.options = dict(_OPTIONS) if self.is_master else {}
        self._text = text
        self._path = path
        playlists = [Path(path)]
        if self.is_master:
            playlists = [local for line in lines if (local := _local(Path(path), line)) is not None]
        self.warnings = tuple(warning for one in playlists for warning in _warnings(one, self.is_master))

    @classmethod
    def open(cls, path: str) -> "PlaylistFile | None":
        """Read a playlist; None if it is none."""
        text = _text_of(Path(path))
        return None if text is None or _TAG not in text else cls(path, text)

    def stream(self) -> io.BytesIO:
        """The playlist as a file for FFmpeg, which finds the segments by its name."""
        text = self._text if self.is_master or _END in self._text else f"{self._text.rstrip()}\n{_END}\n"
        file = _NamedBytes(text.encode("utf-8", "surrogateescape"))
        file.name = f"file:{self._path}"
        return file


class _NamedBytes(io.BytesIO):
    name: str


def _text_of(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            if not file.read(len(_HEAD) + 3).removeprefix(b"\xef\xbb\xbf").startswith(_HEAD):
                return None
            file.seek(0)
            return file.read().decode("utf-8", "surrogateescape")
    except OSError:
        return None


def _local(playlist: Path, line: str) -> Path | None:
    """The file of this machine that a line names, None if it names none."""
    if not line or line.startswith("#") or "://" in line:
        return None
    literal = playlist.parent / line
    return literal if literal.exists() else playlist.parent / unquote(line.partition("?")[0])


def _warnings(playlist: Path, is_variant: bool) -> list[str]:
    text = _text_of(playlist)
    which = f"the playlist {playlist.name}" if is_variant else "the playlist"
    if text is None:
        return [f"{which} is missing"] if is_variant else []
    named = (_local(playlist, line.strip()) for line in text.splitlines())
    segments = list(dict.fromkeys(segment for segment in named if segment is not None))
    missing = [segment.name for segment in segments if not segment.exists()]
    warnings = []
    if _END not in text and _VARIANT not in text:
        warnings.append(
            f"{which} has no end mark ({_END}): it is read as far as it goes now, and may still be written to"
        )
    if missing:
        shown = ", ".join(missing[:_NAMES_SHOWN])
        more = f" and {len(missing) - _NAMES_SHOWN} more" if len(missing) > _NAMES_SHOWN else ""
        warnings.append(f"{len(missing)} of {len(segments)} segments of {which} are missing: {shown}{more}")
    return warnings
