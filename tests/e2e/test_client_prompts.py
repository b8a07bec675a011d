"""Clients that ask a broker, with a scripted node behind it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from ssa_stream.client import AsyncPromptClient, PromptClient, StreamPrompts
from ssa_stream.errors import ConfigError, TransportError
from ssa_stream.protocols import (
    AddPrompt,
    AnyMessage,
    ErrorReply,
    ListPrompts,
    NewPrompt,
    PromptReply,
    RemovePrompt,
    SetPrompts,
)
from tests.support.scripted_nodes import HERE, PATIENCE_S, STICK, Graph, Peer, graph
from tests.support.threads import in_thread

pytestmark = pytest.mark.e2e

ANSWER = StreamPrompts("cam0", STICK, 2, HERE)


async def _answer_all(node: Peer, asked: list[AnyMessage]) -> None:
    while True:
        await node.socket.poll()
        message = (await node.packet()).message
        match message:
            case RemovePrompt(prompt_id="p9"):
                reply: AnyMessage = ErrorReply(
                    request_id=message.request_id, code="unknown_prompt", text="there is no prompt 'p9'"
                )
            case SetPrompts() | AddPrompt() | RemovePrompt() | ListPrompts():
                reply = PromptReply(
                    request_id=message.request_id, stream="cam0", prompts=STICK, version=2, applies_from=HERE
                )
            case _:
                continue
        asked.append(message)
        await node.say(reply)


@asynccontextmanager
async def _answering() -> AsyncIterator[tuple[Graph, list[AnyMessage]]]:
    """A broker with a node that answers, and what it was asked."""
    asked: list[AnyMessage] = []
    async with graph() as running:
        node = await running.greeted("ingest-cam0")
        task = asyncio.create_task(_answer_all(node, asked))
        try:
            yield running, asked
        finally:
            task.cancel()
            await asyncio.wait([task])


CALLS: dict[str, tuple[Callable[[PromptClient], StreamPrompts], object]] = {
    "set": (lambda client: client.set(["the stick", "a dog"]), (NewPrompt(text="the stick"), NewPrompt(text="a dog"))),
    "set by id": (lambda client: client.set({"left": "the stick"}), (NewPrompt(text="the stick", id="left"),)),
    "add": (lambda client: client.add("the stick", "left"), NewPrompt(text="the stick", id="left")),
    "remove": (lambda client: client.remove("p1"), "p1"),
    "list": (lambda client: client.list(), None),
}


@pytest.mark.parametrize("name", CALLS)
async def test_call_is_answered_with_the_prompts_of_the_stream(name: str) -> None:
    """And where they apply from."""
    call, wanted = CALLS[name]

    def work(address: str) -> StreamPrompts:
        with PromptClient(address, "cam0", timeout_s=PATIENCE_S) as client:
            return call(client)

    async with _answering() as (running, asked):
        assert await in_thread(lambda: work(running.broker.requests_address)) == ANSWER
        (message,) = asked
        found = [getattr(message, field, None) for field in ("prompts", "prompt", "prompt_id")]
        assert [value for value in found if value is not None] == ([] if wanted is None else [wanted])


ASYNC_CALLS: dict[str, Callable[[AsyncPromptClient], Awaitable[StreamPrompts]]] = {
    "set": lambda client: client.set(["the stick"]),
    "add": lambda client: client.add("the stick"),
    "remove": lambda client: client.remove("p1"),
    "list": lambda client: client.list(),
}


@pytest.mark.parametrize("name", ASYNC_CALLS)
async def test_async_call_is_answered_likewise(name: str) -> None:
    """Several at once take turns."""
    async with (
        _answering() as (running, asked),
        AsyncPromptClient(running.broker.requests_address, "cam0", timeout_s=PATIENCE_S) as client,
    ):
        answers = await asyncio.gather(ASYNC_CALLS[name](client), client.list())
        assert list(answers) == [ANSWER, ANSWER]
        assert len(asked) == 2


async def test_refusal_is_raised_with_the_words_of_the_graph() -> None:
    """Of the node, and of the broker."""
    async with _answering() as (running, _):
        async with AsyncPromptClient(running.broker.requests_address, "cam0", timeout_s=PATIENCE_S) as client:
            with pytest.raises(ConfigError, match="there is no prompt 'p9'"):
                await client.remove("p9")
        async with AsyncPromptClient(running.broker.requests_address, "cam9", timeout_s=PATIENCE_S) as client:
            with pytest.raises(ConfigError, match="there is no stream 'cam9'; expected one of cam0"):
                await client.list()


async def test_listing_waits_for_a_node_that_is_still_starting() -> None:
    """The broker says that it is not there; it is asked again."""
    async with graph() as running:
        async with AsyncPromptClient(running.broker.requests_address, "cam0", timeout_s=PATIENCE_S) as client:
            task = asyncio.create_task(client.list())
            async with asyncio.timeout(PATIENCE_S):
                while not running.broker.counters["requests_refused"]:  # noqa: ASYNC110  the broker counts, and tells nobody
                    await asyncio.sleep(0.005)
            node = await running.greeted("ingest-cam0")
            answering = asyncio.create_task(_answer_all(node, []))
            assert await task == ANSWER
            answering.cancel()
            await asyncio.wait([answering])


NOBODY = r"nobody takes requests at tcp://127\.0\.0\.1:1 within 0\.2 s"


def test_nobody_at_the_address_is_an_error_in_time() -> None:
    """That says that nothing was sent, so that nothing happens later."""
    with PromptClient("tcp://127.0.0.1:1", timeout_s=0.2) as client, pytest.raises(TransportError, match=NOBODY):
        client.add("the dog")


async def test_nobody_at_the_address_is_an_error_of_the_async_client_too() -> None:
    """In the same words."""
    async with AsyncPromptClient("tcp://127.0.0.1:1", timeout_s=0.2) as client:
        with pytest.raises(TransportError, match=NOBODY):
            await client.add("the dog")


async def test_broker_whose_node_is_silent_is_an_error_in_time() -> None:
    """Adding is not repeated; whether it happened is not known."""
    async with graph() as running:
        node = await running.greeted("ingest-cam0")
        async with AsyncPromptClient(running.broker.requests_address, "cam0", timeout_s=0.3) as client:
            with pytest.raises(TransportError, match="whether it was carried out is not known"):
                await client.add("the dog")
        assert (await node.hear(AddPrompt)).prompt.text == "the dog"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda client: client.set("the dog"), r"expected a list of sentences: \['the dog'\]"),
        (lambda client: client.add(""), "expected a sentence such as"),
        (lambda client: client.remove("a/b"), "prompt id is 'a/b'; expected at most 64 letters"),
    ],
    ids=["string", "empty", "id"],
)
def test_wrong_argument_is_refused_before_anything_is_sent(
    call: Callable[[PromptClient], StreamPrompts], text: str
) -> None:
    """Even if nobody is there."""
    with PromptClient("tcp://127.0.0.1:1") as client, pytest.raises(ConfigError, match=text):
        call(client)


@pytest.mark.parametrize("kind", [PromptClient, AsyncPromptClient])
def test_address_that_is_none_is_refused(kind: type[PromptClient] | type[AsyncPromptClient]) -> None:
    """With an example."""
    with pytest.raises(ConfigError, match="expected one like tcp://HOST:PORT"):
        kind("nonsense")
