"""Which weights the nodes of a graph run with: all of them the same, whatever becomes of the file."""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from concurrent.futures import ThreadPoolExecutor

from ssa_stream.errors import CheckpointError, ConfigError, SsaStreamError
from ssa_stream.nodes.pipeline import ModelSection
from ssa_stream.nodes.runtime.weights import read_weights
from ssa_stream.weight_files import DEFAULT_CHECKPOINT, FileLook, WeightFile, look

__all__ = ["GraphWeights"]

_VERIFY_S = 600.0
_LAST_BYTES = 4000


class GraphWeights:
    """The weights that a graph began with, until it takes other ones as a whole. Imports no torch.

    Args:
        section: Where they come from.
    """

    def __init__(self, section: ModelSection) -> None:
        self._section = section
        self._thread = ThreadPoolExecutor(1, "weights")  # reading a file may take a second, or for ever
        self._taken: WeightFile | None = None
        self._seen: tuple[FileLook, str] | None = None  # how the file looked when it was read last

    @property
    def fingerprint(self) -> str | None:
        """Of the weights that nodes have to load; None before they are taken."""
        return None if self._taken is None else self._taken.fingerprint

    async def take(self) -> None:
        """Let the weights that are there now be those of the graph.

        Raises:
            ConfigError: No such model configuration.
            CheckpointError: The checkpoint cannot be read.
        """
        self._taken = await self._read()

    async def problem(self) -> str:
        """Why a node cannot be started now: the weights that it would load are other ones. Empty if it can."""
        if self._taken is None:
            return ""
        fingerprint, former = None, self._taken.fingerprint
        try:
            fingerprint = await self._fingerprint()
        except (CheckpointError, ConfigError) as error:
            what = str(error)
        else:
            what = f"{self._name} has other weights now ({fingerprint[:12]})"
        if fingerprint == former:
            return ""
        return (
            f"{what}; the graph runs with {former[:12]}: put that file back, or let all nodes take what is there: "
            f"ssa-stream reload"
        )

    async def verified(self) -> WeightFile:
        """The weights that are there now, once it is certain that the graph can go on with them.

        A process of its own loads them, so that it is known before a node is ended.

        Raises:
            SsaStreamError: They do not load, or are of another network.
        """
        assert self._taken is not None, "nodes run, so weights were taken"
        if self._section.random_weights:
            raise SsaStreamError(
                "this graph runs with random weights, which are the same at every start; start it with a checkpoint"
            )
        found = await self._read()
        if found.fingerprint == self._taken.fingerprint:
            return found
        await self._try_to_load(found.fingerprint)
        if not _is_same_network(found.network, self._taken.network):
            raise SsaStreamError(
                f"{self._name} holds another network than the graph runs; expected other weights of the same one. End "
                f"the graph and start it again to use it"
            )
        return found

    def close(self) -> None:
        """Wait for what is being read, and read nothing more. May be called again."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def adopt(self, weights: WeightFile) -> None:
        """Let verified weights be those of the graph."""
        self._taken = weights

    @property
    def _name(self) -> str:
        return str(self._section.checkpoint or DEFAULT_CHECKPOINT)

    async def _read(self) -> WeightFile:
        return await asyncio.wrap_future(self._thread.submit(read_weights, self._section))

    async def _fingerprint(self) -> str:
        """Of the file as it is now, read again only if it looks different; it is asked for often."""
        if self._section.random_weights:
            return (await self._read()).fingerprint
        seen = await asyncio.wrap_future(self._thread.submit(look, self._name))
        if self._seen is None or self._seen[0] != seen:
            self._seen = seen, (await self._read()).fingerprint
        return self._seen[1]

    async def _try_to_load(self, fingerprint: str) -> None:
        """Load the file in a process that ends then.

        Raises:
            SsaStreamError: It does not load.
        """
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "ssa_stream.nodes.runtime.weights", self._name, fingerprint),
            stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(_VERIFY_S):
                _, words = await process.communicate()
        except TimeoutError:
            raise SsaStreamError(f"{self._name} was not loaded within {_VERIFY_S:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            text = words[-_LAST_BYTES:].decode(errors="replace").strip()
            raise SsaStreamError(f"the weights are not taken: {text or f'exit code {process.returncode}'}")


def _is_same_network(one: str, other: str) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return one == other
