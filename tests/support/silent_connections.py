"""Strangers that connect and say nothing, in a process of their own; one that is closed comes again."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

__all__ = ["silent_connections"]

_PROGRAM = r"""
import resource, select, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
count, ports = int(sys.argv[1]), [int(port) for port in sys.argv[2:]]
held, tries = {}, 0
while True:
    for port in ports:
        for _ in range(count - sum(p == port for _, p in held.values())):
            try:
                one = socket.create_connection(("127.0.0.1", port), timeout=1.0)
            except OSError:
                break
            held[one.fileno()] = one, port
            tries += 1
    if count:
        print(tries, flush=True)
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    for number in held:
        poll.register(number, select.POLLIN | select.POLLHUP)
    ended = poll.poll(100)
    if any(number == 0 for number, _ in ended):
        break
    for number, _ in ended:
        held.pop(number)[0].close()
    if ended:
        select.select([], [], [], 0.1)
"""


@asynccontextmanager
async def silent_connections(addresses: Sequence[str], count: int) -> AsyncIterator[None]:
    """So many connections to each address, from when all have been tried once until the end of the body.

    Args:
        addresses: `tcp://HOST:PORT` each, on this machine.
        count: To each.
    """
    ports = [address.rpartition(":")[2] for address in addresses]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, str(count), *ports, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    drain = None
    try:
        async with asyncio.timeout(60):
            assert await process.stdout.readline(), "the strangers did not come"
        drain = asyncio.create_task(process.stdout.read())
        yield
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(20):
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            if drain is not None:
                await asyncio.wait([drain])
