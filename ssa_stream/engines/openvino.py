"""OpenVINO runs graphs on processors: for one shape each, with as many threads as torch has."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from ssa_stream.engines.runtime import Array, LoadedGraph

__all__ = ["OpenvinoRuntime"]


class OpenvinoRuntime:
    """See `Runtime`. With free axes OpenVINO fuses less, and computes some graphs wrongly."""

    name = "openvino"
    fixed_shapes = True

    def __init__(self) -> None:
        self._core = openvino.Core()

    @property
    def version(self) -> str:
        """Of the library, without its build."""
        return str(openvino.__version__).partition("-")[0]

    def load(
        self,
        path: Path,
        shapes: Mapping[str, tuple[int, ...]] | None,
        *,
        reduced: bool,
        threads: int,
        kept: Path | None,
    ) -> LoadedGraph:
        """See `Runtime`."""
        model = self._core.read_model(path)
        if shapes is not None:
            model.reshape({name: list(shape) for name, shape in shapes.items()})
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if reduced else "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # other processes and threads run on these cores
        }
        if kept is not None:
            # OpenVINO finds what it kept by the graph alone: a float32 graph would be answered with a bfloat16 one.
            settings["CACHE_DIR"] = str(kept / f"{settings['INFERENCE_PRECISION_HINT']}-{threads}")
        return _Graph(self._core.compile_model(model, "CPU", settings))


class _Graph:
    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._own = threading.local()

    @property
    def output_shapes(self) -> list[tuple[int, ...]]:
        """See `LoadedGraph`."""
        return [tuple(int(side) for side in output.shape) for output in self._compiled.outputs]

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._compiled.create_infer_request()
        made = request.infer(list(inputs), share_inputs=True, share_outputs=False)  # copies: the next call overwrites
        return [np.asarray(value) for value in made.to_tuple()]
