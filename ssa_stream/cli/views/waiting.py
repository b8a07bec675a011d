"""What a subscriber waits for while no masks come, in words, as far as the graph tells."""

import threading
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, NamedTuple

from ssa_stream.cli.views.source_words import SourceNews, source_words
from ssa_stream.client.graph_state import ENDED, FAILED, GraphState, StreamStatus
from ssa_stream.protocols import SourceState

if TYPE_CHECKING:
    from ssa_stream.client import MaskSubscription, UpdateSubscription

__all__ = ["Lack", "Waiting", "what_lacks"]

_SAID_AFTER_S = 1.0
_LOOK_S = 0.25


class Waiting:
    """Tells of changes of sources at once, and what is waited for when no masks have come for a second.

    Args:
        masks: What waits.
        updates: States and prompts of its streams, and of the nodes; read by a thread of this.
        stream: The one stream that is watched; None for all.
        prompts: Ids of the prompts that are watched; None for all.
        say: Prints a line.
    """

    def __init__(
        self,
        masks: "MaskSubscription",
        updates: "UpdateSubscription",
        stream: str | None,
        prompts: Collection[str] | None,
        say: Callable[[str], None],
    ) -> None:
        self._masks, self._updates = masks, updates
        self._stream, self._prompts = stream, prompts
        self._say = say
        self._graph, self._news = GraphState(), SourceNews()
        self._said = ""
        self._since_s = time.monotonic()
        self._too_old = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="waiting")

    def __enter__(self) -> "Waiting":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._updates.close()
        self._thread.join()

    def came(self) -> None:
        """Masks have come."""
        self._since_s, self._said = time.monotonic(), ""
        self._too_old = self._masks.counts.too_old

    def _run(self) -> None:
        while not self._is_over.is_set():
            update = self._updates.next(_LOOK_S)
            if update is not None:
                self._graph.take(update.message, time.monotonic_ns())
                if isinstance(update.message, SourceState) and (line := self._news.line(update.message)) is not None:
                    self._say(line)
            if time.monotonic() - self._since_s > _SAID_AFTER_S and not self._is_over.is_set():
                self._tell()

    def _tell(self) -> None:
        masks = self._masks
        if masks.is_refused:
            return  # the subscription itself says why when its time is over
        if not masks.is_connected:
            lack = Lack("graph", f"waiting for a graph at {masks.address}; start one with: ssa-stream up")
        elif masks.counts.too_old > self._too_old:
            lack = Lack("age", "waiting: masks come, but they are older than --max-age")
        else:
            lack = what_lacks(self._graph, self._stream, self._prompts)
            lack = Lack(lack.kind, f"waiting: {lack.text}")
        if lack.kind != self._said:
            self._said = lack.kind
            self._say(lack.text)


class Lack(NamedTuple):
    """What is not there.

    Attributes:
        kind: The same as long as it is the same thing, whatever is said of it in detail.
        text: In words.
    """

    kind: str
    text: str


def what_lacks(graph: GraphState, stream: str | None, prompts: Collection[str] | None) -> Lack:
    """Say what lacks for masks, as far as the graph has told.

    Args:
        graph: What it has told.
        stream: The one stream that is watched; None for all.
        prompts: Ids of the prompts that are watched; None for all.
    """
    if not graph.nodes and not graph.streams:
        return Lack("words", "the graph has not said anything yet")
    watched = [stream] if stream is not None else sorted(graph.streams)
    if missing := graph.not_ready:
        return Lack("nodes", f"the graph is not ready yet: {', '.join(missing)}")
    lacks = {name: _lack(graph.streams.get(name, StreamStatus()), prompts) for name in watched}
    if not lacks:
        return Lack("words", "no stream has said anything yet")
    kind = " ".join(f"{name} {lack.kind}" for name, lack in lacks.items())
    return Lack(kind, "; ".join(f"stream {name} {lack.text}" for name, lack in lacks.items()))


def _lack(status: StreamStatus, prompts: Collection[str] | None) -> Lack:
    source = status.source
    if source is None:
        return Lack("words", "has not said anything yet")
    if source.status == "stopped":
        return Lack("stopped", "is stopped; it starts when somebody looks at it on the page of ssa-stream serve")
    if source.status != "running":
        over = ", and gives no more frames" if source.status in (ENDED, FAILED) else ""
        return Lack(source.status, f"is {source_words(source)}{over}")
    known = [] if status.prompts is None else [prompt.id for prompt in status.prompts.prompts]
    if status.prompts is not None and not known:
        return Lack("prompts", "has no prompts; give it one with: ssa-stream prompt add")
    if prompts and known and not set(prompts) & set(known):
        return Lack("prompt", f"has no prompt {', '.join(sorted(prompts))}; it has {', '.join(known)}")
    return Lack("masks", "has sent no masks yet")
