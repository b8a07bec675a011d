"""Prompts that clients changed, saved for the next start of the graph: one small file for each pipeline.

What a pipeline says itself is not saved, nor what it plans (`changes`): without a client's change there is no file.
Which of the two wins at the next start is told in docs/adr/0080-prompts-changed-at-run-time.md.
"""

import asyncio
import hashlib
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import msgspec
import structlog
from msgspec import Meta, Struct

from ssa_stream.errors import SinkError
from ssa_stream.files import only_writer, read_limited, write_whole
from ssa_stream.nodes.broker.resume_points import FirstPrompts, first_prompts, next_number
from ssa_stream.nodes.pipeline import PipelineConfig, StreamSection
from ssa_stream.protocols import Prompt, PromptState
from ssa_stream.protocols.fields import MAX_PROMPTS, Name
from ssa_stream.protocols.identity import expect_unique_ids
from ssa_stream.sentences import expect_distinct
from ssa_stream.texts import encodable

__all__ = ["SavedPrompts"]

FILE_NAME = "prompts.json"
_FORMAT: Final = "ssa_stream prompts"
_VERSION: Final = 1
_MAX_BYTES = 2**25
_MAX_STREAMS = 256
_WAIT_S = 0.5
"""An answer waits for the disk no longer than that."""
_FIRST_TIME = datetime(2020, 1, 1, tzinfo=UTC)
"""Clocks that were never set say earlier ones."""
_log = structlog.get_logger()

_Number = Annotated[int, Meta(ge=0, le=2**53)]
_PromptNumber = Annotated[int, Meta(ge=1, le=10**10)]


class _Stream(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stream whose prompts a client has changed at some time.

    Attributes:
        configured: Fingerprint of the pipeline's own prompts and planned changes at that time.
        version: Of the stream's prompts, the last one that was in force.
        next_number: For prompts that nobody names.
        prompts: As a client changed them; None if those of the pipeline are in force again.
        changed_at: When.
    """

    configured: Annotated[str, Meta(max_length=64)]
    version: _Number
    next_number: _PromptNumber
    prompts: Annotated[tuple[Prompt, ...], Meta(max_length=MAX_PROMPTS)] | None = None
    changed_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.prompts is not None:
            expect_unique_ids(self.prompts)
            expect_distinct((prompt.id, prompt.text) for prompt in self.prompts)
            if any(prompt.version > self.version for prompt in self.prompts):
                raise ValueError("a prompt has a later version than the stream")


class _File(Struct, frozen=True, kw_only=True):
    """What the file holds. Fields that are not known are passed over.

    Attributes:
        format: What this is.
        version: Of the format.
        pipeline: Where the pipeline was read from, for people.
        streams: By name; also those that the pipeline does not have at the moment.
    """

    format: Literal["ssa_stream prompts"]
    version: Literal[1]
    pipeline: str = ""
    streams: Annotated[dict[Name, _Stream], Meta(max_length=_MAX_STREAMS)] = {}


class SavedPrompts:
    """The changed prompts of one pipeline: how its streams begin, and what is saved while it runs.

    Nothing that is wrong with the file or its folder is an error: the graph runs without.

    Attributes:
        first: With what streams begin that have been changed before, by name; the others as the pipeline says.
        notes: What is different from what the pipeline says, a line each.
        warnings: Why something is not saved or was not read, a line each.
        problem: Why the last change is not on the disk; empty if it is, or is on its way.
    """

    def __init__(self, folder: Path, config: PipelineConfig, *, pipeline: str = "", fresh: bool = False) -> None:
        """Read what an earlier graph saved, and be the only one that saves there until `close`.

        Args:
            folder: Of this pipeline alone. Made if it is not there.
            config: The pipeline, with what the command line changes in it.
            pipeline: Where it was read from, for people.
            fresh: Begin with the pipeline's prompts all the same; versions and numbers go on.
        """
        self.first: dict[str, FirstPrompts] = {}
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self._path = folder / FILE_NAME
        self._pipeline = encodable(pipeline)
        self._configured = {name: _fingerprint(section) for name, section in config.streams.items()}
        self._opened = ExitStack()
        self._may_write = self._claim(folder)
        self._thread = ThreadPoolExecutor(1, "saved prompts")
        self._newest: Future[None] | None = None
        self._generation = 0
        self.problem = ""
        self._restored: set[str] = set()
        self._streams = self._read()
        for name, section in config.streams.items():
            if name in self._streams:
                self._begin(name, section, config.session.max_prompts, fresh=fresh)

    def adapted(self, config: PipelineConfig) -> PipelineConfig:
        """The pipeline without the planned changes of streams that begin with a client's prompts."""
        streams = {
            name: msgspec.structs.replace(section, changes=()) if name in self._restored else section
            for name, section in config.streams.items()
        }
        return msgspec.structs.replace(config, streams=streams)

    def record(self, state: PromptState) -> None:
        """Take in the prompts of a stream; they are written soon if they are to be saved."""
        saved = self._streams.get(state.stream)
        by_client = state.by_client is True
        if saved is None and not by_client:
            return
        if saved is not None and state.version <= saved.version:  # told again by a node that was started again
            return
        known = 1 if saved is None else saved.next_number
        self._streams[state.stream] = _Stream(
            configured=self._configured[state.stream],
            version=state.version,
            next_number=max(known, next_number(prompt.id for prompt in state.prompts)),
            prompts=state.prompts if by_client else None,
            changed_at=datetime.now(UTC).replace(microsecond=0) if by_client else None,
        )
        if self._may_write:
            self._generation += 1
            self._newest = self._thread.submit(self._write, self._generation, self._content())

    @property
    def is_writing(self) -> bool:
        """Whether something is on its way to the disk."""
        return self._newest is not None and not self._newest.done()

    async def settled(self) -> str:
        """Wait until everything so far is on the disk, for a moment at most; returns why it is not, if it is not."""
        if self._newest is not None and not self._newest.done():
            await asyncio.wait([asyncio.wrap_future(self._newest)], timeout=_WAIT_S)
        return "the disk is slow" if self.is_writing else self.problem

    def close(self) -> None:
        """Wait for what is being written, and let other graphs save here. May be called again."""
        self._thread.shutdown(wait=True)
        self._opened.close()
        if self._may_write:
            self._may_write = False
            try:
                self._path.parent.rmdir()  # nothing was ever saved
            except OSError:
                pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- beginning

    def _claim(self, folder: Path) -> bool:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._opened.enter_context(only_writer(folder))
            for leftover in folder.glob(f".{FILE_NAME}.*.partial"):  # of a process that was killed while it wrote
                leftover.unlink(missing_ok=True)
            write_whole(folder / ".writable", b"", mode=0o600, survives_power_cut=False)
            (folder / ".writable").unlink()
        except SinkError:
            self.warnings.append(
                f"another graph of this pipeline saves its prompts in {folder}: prompts that are changed here are "
                f"forgotten when this one ends; give it another folder with --state"
            )
        except (OSError, ValueError) as error:  # a zero byte in the name
            self.warnings.append(
                f"prompts that are changed at run time are forgotten when the graph ends: nothing can be saved in "
                f"{folder} ({getattr(error, 'strerror', None) or error}); name another folder with --state"
            )
        else:
            return True
        return False

    def _read(self) -> dict[str, _Stream]:
        try:
            content = read_limited(self._path, most_bytes=_MAX_BYTES)
            if (problem := _foreign(content)) is None:
                return dict(msgspec.json.decode(content, type=_File).streams)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, RecursionError) as error:  # msgspec's are ValueErrors
            problem = getattr(error, "strerror", None) or str(error)
        self._put_aside(problem)
        return {}

    def _put_aside(self, problem: str) -> None:
        aside = self._path.with_name(f"prompts-unread-{time.time_ns()}.json")
        what = (
            f"{self._path}: the saved prompts cannot be used ({problem}); the graph begins with those of the pipeline"
        )
        if not self._may_write:
            self.warnings.append(what)
            return
        try:
            self._path.rename(aside)
        except OSError as error:
            self._may_write = False  # not to destroy what may be of use
            self.warnings.append(f"{what}, and saves nothing, as the file cannot be renamed ({error.strerror})")
        else:
            self.warnings.append(f"{what}; the file is kept as {aside.name}")

    def _begin(self, name: str, section: StreamSection, max_prompts: int, *, fresh: bool) -> None:
        saved = self._streams[name]
        prompts, number = first_prompts(section.prompts)
        version, number = saved.version + 1, max(saved.next_number, number)
        own = tuple(msgspec.structs.replace(prompt, version=version) for prompt in prompts)
        self.first[name] = FirstPrompts(own, version, number)
        if saved.prompts is None:
            return
        when = _when(saved.changed_at)
        if fresh:
            self.notes.append(f"stream {name}: prompts of the pipeline; those of {when} are dropped (--fresh)")
        elif saved.configured != self._configured[name]:
            self.notes.append(
                f"stream {name}: prompts of the pipeline, which says others than when they were last changed, at {when}"
            )
        elif len(saved.prompts) > max_prompts:
            self.warnings.append(
                f"stream {name}: prompts of the pipeline; there were {len(saved.prompts)} at {when}, and "
                f"session.max_prompts allows {max_prompts}"
            )
        else:
            self._restored.add(name)
            self.first[name] = FirstPrompts(saved.prompts, saved.version, number)
            left_out = "; its planned changes are left out" if section.changes else ""
            self.notes.append(
                f"stream {name}: prompts as last changed at {when}; --fresh begins with those of the pipeline{left_out}"
            )

    # -- saving

    def _content(self) -> bytes:
        others = [name for name in self._streams if name not in self._configured]
        for name in others[: max(0, len(self._streams) - _MAX_STREAMS)]:
            del self._streams[name]
        file = _File(format=_FORMAT, version=_VERSION, pipeline=self._pipeline, streams=self._streams)
        return msgspec.json.format(msgspec.json.encode(file), indent=1)

    def _write(self, generation: int, content: bytes) -> None:
        """In the thread. Of several that wait only the last one is written."""
        if generation != self._generation:
            return
        try:
            write_whole(self._path, content, mode=0o600)
        except OSError as error:
            problem = f"{self._path}: {error.strerror or error}"
            if not self.problem:
                _log.warning("changed prompts are not saved", text=problem)
            self.problem = problem
        else:
            self.problem = ""


def _when(changed_at: datetime | None) -> str:
    """A time as people read it; one without a zone, before this program or in the future is as good as none."""
    latest = datetime.now(UTC) + timedelta(days=1)  # clocks may be set a little
    if changed_at is None or changed_at.tzinfo is None or not _FIRST_TIME <= changed_at <= latest:
        return "an earlier time"
    return f"{changed_at.astimezone(UTC):%Y-%m-%d %H:%M:%S %Z}"


def _fingerprint(section: StreamSection) -> str:
    """Of what a pipeline says of a stream's prompts."""
    prompts = [(prompt.id, prompt.text) for prompt in first_prompts(section.prompts)[0]]
    return hashlib.sha256(msgspec.json.encode([prompts, section.changes])).hexdigest()


def _foreign(content: bytes) -> str | None:
    """What is wrong with a file that is not of this format and version; None if it is."""

    class Head(Struct):
        format: str
        version: int

    head = msgspec.json.decode(content, type=Head)
    if head.format == _FORMAT and head.version > _VERSION:
        return f"a newer ssa_stream wrote it: version {head.version}, known is {_VERSION}"
    return None
