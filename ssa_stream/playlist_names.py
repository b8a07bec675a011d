"""Which files a playlist names: HLS, or a script of FFmpeg's concat demuxer, known by what is in it."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from ssa_stream.addresses import file_of_url
from ssa_stream.errors import SourceError

__all__ = ["URI", "files_of_playlist", "lines_of", "local_file", "names_of", "playlist_text", "require_playlist_length"]

URI = re.compile(r'(?<=URI=")[^"]+')
"""A name within a tag of HLS."""
_HLS = "#EXTM3U"
_CONCAT = "ffconcat version"
_MARK = "\ufeff"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+:")
_FILE_LINE = re.compile(r"file\s+(?P<word>.+)")
# As FFmpeg reads a word: quoted as it is, escaped by a backslash, or plain.
_WORD = re.compile(r"'(?P<quoted>[^']*)'?|\\(?P<escaped>.)|(?P<plain>[^\s'\\])")
_LONGEST = 1 << 24
_MOST_NAMES = 200_000
# Playlists of playlists; HLS has two levels.
_DEEPEST = 6


def playlist_text(path: Path) -> str | None:
    """The text of a playlist, without a byte order mark; None if it is none, or cannot be read.

    Bytes that are no UTF-8 come as Python writes such names of files (`surrogateescape`).
    """
    try:
        if not path.is_file():  # to open a pipe would wait for its writer
            return None
        with path.open("rb") as file:
            head = file.read(len(_CONCAT) + len(_MARK.encode())).decode("utf-8", "surrogateescape")
            if not head.removeprefix(_MARK).startswith((_HLS, _CONCAT)):
                return None
            file.seek(0)
            return file.read(_LONGEST).decode("utf-8", "surrogateescape").removeprefix(_MARK)
    except (OSError, ValueError):
        return None


def require_playlist_length(text: str, name: str) -> None:
    """Refuse a playlist that is too long to be meant.

    Raises:
        SourceError: It has more bytes than are read, or names too many files.
    """
    if len(text) >= _LONGEST or text.count("\n") + text.count("\r") > 3 * _MOST_NAMES:
        raise SourceError(
            f"{name} is too long for a playlist: expected at most {_LONGEST:,} bytes and {_MOST_NAMES:,} segments"
        )


def lines_of(text: str) -> list[str]:
    """The lines of a playlist, as FFmpeg parts them: other separators that Unicode knows may be in a name."""
    return [line.strip(" \t") for line in re.split(r"[\r\n]+", text)]


def names_of(text: str) -> Iterator[str]:
    """The names in the text of a playlist, as they stand there: segments, keys, first parts, other playlists."""
    is_script = text.startswith(_CONCAT)
    for line in lines_of(text):
        if is_script:
            if match := _FILE_LINE.match(line):
                yield _word(match["word"])
        elif line.startswith("#"):
            yield from URI.findall(line)
        elif line:
            yield line


def local_file(playlist: Path, name: str) -> Path | None:
    """The file of this machine that a name in a playlist means; None if it is an address of another kind.

    A name that exists is that file, whatever is in it. Otherwise it is an address: its query is left out and its
    percent codes are decoded.
    """
    literal = playlist.parent / name
    if _exists(literal):
        return literal
    if name.lower().startswith("file:"):
        try:
            return playlist.parent / file_of_url(name)
        except SourceError:
            return None
    path = name.partition("?")[0]
    files = [playlist.parent / written for written in (path, unquote(path), unquote(name))]
    existing = next((file for file in files if _exists(file)), None)
    return existing or (None if _SCHEME.match(name) else files[1])


def files_of_playlist(path: Path) -> Iterator[Path]:
    """The files of this machine that a playlist names, and those that playlists in it name; none if it is none."""
    seen: set[str] = set()
    level = [path]
    for _ in range(_DEEPEST):
        named: list[Path] = []
        for playlist in level:
            text = playlist_text(playlist)
            files = (local_file(playlist, name) for name in names_of(text or ""))
            named += [file for file in files if file is not None and not _is_known(file, seen)]
        yield from named
        level = named


def _is_known(file: Path, seen: set[str]) -> bool:
    key = os.path.abspath(file)
    is_known = key in seen
    seen.add(key)
    return is_known


def _word(text: str) -> str:
    """The first word of a line of a script, without quotes and escapes."""
    word, at = "", 0
    while match := _WORD.match(text, at):
        word, at = word + (match["quoted"] or match["escaped"] or match["plain"] or ""), match.end()
    return word


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # longer than a name of a file may be, or with a zero in it
        return False
