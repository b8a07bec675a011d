"""One request and its reply, without a socket."""

import itertools
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from ssa_stream.errors import ConfigError, MessageError, TransportError
from ssa_stream.protocols import (
    AddPrompt,
    AnyMessage,
    AppliesFrom,
    ErrorCode,
    ErrorReply,
    Limits,
    ListPrompts,
    Prompt,
    PromptReply,
    Reloaded,
    ReloadWeights,
    RemovePrompt,
    SetPrompts,
    Unknown,
    decode,
    encode,
)

__all__ = ["Exchange", "ReloadedWeights", "Request", "StreamPrompts", "reloaded_weights", "stream_prompts"]

ATTEMPT_S = 2.0
"""After so long without an answer, a request that may be repeated is."""
RETRY_PAUSE_S = 0.25
_UNSENT_PAUSE_S = 0.05
_LIMITS = Limits(max_frames=4, max_message_bytes=2**20)
_TRY_AGAIN = frozenset({ErrorCode.BUSY.value, ErrorCode.UNAVAILABLE.value})
_NOT_OURS = frozenset({*_TRY_AGAIN, ErrorCode.INTERNAL.value})

Request = SetPrompts | AddPrompt | RemovePrompt | ListPrompts | ReloadWeights
_A = TypeVar("_A")


@dataclass(frozen=True, slots=True)
class StreamPrompts:
    """The prompts of a stream.

    Attributes:
        stream: Which stream.
        prompts: All of them, in order of adding.
        version: Grows with every change.
        applies_from: The first frame whose results follow the last change.
        warnings: About prompts that are not read to their end, or have words that the checkpoint does not know.
    """

    stream: str
    prompts: tuple[Prompt, ...]
    version: int
    applies_from: AppliesFrom
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReloadedWeights:
    """The weights that all nodes of a graph have now.

    Attributes:
        fingerprint: SHA-256 of the checkpoint's file.
        nodes: Nodes that were started again; none if all had these weights already.
    """

    fingerprint: str
    nodes: tuple[str, ...]


def stream_prompts(message: AnyMessage | Unknown) -> StreamPrompts | None:
    """What an answer about prompts says; None if it is another message."""
    if not isinstance(message, PromptReply):
        return None
    return StreamPrompts(message.stream, message.prompts, message.version, message.applies_from, message.warnings or ())


def reloaded_weights(message: AnyMessage | Unknown) -> ReloadedWeights | None:
    """What an answer about weights says; None if it is another message."""
    return ReloadedWeights(message.weights, message.nodes) if isinstance(message, Reloaded) else None


class Exchange(Generic[_A]):
    """One request until its answer: what to send when, and what to make of what comes.

    Listing and setting may be repeated: they do the same again. All else is sent once.

    Args:
        request: Its id is replaced.
        address: Of the graph, for errors.
        timeout_s: How long it may take.
        read: Reads the answer; None for other messages.
    """

    def __init__(
        self, request: Request, address: str, timeout_s: float, read: Callable[[AnyMessage | Unknown], _A | None]
    ) -> None:
        self._read = read
        self._request = request
        self._address = address
        self._timeout_s = timeout_s
        self._may_repeat = isinstance(request, ListPrompts | SetPrompts)
        self._deadline_s = time.monotonic() + timeout_s
        self._attempt_ends_s = 0.0
        self._numbers = itertools.count()
        self._name = uuid.uuid4().hex
        self._ids: set[str] = set()
        self._was_sent = False

    @property
    def is_due(self) -> bool:
        """Whether to send now."""
        return time.monotonic() >= self._attempt_ends_s

    def attempt(self) -> list[bytes | memoryview]:
        """The parts to send.

        Raises:
            ConfigError: Something in the request cannot be sent.
        """
        now_s = time.monotonic()
        self._attempt_ends_s = now_s + ATTEMPT_S if self._may_repeat else self._deadline_s
        request_id = f"{self._name}-{next(self._numbers)}"
        self._ids.add(request_id)
        try:
            return encode(msgspec.structs.replace(self._request, request_id=request_id))
        except MessageError as error:
            raise ConfigError(str(error)) from error

    def sent(self, done: bool) -> None:
        """Say whether an attempt could be sent. If not, since nobody is there, it is due again in a moment."""
        self._was_sent = self._was_sent or done
        if not done:
            self._attempt_ends_s = time.monotonic() + _UNSENT_PAUSE_S

    def wait_s(self) -> float:
        """How long to wait for an answer before `is_due` is asked again.

        Raises:
            TransportError: There was none in time.
        """
        now_s = time.monotonic()
        if now_s >= self._deadline_s:
            raise TransportError(self._nobody_answered())
        return max(0.0, min(self._deadline_s, self._attempt_ends_s) - now_s)

    def take(self, parts: Sequence[object]) -> _A | None:
        """Read what came.

        Returns:
            None if it is no answer to this request, or one after which it is repeated.
        Raises:
            ConfigError: The request was refused: it is wrong.
            TransportError: The request was refused: the graph cannot carry it out.
        """
        try:
            message = decode(parts, _LIMITS).message
        except MessageError:
            return None
        answer = self._read(message)
        if answer is not None and getattr(message, "request_id", None) in self._ids:
            return answer
        # A refusal without an id is of a message that could not be read; there is no other request on this socket.
        if isinstance(message, ErrorReply) and message.request_id in {None, *self._ids}:
            if self._may_repeat and message.code in _TRY_AGAIN and time.monotonic() + RETRY_PAUSE_S < self._deadline_s:
                self._attempt_ends_s = time.monotonic() + RETRY_PAUSE_S
                return None
            kind = TransportError if message.code in _NOT_OURS else ConfigError
            raise kind(message.text)
        return None

    def _nobody_answered(self) -> str:
        waited = f"within {self._timeout_s:g} s"
        if not self._was_sent:
            return (
                f"nobody takes requests at {self._address} {waited}; start a graph with: ssa-stream up, or name the "
                f"address that it printed for requests; if it has keys, give those of a client that it allows"
            )
        if isinstance(self._request, ListPrompts):
            return f"no answer from {self._address} {waited}"
        look = "ssa-stream status shows the weights" if isinstance(self._request, ReloadWeights) else "list the prompts"
        return f"no answer from {self._address} {waited}; whether it was carried out is not known: {look} to see"
