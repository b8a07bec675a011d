"""Keeps one node alive: starts its process, notices when it ends or hangs, starts it again."""

import asyncio
import random
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from ssa_stream.backoff import backoff_s
from ssa_stream.errors import ConfigError, SsaStreamError, TransportError
from ssa_stream.nodes.broker import NodeState
from ssa_stream.nodes.launcher.child import Child, Exit
from ssa_stream.nodes.pipeline import HealthSection
from ssa_stream.nodes.runtime.clock import Clock
from ssa_stream.nodes.runtime.descriptors import is_shortage
from ssa_stream.nodes.runtime.tasks import wait_for_event

__all__ = ["MayStart", "RestartPolicy", "StartChild", "Supervisor", "Watch"]

_NS = 1e-9


class RestartPolicy:
    """Pauses that double with every loss of a node within `restart_window_s`, until it was lost too often.

    Args:
        health: Limits and pauses.
        clock: Tells when losses happen.
        jitter: Gives numbers of 0..1, so that nodes that fell together do not rise together.
    """

    def __init__(self, health: HealthSection, clock: Clock, jitter: Callable[[], float] = random.random) -> None:
        self._health = health
        self._clock = clock
        self._jitter = jitter
        self._losses_ns: deque[int] = deque()

    @property
    def recent_losses(self) -> int:
        """Losses within `restart_window_s`, as of the last one."""
        return len(self._losses_ns)

    def pause_after_loss(self) -> float | None:
        """Note a loss that happens now.

        Returns:
            Seconds to wait before the next start, half to the whole of the step of back-off; None: too many losses.
        """
        now_ns = self._clock.monotonic_ns()
        self._losses_ns.append(now_ns)
        while (now_ns - self._losses_ns[0]) * _NS > self._health.restart_window_s:
            self._losses_ns.popleft()
        if len(self._losses_ns) > self._health.max_restarts:
            return None
        return backoff_s(len(self._losses_ns), self._health.backoff_s, self._health.backoff_max_s, self._jitter)


_WRONG_SETUP, _OTHER_WEIGHTS = 2, 3
_RELOAD = "reload"
_SHORTAGE_PAUSE_S = 0.25
_log = structlog.get_logger()

MayStart = Callable[[], Awaitable[str]]
"""Why a node may not be started now, for people; empty if it may."""

StartChild = Callable[[str, int], Awaitable[Child]]
"""Starts that node in that incarnation."""


class Watch(Protocol):
    """What a supervisor asks of the broker and tells it."""

    def node_states(self) -> Mapping[str, NodeState]:
        """How every node fares that said hello."""

    async def node_lost(self, name: str, incarnation: int, reason: str, text: str = "") -> None:
        """A node ended."""

    async def node_held(self, name: str, incarnation: int, text: str, *, is_wrong: bool) -> None:
        """A node is not there on purpose."""

    async def recover(self, about_node: str, reason: str, text: str = "") -> None:
        """A node is back."""

    def put_off(self, name: str, why: str) -> None:
        """A node cannot be started now; it is tried again."""


@dataclass(frozen=True, slots=True)
class _Loss:
    reason: str
    text: str
    exit: Exit


async def _always() -> str:
    return ""


class Supervisor:
    """Keeps one node alive until `end`.

    Args:
        name: The node.
        start: Starts its process.
        broker: Knows how it fares.
        health: When it counts as lost, and how often it may be.
        clock: Measures time.
        may_start: Asked before every start but the first.

    Attributes:
        ready: Set once it has been ready for the first time.
        is_up: Whether its present process has been ready.
        restarts: Starts after the first one.
        child: Its present process; None before the first one and between two.
    """

    def __init__(
        self,
        name: str,
        start: StartChild,
        broker: Watch,
        health: HealthSection,
        clock: Clock,
        may_start: MayStart = _always,
    ) -> None:
        self.name = name
        self.ready = asyncio.Event()
        self.is_up = False
        self._may_start = may_start
        self._is_held = False
        self._down = asyncio.Event()
        self.restarts = 0
        self.child: Child | None = None
        self._start = start
        self._broker = broker
        self._health = health
        self._clock = clock
        self._policy = RestartPolicy(health, clock)
        self._news = asyncio.Event()
        self._ending = asyncio.Event()
        self._ended = asyncio.Event()
        self._last_loss: _Loss | None = None
        self._shortage = ""

    def look(self) -> None:
        """Something about the node has changed: look at once, not with the next tick."""
        self._news.set()

    @property
    def state_text(self) -> str:
        """What keeps it from being ready, for people."""
        if self._shortage:
            return f"its process cannot be started: {self._shortage}"
        if self._last_loss is not None:
            return f"it was lost before: {self._last_loss.text}"
        return "its process has not said hello" if self._state() is None else "it said hello and is getting ready"

    async def run(self) -> None:
        """Keep the node alive until `end` was called and it has ended.

        Raises:
            ConfigError: It refused its settings before it was ready for the first time.
            SsaStreamError: It failed before it was ready for the first time, or was lost too often.
            TransportError: Its process cannot be started.
        """
        incarnation = 0
        try:
            while not self._ending.is_set():
                loss = await self._one_life(incarnation)
                if loss is None or self._ending.is_set():
                    return
                await self._take_loss(loss, incarnation)
                await self._until_it_may_start(incarnation)
                incarnation += 1
                self.restarts = incarnation
        finally:
            self._ended.set()
            self._down.set()

    @property
    def has_ended(self) -> bool:
        """Whether it keeps nothing alive any more."""
        return self._ended.is_set()

    async def end(self, timeout_s: float) -> None:
        """Ask the node to end, once, and wait that long for it."""
        if not self._ending.is_set():
            self._ending.set()
            self.look()
            if self.child is not None:
                self.child.signal(signal.SIGTERM)
        await wait_for_event(self._ended, timeout_s)

    async def hold(self, timeout_s: float) -> None:
        """End its process in order, or after that time, and start none before `release`. It does not count as lost."""
        self._is_held = True
        if self.child is not None:
            self.child.signal(signal.SIGTERM)
        if not await wait_for_event(self._down, timeout_s):
            self.kill()
            await self._down.wait()

    def release(self) -> None:
        """Go on after `hold`."""
        self._is_held = False
        self.look()

    def kill(self) -> None:
        """End the process now. Unless `end` was called, the node counts as lost."""
        if self.child is not None:
            self.child.signal(signal.SIGKILL)

    async def _one_life(self, incarnation: int) -> _Loss | None:
        """From the start of a process to its end; None if it was not started and shall not be."""
        self._down.clear()
        child = self.child = await self._start_process(incarnation)
        if child is None:
            return None
        if self._ending.is_set() or self._is_held:
            child.signal(signal.SIGTERM)
        try:
            return await self._watch(child)
        finally:
            self.child, self.is_up = None, False
            await child.close()
            self._down.set()

    async def _start_process(self, incarnation: int) -> Child | None:
        """Start a process as soon as that is possible: once it could be, what prevents it now may pass.

        Raises:
            TransportError: It cannot be started for the first time, for another reason than a lack of descriptors.
        """
        while True:
            try:
                child = await self._start(self.name, incarnation)
            except OSError as error:
                if self._ending.is_set():
                    return None
                if not (is_shortage(error) or self.ready.is_set()):
                    raise TransportError(f"cannot start a process for {self.name}: {error}") from error
                self._shortage = str(error)
                self._broker.put_off(self.name, self._shortage)
                await wait_for_event(self._ending, _SHORTAGE_PAUSE_S)
            else:
                self._shortage = ""
                return child

    async def _watch(self, child: Child) -> _Loss:
        started_ns, is_ready = self._clock.monotonic_ns(), False
        exited = asyncio.create_task(child.wait(), name=f"exit of {self.name}")
        exited.add_done_callback(lambda _: self.look())
        try:
            while True:
                await wait_for_event(self._news, self._health.heartbeat_s)
                self._news.clear()
                if exited.done():
                    return _Loss("exited", str(exited.result()), exited.result())
                state = self._state(child.incarnation)
                if state is not None and state.ready and not is_ready:
                    is_ready = self.is_up = True
                    await self._on_ready()
                age_s = (self._clock.monotonic_ns() - started_ns) * _NS
                hangs = self._why_it_hangs(state, is_ready, age_s)
                if hangs and not self._ending.is_set():
                    child.signal(signal.SIGKILL)
                    return _Loss("hung", hangs, await exited)
        finally:
            exited.cancel()
            await asyncio.wait([exited])

    def _state(self, incarnation: int | None = None) -> NodeState | None:
        state = self._broker.node_states().get(self.name)
        return state if state is None or incarnation in (None, state.incarnation) else None

    async def _on_ready(self) -> None:
        self.ready.set()
        loss, self._last_loss = self._last_loss, None
        if loss is not None:
            _log.info("restarted", node=self.name, restarts=self.restarts)
            await self._broker.recover(self.name, loss.reason, loss.text)

    def _why_it_hangs(self, state: NodeState | None, is_ready: bool, age_s: float) -> str:
        """Empty if it does not. Until it is ready only the time since its start counts: loading weights is long."""
        health = self._health
        if not is_ready:
            # Of the first start the whole graph waits for all nodes together, and names those that are missing.
            if self.ready.is_set() and age_s > health.start_timeout_s:
                return f"not ready {health.start_timeout_s:g} s after its start (health.start_timeout_s)"
        elif state is None or state.silent_s > health.heartbeat_timeout_s:
            return f"no sign of life for more than {health.heartbeat_timeout_s:g} s (health.heartbeat_timeout_s)"
        elif state.step_age_s is not None and state.step_age_s > health.hang_timeout_s:
            return f"at one step for more than {health.hang_timeout_s:g} s (health.hang_timeout_s)"
        return ""

    async def _take_loss(self, loss: _Loss, incarnation: int) -> None:
        """Tell the broker, and wait for the time of the next start.

        Raises:
            SsaStreamError: There shall be no next start.
        """
        if self._is_held:
            self._last_loss = _Loss(_RELOAD, "it takes other weights", loss.exit)
            await self._broker.node_held(self.name, incarnation, "started again, with other weights", is_wrong=False)
            return
        if loss.reason == "exited" and loss.exit.code == _OTHER_WEIGHTS:  # the file was replaced just now
            _log.warning("not started", node=self.name, text=loss.text)
            self._last_loss = self._last_loss or loss
            await self._broker.node_held(self.name, incarnation, loss.exit.last_words, is_wrong=False)
            await wait_for_event(self._ending, self._health.backoff_s)
            return
        _log.warning("lost", node=self.name, reason=loss.reason, text=loss.text)
        if not self.ready.is_set() and loss.reason == "exited" and loss.exit.is_own_verdict:
            kind = ConfigError if loss.exit.code == _WRONG_SETUP else SsaStreamError
            raise kind(f"{self.name} did not start: {loss.exit.last_words or loss.text}")
        await self._broker.node_lost(self.name, incarnation, loss.reason, loss.text)
        self._last_loss = loss
        pause_s = self._policy.pause_after_loss()
        if pause_s is None:
            raise SsaStreamError(
                f"{self.name} was lost {self._policy.recent_losses} times within {self._health.restart_window_s:g} s, "
                f"more than health.max_restarts ({self._health.max_restarts}) allows; last: {loss.text}"
            )
        await wait_for_event(self._ending, pause_s)

    async def _until_it_may_start(self, incarnation: int) -> None:
        """Wait while it is held, or would begin with what the others do not have; the latter is told once."""
        told = False
        while not self._ending.is_set():
            problem = "" if self._is_held else await self._may_start()
            if not (problem or self._is_held):
                return
            if problem and not told:
                told = True
                _log.error("not started", node=self.name, text=problem)
                await self._broker.node_held(self.name, incarnation, problem, is_wrong=True)
            await wait_for_event(self._ending, self._health.heartbeat_s)
