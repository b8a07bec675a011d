"""A supervisor starts, watches, restarts and ends one node; processes and broker are played here."""

import asyncio
import errno
import os
import signal
from collections.abc import Callable
from typing import cast

import pytest

from ssa_stream.errors import ConfigError, SsaStreamError, TransportError
from ssa_stream.nodes.broker import NodeState
from ssa_stream.nodes.launcher.child import Child, Exit
from ssa_stream.nodes.launcher.placement import in_order_of_work
from ssa_stream.nodes.launcher.supervisor import Supervisor
from ssa_stream.nodes.pipeline import HealthSection
from ssa_stream.nodes.runtime.clock import MonotonicClock

_HEALTH = HealthSection(heartbeat_s=0.01, heartbeat_timeout_s=0.5, hang_timeout_s=5.0, backoff_s=0.0, max_restarts=2)


class _Child:
    """A process that ends when it is told how, or by a signal."""

    def __init__(self, incarnation: int) -> None:
        self.incarnation = incarnation
        self.ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self.heeds_sigterm = True

    def end(self, code: int, words: str = "") -> None:
        if not self.ended.done():
            self.ended.set_result(Exit(code, words))

    async def wait(self) -> Exit:
        return await asyncio.shield(self.ended)

    def signal(self, number: signal.Signals) -> None:
        if number == signal.SIGKILL or self.heeds_sigterm:
            self.end(-number if number == signal.SIGKILL else 0)

    async def close(self) -> None:
        self.end(-signal.SIGKILL)


class _World:
    """What a supervisor works with: starts of processes, and the broker."""

    def __init__(self) -> None:
        self.children: list[_Child] = []
        self.told: list[tuple[str, str, str]] = []
        self.state: NodeState | None = None
        self.problem = ""
        self.shortages = 0
        self.lacks = errno.EMFILE

    async def start(self, name: str, incarnation: int) -> Child:
        if self.shortages:
            self.shortages -= 1
            raise OSError(self.lacks, os.strerror(self.lacks))
        self.children.append(_Child(incarnation))
        self.state = None
        return cast(Child, self.children[-1])

    def node_states(self) -> dict[str, NodeState]:
        return {} if self.state is None else {"encoder-0": self.state}

    async def node_lost(self, name: str, incarnation: int, reason: str, text: str = "") -> None:
        self.told.append(("lost", reason, text))

    async def node_held(self, name: str, incarnation: int, text: str, *, is_wrong: bool) -> None:
        self.told.append(("wrong" if is_wrong else "held", str(incarnation), text))

    async def may_start(self) -> str:
        return self.problem

    async def recover(self, about_node: str, reason: str, text: str = "") -> None:
        self.told.append(("recover", reason, text))

    def put_off(self, name: str, why: str) -> None:
        self.told.append(("put off", name, why))

    def supervisor(self, health: HealthSection = _HEALTH) -> Supervisor:
        return Supervisor("encoder-0", self.start, self, health, MonotonicClock(), self.may_start)

    async def child(self, number: int) -> _Child:
        """The process of that start."""
        await _until(lambda: len(self.children) > number)
        return self.children[number]

    def say(self, supervisor: Supervisor, *, silent_s: float = 0.0, step_age_s: float | None = None) -> None:
        """The present process says that it is ready."""
        self.state = NodeState(
            name="encoder-0",
            role="encoder",
            incarnation=self.children[-1].incarnation,
            ready=True,
            silent_s=silent_s,
            step_age_s=step_age_s,
        )
        supervisor.look()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0)


async def test_node_that_ends_is_started_again_and_recovered_once_it_is_ready() -> None:
    """The broker hears of the loss at once, and of the return when the node takes work."""
    world = _World()
    supervisor = world.supervisor()
    task = asyncio.create_task(supervisor.run())
    first = await world.child(0)
    world.say(supervisor)
    await _until(supervisor.ready.is_set)
    first.end(7, "out of luck")
    second = await world.child(1)
    assert (second.incarnation, supervisor.restarts) == (1, 1)
    assert world.told == [("lost", "exited", "exit code 7: out of luck")]
    world.say(supervisor)
    await _until(lambda: len(world.told) == 2)
    assert world.told[1] == ("recover", "exited", "exit code 7: out of luck")
    await supervisor.end(5)
    await task


@pytest.mark.parametrize(
    ("silent_s", "step_age_s", "words"), [(0.6, None, "no sign of life"), (0.0, 5.1, "at one step for more than 5 s")]
)
async def test_node_that_hangs_is_killed_and_started_again(
    silent_s: float, step_age_s: float | None, words: str
) -> None:
    """Silence and an endless step both count."""
    world = _World()
    supervisor = world.supervisor()
    task = asyncio.create_task(supervisor.run())
    first = await world.child(0)
    first.heeds_sigterm = False
    world.say(supervisor)
    await _until(supervisor.ready.is_set)
    world.say(supervisor, silent_s=silent_s, step_age_s=step_age_s)
    await world.child(1)
    assert first.ended.result().code == -signal.SIGKILL
    ((_, reason, text),) = world.told
    assert (reason, text.startswith(words)) == ("hung", True)
    await supervisor.end(5)
    await task


@pytest.mark.parametrize(("code", "kind"), [(2, ConfigError), (1, SsaStreamError)])
async def test_verdict_before_the_first_readiness_is_final(code: int, kind: type[Exception]) -> None:
    """A node that refuses its settings refuses them again."""
    world = _World()
    task = asyncio.create_task(world.supervisor().run())
    (await world.child(0)).end(code, "model.device is 'cuda'")
    with pytest.raises(kind, match=r"encoder-0 did not start: model.device is 'cuda'"):
        await task
    assert len(world.children) == 1


async def test_verdict_of_a_restarted_node_is_a_loss_like_others() -> None:
    """It has run with these settings before."""
    world = _World()
    supervisor = world.supervisor()
    task = asyncio.create_task(supervisor.run())
    first = await world.child(0)
    world.say(supervisor)
    await _until(supervisor.ready.is_set)
    first.end(-11)
    (await world.child(1)).end(1, "no memory")
    await world.child(2)
    await supervisor.end(5)
    await task
    assert [text for _, _, text in world.told] == ["ended by SIGSEGV", "exit code 1: no memory"]


async def test_too_many_losses_end_it_with_the_last_reason() -> None:
    """The error names node, count, window and limit."""
    world = _World()
    task = asyncio.create_task(world.supervisor().run())
    for number in range(3):
        (await world.child(number)).end(-9)
    with pytest.raises(SsaStreamError, match=r"encoder-0 was lost 3 times within 60 s.*\(2\).*last: ended by SIGKILL"):
        await task


async def test_end_during_a_pause_starts_nothing_more() -> None:
    """A graph that is stopped does not wait for a restart."""
    world = _World()
    supervisor = world.supervisor(HealthSection(backoff_s=60.0, backoff_max_s=60.0))
    task = asyncio.create_task(supervisor.run())
    (await world.child(0)).end(-9)
    await _until(lambda: bool(world.told))
    await supervisor.end(5)
    await task
    assert len(world.children) == 1


async def test_end_waits_no_longer_than_told_and_kill_ends_it() -> None:
    """A node that does not heed a request is killed by whoever asked."""
    world = _World()
    supervisor = world.supervisor()
    task = asyncio.create_task(supervisor.run())
    child = await world.child(0)
    child.heeds_sigterm = False
    await supervisor.end(0.01)
    assert not task.done()
    supervisor.kill()
    await task
    assert world.told == []


async def test_node_that_would_have_other_weights_waits_and_is_told_once() -> None:
    """It is no loss for that; it is started when the weights are those of the graph again."""
    world = _World()
    supervisor = world.supervisor()
    task = asyncio.create_task(supervisor.run())
    first = await world.child(0)
    world.say(supervisor)
    await _until(supervisor.ready.is_set)
    world.problem = "the weights are other ones"
    first.end(-9)
    await _until(lambda: len(world.told) == 2)
    for _ in range(10):
        await asyncio.sleep(_HEALTH.heartbeat_s)
    assert world.told[1:] == [("wrong", "0", "the weights are other ones")]
    assert len(world.children) == 1
    world.problem = ""
    await world.child(1)
    await supervisor.end(5)
    await task


async def test_node_that_refuses_weights_is_not_lost_however_often() -> None:
    """The file was replaced between the look at it and its loading; `max_restarts` is 2 here."""
    world = _World()
    supervisor = world.supervisor()
    task = asyncio.create_task(supervisor.run())
    for number in range(5):
        (await world.child(number)).end(3, "the weights are other ones")
    await world.child(5)
    await supervisor.end(5)
    await task
    assert {kind for kind, _, _ in world.told} == {"held"}


async def test_held_node_ends_in_order_and_starts_when_it_is_released() -> None:
    """Neither a loss nor a reason to pause; its streams go on in a new epoch."""
    world = _World()
    supervisor = world.supervisor(HealthSection(heartbeat_s=0.01, backoff_s=60.0, backoff_max_s=60.0))
    task = asyncio.create_task(supervisor.run())
    first = await world.child(0)
    world.say(supervisor)
    await _until(lambda: supervisor.is_up)
    await supervisor.hold(5)
    assert first.ended.result().code == 0
    assert not supervisor.is_up
    await _until(lambda: len(world.told) == 1)
    supervisor.release()
    await world.child(1)
    world.say(supervisor)
    await _until(lambda: supervisor.is_up)
    assert [told[:2] for told in world.told] == [("held", "0"), ("recover", "reload")]
    await supervisor.end(5)
    await task


async def test_held_node_that_does_not_heed_is_killed() -> None:
    """A reload takes no longer than its limits."""
    world = _World()
    supervisor = world.supervisor()
    task = asyncio.create_task(supervisor.run())
    first = await world.child(0)
    first.heeds_sigterm = False
    await supervisor.hold(0.01)
    assert first.ended.result().code == -signal.SIGKILL
    await supervisor.end(5)
    await task


async def test_program_that_cannot_be_started_is_an_error() -> None:
    """Nothing is tried again that the system refuses."""

    async def start(name: str, incarnation: int) -> Child:
        raise FileNotFoundError(2, "No such file or directory", "python")

    supervisor = Supervisor("encoder-0", start, _World(), _HEALTH, MonotonicClock())
    with pytest.raises(TransportError, match=r"cannot start a process for encoder-0: .*No such file"):
        await supervisor.run()


def test_order_of_work_is_that_of_the_path() -> None:
    """Sources end first, and what writes results last."""
    names = ["masks-0", "decoder-0", "queries-0", "encoder-0", "encoder-1", "ingest-a", "ingest-b"]
    assert list(in_order_of_work(names)) == [
        ["ingest-a", "ingest-b"],
        ["encoder-0", "encoder-1"],
        ["queries-0"],
        ["decoder-0"],
        ["masks-0"],
    ]


@pytest.mark.parametrize("lacks", [errno.EMFILE, errno.ENOSPC, errno.EAGAIN])
async def test_node_is_started_again_once_there_are_descriptors_or_room_for_it(lacks: int) -> None:
    """A lack of them is told, is no loss of the node, and does not end the graph."""
    world = _World()
    world.lacks = lacks
    supervisor = world.supervisor()
    task = asyncio.create_task(supervisor.run())
    first = await world.child(0)
    world.say(supervisor)
    await _until(supervisor.ready.is_set)
    world.shortages = 1
    first.end(7)
    await _until(lambda: len(world.told) == 2)
    assert "cannot be started" in supervisor.state_text
    await world.child(1)
    assert [kind for kind, *_ in world.told] == ["lost", "put off"]
    assert supervisor.restarts == 1
    await supervisor.end(5)
    await task


async def test_graph_can_be_ended_while_a_node_cannot_be_started() -> None:
    """That is no failure."""
    world = _World()
    world.shortages = 1_000_000
    supervisor = world.supervisor()
    task = asyncio.create_task(supervisor.run())
    await _until(lambda: bool(world.told))
    await supervisor.end(5)
    await task
    assert world.children == []
