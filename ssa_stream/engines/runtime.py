"""What an engine's library has to offer: graphs loaded from files and run on arrays."""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

__all__ = ["LoadedGraph", "Runtime", "processor_id"]

Array = NDArray[Any]


class LoadedGraph(Protocol):
    """A graph that is ready to run. Threads may call it at once."""

    @property
    def output_shapes(self) -> list[tuple[int, ...]]:
        """Of the outputs, where it was loaded for one shape of its inputs."""

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Run it.

        Args:
            inputs: Contiguous, in the order of the graph's inputs; not written to.
        Returns:
            In the order of the graph's outputs, each the caller's own.
        """


class Runtime(Protocol):
    """A library that runs graphs."""

    @property
    def name(self) -> str:
        """As in `ENGINES`."""

    @property
    def version(self) -> str:
        """Of the library."""

    @property
    def fixed_shapes(self) -> bool:
        """Whether it is to be given graphs for one shape each, because these are faster."""

    def load(
        self,
        path: Path,
        shapes: Mapping[str, tuple[int, ...]] | None,
        *,
        reduced: bool,
        threads: int,
        kept: Path | None,
    ) -> LoadedGraph:
        """Make a graph ready.

        Args:
            path: An ONNX file.
            shapes: Of the inputs, by name; None leaves their free axes free.
            reduced: Whether it may compute in bfloat16.
            threads: Of the processor.
            kept: Folder where it may keep what it made; None keeps nothing.
        Raises:
            Exception: The library cannot; each has errors of its own.
        """


def processor_id() -> str:
    """A short name for this kind of processor: what was proven on one is not on another."""
    lines = [platform.machine()]
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() in ("model name", "flags", "Features", "CPU part"):
                    lines.append(value.strip())
                if not line.strip():
                    break  # the first processor is as the others
    except OSError:
        lines.append(platform.processor())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
