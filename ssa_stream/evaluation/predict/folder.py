"""The folder of a prediction: answers in their final form, and `.predict` with what a run needs to go on.

    .predict/settings.json              what the answers were made with
    .predict/asked.json                 of each video, a fingerprint of its frames' names and its sentences
    .predict/lock                       held by who puts results together
    .predict/shards/0-of-2/             of one process: it alone writes there
    .predict/shards/0-of-2/journal.jsonl    what it left out; answers, where these are lists
    .predict/shards/0-of-2/unfinished/  pictures that are being written

Everything else is results: a folder of pictures gets its name when it is complete.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ssa_stream.data.reading import is_file_name
from ssa_stream.errors import ConfigError, SinkError
from ssa_stream.evaluation.predict.settings import PredictSettings, write_or_compare_asked
from ssa_stream.evaluation.predict.units import Shard
from ssa_stream.files import only_writer
from ssa_stream.texts import brief

__all__ = ["Entry", "PredictionFolder", "Skipped"]

_OWN = ".predict"
_NONE = msgspec.Raw(b"null")


class Skipped(msgspec.Struct, frozen=True):
    """Something that has no answer, because it is broken: a sentence, or a sample; and what is wrong."""

    about: str
    text: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a journal: what became of a unit.

    Attributes:
        video: Of the unit.
        unit: Its name.
        skipped: What has no answer.
        answers: A list of them, as it goes into the results file; null where there is none.
    """

    video: str
    unit: str
    skipped: tuple[Skipped, ...] = ()
    answers: msgspec.Raw = _NONE

    @property
    def has_answers(self) -> bool:
        """Whether there is a list of answers, which may be empty."""
        return bytes(self.answers) != bytes(_NONE)


class PredictionFolder:
    """Paths of a prediction, and the journals of all processes that work on it.

    Args:
        path: The folder.
        shard: Which part this process does.
    """

    def __init__(self, path: Path, shard: Shard) -> None:
        self.path = path
        self._own = path / _OWN
        self._shards = self._own / "shards"
        self._shard_name = f"{shard.index}-of-{shard.count}"
        self._shard = self._shards / self._shard_name
        self._journal = self._shard / "journal.jsonl"

    def check(self, *, resume: bool) -> None:
        """Refuse a folder that holds something else, or this prediction already; writes nothing.

        A folder that is not there is made later, with those that it lies in.

        Other processes of the same prediction may have begun: they have shards of the same number of parts.

        Raises:
            ConfigError: It does.
        """
        path = self.path
        if not path.exists():
            above = next(one for one in path.absolute().parents if one.exists())
            if not above.is_dir():
                raise ConfigError(
                    f"{path} cannot be made: {above} is a file; expected a folder, or a name that is free"
                )
            return
        if not path.is_dir():
            raise ConfigError(f"{path} is a file; expected a folder for the masks, or a name that is free")
        names = [one.name for one in path.iterdir()]  # once: another process may be making it
        if names and _OWN not in names:
            raise ConfigError(f"{path} holds files of something else; expected a folder that is empty or not there")
        if resume:
            return
        shards = [one.name for one in self._shards.iterdir()] if self._shards.is_dir() else []
        count = self._shard_name.partition("-")[2]
        if self._shard_name in shards or any(name.partition("-")[2] != count for name in shards):
            raise ConfigError(f"{path} holds a prediction already; go on with it by --resume, or name another folder")

    @contextmanager
    def opened(self, settings: PredictSettings, asked: Mapping[str, str | None], *, resume: bool) -> Iterator[None]:
        """Be the one process that works on this shard.

        Args:
            settings: What masks depend on.
            asked: Of each video, a fingerprint of what is asked; see `Plan`.
            resume: Whether to go on with what is there.
        Raises:
            ConfigError: See `check`; or what is there was made with other settings, or for other sentences.
            SinkError: The folder cannot be written, or another process works on this shard.
        """
        self.check(resume=resume)
        try:
            self._shards.mkdir(parents=True, exist_ok=True)
            settings.write_or_compare(self._own / "settings.json")
            write_or_compare_asked(self._own / "asked.json", asked)
            self._shard.mkdir(exist_ok=True)
            with only_writer(self._shard):
                self._tidy()
                yield
        except (ConfigError, SinkError):
            raise
        except OSError as error:
            raise SinkError(f"cannot write into {self.path} ({error.strerror or error}); --resume goes on") from error

    def _tidy(self) -> None:
        """Remove the line that a process that was killed left half-written; `new_folder` removes pictures."""
        if self._journal.exists():
            with self._journal.open("rb+") as file:
                content = file.read()
                file.truncate(content.rfind(b"\n") + 1)

    def record(self, entry: Entry) -> None:
        """Note what became of a unit, so that it stays known whatever happens next."""
        with self._journal.open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> dict[str, "JournalLine"]:
        """What the journals of all processes say, by name of the unit: of each the last word with least left out."""
        found: dict[str, JournalLine] = {}
        for path in sorted(self._shards.glob("*/journal.jsonl")):
            offset = 0
            with path.open("rb") as file:
                for line in file:
                    if line.endswith(b"\n"):
                        entry = _decoded(line, path)
                        known = found.get(entry.unit)
                        if known is None or len(entry.skipped) <= len(known.skipped):
                            found[entry.unit] = JournalLine(path, offset, entry.skipped, entry.has_answers)
                    offset += len(line)
        return found

    @contextmanager
    def new_folder(self, *parts: str) -> Iterator[Path]:
        """Give a folder to write pictures into; it gets its place in the results when the body is done.

        Args:
            parts: The place, as names one within the other.
        Raises:
            ConfigError: A name leads elsewhere.
        """
        final = self.place(*parts)
        unfinished = self._shard / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        yield unfinished
        final.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(final, ignore_errors=True)  # of a run that was ended by a power cut: names without content
        unfinished.rename(final)

    def place(self, *parts: str) -> Path:
        """A path in the results.

        Raises:
            ConfigError: A name leads elsewhere.
        """
        for part in parts:
            if not is_file_name(part) or part.startswith("."):
                raise ConfigError(f"{brief(part)} cannot be the name of a folder; expected a name without slashes")
        return self.path.joinpath(*parts)

    @contextmanager
    def putting_together(self) -> Iterator[None]:
        """Wait until no other process puts results together."""
        with (self._own / "lock").open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError:  # a file system without locks: both would write the same, each file as a whole
                yield
                return
            yield


class JournalLine(msgspec.Struct, frozen=True):
    """Where a unit's entry is, and what it left out; answers stay on the disk."""

    path: Path
    offset: int
    skipped: tuple[Skipped, ...]
    has_answers: bool

    def read(self) -> Entry:
        """The whole entry."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return _decoded(file.readline(), self.path)


def _decoded(line: bytes, path: Path) -> Entry:
    try:
        return msgspec.json.decode(line, type=Entry)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path} has a line that is none of a journal ({error}); remove it, and go on") from error
