"""Clients that change the prompts of a running graph."""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import zmq
import zmq.asyncio

from ssa_stream.client.exchange import Exchange, Request, StreamPrompts, stream_prompts
from ssa_stream.client.sockets import ask, connect, milliseconds, request_socket
from ssa_stream.errors import ConfigError
from ssa_stream.keys import ClientKeys, client_keys
from ssa_stream.protocols import AddPrompt, ListPrompts, NewPrompt, RemovePrompt, SetPrompts
from ssa_stream.protocols.fields import MAX_PROMPT_CHARACTERS

__all__ = ["DEFAULT_REQUESTS_ADDRESS", "AsyncPromptClient", "PromptClient"]

DEFAULT_REQUESTS_ADDRESS = "tcp://127.0.0.1:5556"
DEFAULT_TIMEOUT_S = 10.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

PromptTexts = Sequence[str] | Mapping[str, str]


class _Requests:
    """What both clients ask for, and the connection that they ask through."""

    _context: zmq.Context[Any]
    _socket: zmq.Socket[Any]

    def __init__(self, address: str, stream: str, timeout_s: float, keys: ClientKeys | str | Path | None) -> None:
        if not timeout_s > 0:
            raise ConfigError(f"timeout_s is {timeout_s!r}; expected more than 0")
        self._keys = client_keys(keys)
        self.address = address
        self.stream = _name("stream", stream)
        self.timeout_s = timeout_s

    def close(self) -> None:
        """Close the connection. May be called again."""
        self._socket.close(linger=0)
        self._context.term()

    def _connect(self) -> None:
        self._socket = request_socket(self._context, self.address, self._keys)
        try:
            connect(self._socket, self.address)
        except ConfigError:
            self.close()
            raise

    def _exchange(self, request: Request) -> Exchange[StreamPrompts]:
        return Exchange(request, self.address, self.timeout_s, stream_prompts)

    def _set(self, prompts: PromptTexts) -> Exchange[StreamPrompts]:
        return self._exchange(SetPrompts(request_id="", stream=self.stream, prompts=tuple(_named(prompts))))

    def _add(self, text: str, prompt_id: str | None) -> Exchange[StreamPrompts]:
        new = _new(text, prompt_id)
        return self._exchange(AddPrompt(request_id="", stream=self.stream, prompt=new))

    def _remove(self, prompt_id: str) -> Exchange[StreamPrompts]:
        return self._exchange(RemovePrompt(request_id="", stream=self.stream, prompt_id=_name("prompt id", prompt_id)))

    def _list(self) -> Exchange[StreamPrompts]:
        return self._exchange(ListPrompts(request_id="", stream=self.stream))


class PromptClient(_Requests):
    """Asks a graph for other prompts and waits for its answer.

    with PromptClient(stream="cam0") as prompts:
        prompts.set(["the person in red", "the dog"])

    Every call raises ConfigError if the request is wrong, with the graph's own words, and TransportError if nobody
    answers within `timeout_s` or the graph cannot carry it out now. Listing and setting are tried again until then.
    Not for several threads at once.
    """

    def __init__(
        self,
        address: str = DEFAULT_REQUESTS_ADDRESS,
        stream: str = "cam0",
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        keys: ClientKeys | str | Path | None = None,
    ) -> None:
        """Connect; the graph need not be there yet.

        Args:
            address: Where the graph takes requests.
            stream: Which stream.
            timeout_s: How long a call may take.
            keys: For a graph that takes in known clients only: the client's folder, see `ssa-stream keys`.
        Raises:
            ConfigError: Not an address.
        """
        super().__init__(address, stream, timeout_s, keys)
        self._context = zmq.Context()
        self._connect()

    def set(self, prompts: PromptTexts) -> StreamPrompts:
        """Replace all prompts; those that stay the same keep their memory and tracks.

        Args:
            prompts: Sentences, or sentences by prompt id.
        """
        return self._ask(self._set(prompts))

    def add(self, text: str, prompt_id: str | None = None) -> StreamPrompts:
        """Add a prompt, or give an existing id another sentence.

        Args:
            text: The sentence.
            prompt_id: Its name; None lets the graph choose: it is that of the last prompt of the answer.
        """
        return self._ask(self._add(text, prompt_id))

    def remove(self, prompt_id: str) -> StreamPrompts:
        """Remove a prompt; the others are not disturbed."""
        return self._ask(self._remove(prompt_id))

    def list(self) -> StreamPrompts:
        """The prompts now."""
        return self._ask(self._list())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, exchange: Exchange[StreamPrompts]) -> StreamPrompts:
        return ask(self._socket, exchange)


class AsyncPromptClient(_Requests):
    """As `PromptClient`, for asyncio: every call is awaited; calls take turns."""

    _socket: zmq.asyncio.Socket

    def __init__(
        self,
        address: str = DEFAULT_REQUESTS_ADDRESS,
        stream: str = "cam0",
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        keys: ClientKeys | str | Path | None = None,
    ) -> None:
        """Connect; see `PromptClient`."""
        super().__init__(address, stream, timeout_s, keys)
        self._context = zmq.asyncio.Context()
        self._connect()
        self._turn = asyncio.Lock()

    async def set(self, prompts: PromptTexts) -> StreamPrompts:
        """Replace all prompts; see `PromptClient.set`."""
        return await self._ask(self._set(prompts))

    async def add(self, text: str, prompt_id: str | None = None) -> StreamPrompts:
        """Add a prompt; see `PromptClient.add`."""
        return await self._ask(self._add(text, prompt_id))

    async def remove(self, prompt_id: str) -> StreamPrompts:
        """Remove a prompt; the others are not disturbed."""
        return await self._ask(self._remove(prompt_id))

    async def list(self) -> StreamPrompts:
        """The prompts now."""
        return await self._ask(self._list())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def _ask(self, exchange: Exchange[StreamPrompts]) -> StreamPrompts:
        async with self._turn:
            while True:
                wait_s = exchange.wait_s()
                if exchange.is_due:
                    exchange.sent(await self._try_send(exchange.attempt()))
                    continue
                if await self._socket.poll(milliseconds(wait_s)):
                    parts = await self._socket.recv_multipart(flags=zmq.NOBLOCK, copy=False)
                    answer = exchange.take(parts)
                    if answer is not None:
                        return answer

    async def _try_send(self, parts: Sequence[bytes | memoryview]) -> bool:
        try:
            await self._socket.send_multipart(parts, flags=zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True


def _named(prompts: PromptTexts) -> Iterator[NewPrompt]:
    if isinstance(prompts, str):
        raise ConfigError(f"prompts is the string {prompts!r}; expected a list of sentences: [{prompts!r}]")
    if isinstance(prompts, Mapping):
        yield from (_new(text, prompt_id) for prompt_id, text in prompts.items())
    else:
        yield from (_new(text) for text in prompts)


def _name(what: str, name: str) -> str:
    """Return what can be a name in a message."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise ConfigError(
            f"{what} is {name!r}; expected at most 64 letters, digits and _ . - that begin with a letter or digit"
        )
    return name


def _new(text: str, prompt_id: str | None = None) -> NewPrompt:
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f"prompt is {text!r}; expected a sentence such as 'the person carrying the box'")
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise ConfigError(f"a prompt has {len(text):,} characters; expected at most {MAX_PROMPT_CHARACTERS:,}")
    if prompt_id is not None:
        _name("prompt id", prompt_id)
    try:
        return NewPrompt(text=text, id=prompt_id)
    except ValueError as error:
        raise ConfigError(str(error)) from error
