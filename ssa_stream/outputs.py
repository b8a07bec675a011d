"""What the name of an output means, and whether it may be written: compared with inputs before anything is opened.

Every command asks `check_outputs` first, so that the rule is the same everywhere: no output is an input, no two
outputs are one file, and a file that exists is replaced only on request.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal, NamedTuple

from ssa_stream.addresses import descriptor_of, file_of_url, parse_address, scheme_of
from ssa_stream.errors import ConfigError, SinkError, SourceError, SsaStreamError, misnamed
from ssa_stream.files import is_stream
from ssa_stream.picture_names import is_pattern, pictures_of
from ssa_stream.playlist_names import files_of_playlist

__all__ = [
    "OWN_SINKS",
    "SINK_GROUP",
    "NamedPath",
    "OutputSpec",
    "check_outputs",
    "file_of_start",
    "known_sinks",
    "local_path",
    "numbered_path",
    "output_file",
    "partial_path",
    "sink_files",
]

SINK_GROUP = "ssa_stream.sinks"
"""Entry points of plug-ins."""
OWN_SINKS = {"webrtc": "ssa_stream.nodes.gateway.pictures.picture_sink:open_picture_sink"}
"""Schemes of outputs that other parts of this package open."""
_VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv")
_LINES_SUFFIXES = (".jsonl", ".ndjson")

# Two letters at least, so that C:\\video.mp4 stays a path.
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]+):")


class NamedPath(NamedTuple):
    """A file and what it is to the user, such as `-o` or `the source`."""

    what: str
    path: str


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """An output as a user types it, taken apart.

    Attributes:
        kind: What writes it.
        path: Of the file, `-` for standard output; the whole text for a plug-in.
        scheme: Before the colon, in small letters; None without one.
    """

    kind: Literal["video", "lines", "plugin"]
    path: str
    scheme: str | None = None

    @classmethod
    def parse(cls, spec: str | Path) -> "OutputSpec":
        """Take an output apart; see `ssa_stream.sinks.open_sink` for what there is.

        Raises:
            SinkError: Nothing knows how to write it.
        """
        match = _SCHEME.match(spec) if isinstance(spec, str) else None
        scheme, text = (match["scheme"].lower() if match else None), str(spec)
        if match and scheme in ("video", "jsonl"):
            rest = text[match.end() :]
            return cls("video" if scheme == "video" else "lines", local_path(rest) or rest, scheme)
        if scheme is not None and (scheme in OWN_SINKS or scheme in _plugins()):
            return cls("plugin", text, scheme)
        path = (local_path(text) or text) if scheme == "file" else text
        suffix = Path(path).suffix.lower()
        if suffix in _VIDEO_SUFFIXES:
            return cls("video", path, scheme)
        if suffix in _LINES_SUFFIXES or path == "-":
            return cls("lines", path, scheme)
        raise misnamed(SinkError(f"do not know how to write {text!r}; known are: {', '.join(known_sinks())}"))


def known_sinks() -> tuple[str, ...]:
    """Return what `open_sink` accepts: file endings, `-`, and schemes, built-in ones and those of plug-ins."""
    schemes = ("jsonl", "video", *OWN_SINKS, *sorted(_plugins()))
    return (*_VIDEO_SUFFIXES, *_LINES_SUFFIXES, "-", *(f"{name}:" for name in schemes))


def _plugins() -> set[str]:
    return {entry.name.lower() for entry in entry_points(group=SINK_GROUP)}


def local_path(address: str) -> str | None:
    """The path that an address of a file means: `file:a.mp4`, `file:///tmp/a%20b.mp4` or the path itself.

    Returns:
        None if it has another scheme and no file has that name, or if it names another machine.
    """
    scheme = None if os.path.lexists(address) else scheme_of(address)
    if scheme is None:
        return address
    try:
        return file_of_url(address) if scheme == "file" else None
    except SourceError:
        return None


def partial_path(path: Path) -> Path:
    """The name of an output while it is not complete: `overlay.partial.mp4`, so that players know what it is."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def output_file(spec: str | Path, *, starts_before: int = 0, overwrite: bool = True) -> Path | None:
    """The file that `ssa_stream.sinks.open_sink` would write with the same arguments; None if it is no file of ours.

    Raises:
        SinkError: Nothing knows how to write it.
    """
    parsed = OutputSpec.parse(spec)
    if parsed.kind == "plugin" or parsed.path == "-" or is_stream(parsed.path):
        return None
    return Path(file_of_start(parsed.path, starts_before, overwrite)).absolute()


def file_of_start(path: str, starts_before: int, overwrite: bool) -> str:
    """The file that a start of an output writes, beside those of earlier ones; pipes and devices go on."""
    if not starts_before or path == "-" or is_stream(path):
        return path
    while not overwrite and Path(numbered_path(path, starts_before)).exists():
        starts_before += 1
    return numbered_path(path, starts_before)


def numbered_path(spec: str, starts_before: int) -> str:
    """`overlay.mp4` as `overlay-2.mp4` for the second start."""
    suffix = Path(spec).suffix
    return f"{spec.removesuffix(suffix)}-{starts_before + 1}{suffix}"


def sink_files(what: str, specs: Iterable[str] | None) -> Iterator[NamedPath]:
    """The files that outputs as `open_sink` takes them write; those of plug-ins are left out.

    Args:
        what: What they are to the user.
        specs: The outputs; None for none.
    Raises:
        SinkError: Nothing knows how to write one of them.
    """
    for spec in specs or ():
        parsed = OutputSpec.parse(spec)
        if parsed.kind != "plugin":
            yield NamedPath(what, parsed.path)


def check_outputs(
    outputs: Iterable[NamedPath], inputs: Iterable[NamedPath] = (), *, overwrite: bool, ways: str = "--overwrite"
) -> None:
    """Refuse outputs that would destroy something. Opens nothing but playlists, which name other files.

    Args:
        outputs: Files to be written, `-`, pipes and devices included.
        inputs: Addresses of what is read: files, patterns such as `%03d.png`, playlists, folders. Others are passed
            over.
        overwrite: Whether ordinary files that exist may be replaced.
        ways: How the user can allow that, for the error.
    Raises:
        ConfigError: An output is an input or another output, or exists and may not be replaced. Names both. Or a name
            is none that a file can have.
        SinkError: An output is a folder, or a file that is write-protected.
    """
    outputs = list(outputs)
    try:
        _check_against_inputs(outputs, list(inputs))
        _check_against_each_other(outputs)
        for output in outputs:
            _check_existing(output, overwrite, ways)
    except SsaStreamError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a zero byte, or half of a surrogate pair
        raise ConfigError(f"an input or output has a name that no file can have ({error}); give another one") from error


def _check_against_inputs(outputs: list[NamedPath], inputs: list[NamedPath]) -> None:
    read = [
        (item, _identities(path) if (descriptor := descriptor_of(path)) is None else _open_identities(descriptor))
        for item in inputs
        for path in _files_of(item.path)
    ]
    folders = [(item, os.path.join(os.path.realpath(item.path), "")) for item in inputs if os.path.isdir(item.path)]
    for output in outputs:
        ids, temporary = _identities(output.path), _temporary_identities(output.path)
        for item, others in read:
            if ids & others:
                raise ConfigError(f"{_said(output)} is {_said(item)} itself, which it would replace: give another file")
            if temporary & others:
                raise ConfigError(
                    f"{_said(output)} is written as {partial_path(Path(output.path))} until it is complete, which is "
                    f"{_said(item)}: rename one of them"
                )
        for item, folder in folders:
            if os.path.realpath(output.path).startswith(folder) and os.path.exists(output.path):
                raise ConfigError(f"{_said(output)} is a file of {_said(item)}: give another one")


def _check_against_each_other(outputs: list[NamedPath]) -> None:
    written: list[tuple[NamedPath, frozenset[object]]] = []
    for output in outputs:
        ids = _identities(output.path) | _temporary_identities(output.path)
        for item, others in written:
            if ids & others:
                raise ConfigError(f"{_said(output)} and {_said(item)} are one file: give each output its own")
        written.append((output, ids))


def _check_existing(output: NamedPath, overwrite: bool, ways: str) -> None:
    path = output.path
    if path == "-" or is_stream(path):
        return
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise misnamed(SinkError(f"cannot write {_said(output)}: there is no folder {folder}; create it first"))
    if os.path.isdir(path):
        raise misnamed(SinkError(f"{_said(output)} is a folder: give a file name"))
    if os.path.exists(path) and not overwrite:
        raise ConfigError(f"{_said(output)} exists already: give another name, or replace it with {ways}")
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise SinkError(f"{_said(output)} is write-protected: change its rights or give another name")
    partial = partial_path(Path(os.path.realpath(path)))
    if not overwrite and partial.exists() and partial.stat().st_size:
        raise ConfigError(
            f"{_said(output)} is written as {partial.name} until it is complete, and that file is there: another "
            f"process writes it, a killed one left it, or it is yours; rename it, or replace it with {ways}"
        )


def _said(item: NamedPath) -> str:
    return f"{item.path} ({item.what})"


def _files_of(address: str) -> Iterator[str]:
    """The local files that are read from an address."""
    try:
        target = parse_address(address).target
    except ConfigError:  # whoever opens the source says what is wrong with it
        target = address
    if descriptor_of(target) is not None:
        yield target
        return
    path = local_path(target)
    if path is None:
        return
    yield path
    if is_pattern(path) and not os.path.exists(path):
        yield from (str(picture.path) for picture in pictures_of(path))
    yield from map(str, files_of_playlist(Path(path)))


def _identities(path: str) -> frozenset[object]:
    """What two names of one file have in common: the resolved name, device and inode. A device is nobody's own."""
    if path == "-":
        return _open_identities(1) | {"standard output"}
    try:
        status = os.stat(path)
    except OSError:
        return frozenset() if is_stream(path) else frozenset({os.path.realpath(path)})
    if os.path.abspath(path) in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        return frozenset({"standard output", (status.st_dev, status.st_ino)})
    if stat.S_ISCHR(status.st_mode):
        return frozenset()
    return frozenset({os.path.realpath(path), (status.st_dev, status.st_ino)})


def _open_identities(descriptor: int) -> frozenset[object]:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return frozenset()
    return frozenset({(status.st_dev, status.st_ino)}) if stat.S_ISREG(status.st_mode) else frozenset()


def _temporary_identities(path: str) -> frozenset[object]:
    if path == "-" or is_stream(path):
        return frozenset()
    return _identities(str(partial_path(Path(os.path.realpath(path)))))
