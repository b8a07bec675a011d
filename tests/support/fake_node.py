"""A node that does no work but behaves as it is told: `fake_node.py NAME INCARNATION RUN_DIR BEHAVIOUR`.

It speaks to the broker as real nodes do. Behaviours:

    work       gets ready and ends when asked
    ended      likewise; an ingest node whose source has ended
    refuse     ends with exit code 2 and an error before it says hello
    fail       likewise with exit code 1
    crash      gets ready and ends with exit code 7
    silent     never says hello
    busy       gets ready, and never ends its first step
    stubborn   gets ready and cannot be asked to end
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

import zmq.asyncio

from ssa_stream.nodes.pipeline import role_of, stream_of
from ssa_stream.nodes.runtime.broker_link import BrokerLink, LinkTimes
from ssa_stream.nodes.runtime.clock import MonotonicClock
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.signals import end_with_parent
from ssa_stream.protocols import SourceState


async def main(name: str, incarnation: int, run_dir: Path, behaviour: str) -> int:
    """Behave."""
    if behaviour in ("refuse", "fail"):
        print(f"{name}: cannot read the weights", file=sys.stderr)
        return 2 if behaviour == "refuse" else 1
    parent = end_with_parent()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, (lambda: None) if behaviour == "stubborn" else stop.set)
    if behaviour == "silent":
        await stop.wait()
        return 0
    clock, context = MonotonicClock(), zmq.asyncio.Context()
    metrics = NodeMetrics(name, role_of(name), incarnation, clock)
    link = BrokerLink(
        context,
        f"ipc://{run_dir}/control.sock",
        metrics,
        name=name,
        role=role_of(name),
        incarnation=incarnation,
        clock=clock,
        stop=stop,
        times=LinkTimes(heartbeat_s=0.05, heartbeat_timeout_s=1.0),
        broker_lives=parent.lives,
    )
    async with link:
        if behaviour == "busy":
            metrics.work_began()
        link.mark_ready()
        if behaviour == "ended":
            link.publish(
                SourceState(
                    stream=stream_of(name),
                    status="ended",
                    epoch=0,
                    at_ns=clock.monotonic_ns(),
                    clock=clock.name,
                    live=False,
                    flow="every_frame",
                )
            )
        if behaviour == "crash":
            await asyncio.sleep(0.1)  # the heartbeat that says that it is ready has to leave
            print("out of luck", file=sys.stderr, flush=True)
            os._exit(7)
        await stop.wait()
    context.destroy(linger=0)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])))
