"""ONNX Runtime runs graphs: on the processor, or through its providers for GPUs where its build has them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from ssa_stream.engines.runtime import Array, LoadedGraph
from ssa_stream.errors import ConfigError

__all__ = ["OnnxRuntime"]

_CPU = "CPUExecutionProvider"
_SUFFIX = "ExecutionProvider"
_ERRORS_ONLY = 3


class OnnxRuntime:
    """See `Runtime`.

    Args:
        provider: Which of ONNX Runtime's execution providers, such as `CUDA` or `TensorrtExecutionProvider`; None is
            the processor, which also does what another one cannot. Tensors come from the memory of the host and go
            there.
    Raises:
        ConfigError: This build of ONNX Runtime does not have the provider.
    """

    name = "onnxruntime"
    fixed_shapes = False

    def __init__(self, provider: str | None = None) -> None:
        provider = f"{(provider or _CPU).removesuffix(_SUFFIX)}{_SUFFIX}"
        there = onnxruntime.get_available_providers()
        if provider not in there:
            raise ConfigError(
                f"ONNX Runtime {onnxruntime.__version__} has no {provider} here, only {', '.join(there)}; install a "
                f"build that has it (onnxruntime-gpu for NVIDIA's GPUs), or choose another engine"
            )
        self._providers = list(dict.fromkeys((provider, _CPU)))

    @property
    def version(self) -> str:
        """Of the library, and the provider where that is not the processor."""
        own = str(onnxruntime.__version__)
        provider = self._providers[0]
        return own if provider == _CPU else f"{own}-{provider.removesuffix(_SUFFIX).lower()}"

    def load(
        self,
        path: Path,
        shapes: Mapping[str, tuple[int, ...]] | None,
        *,
        reduced: bool,
        threads: int,
        kept: Path | None,
    ) -> LoadedGraph:
        """See `Runtime`. All axes stay free, it computes in float32, and keeps nothing."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Other programs, and the operator between two graphs, want the cores while this one has nothing to do.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = _ERRORS_ONLY
        return _Graph(onnxruntime.InferenceSession(str(path), options, providers=self._providers))


class _Graph:
    def __init__(self, session: Any) -> None:
        self._session = session
        self._inputs = [one.name for one in session.get_inputs()]
        self._outputs = [one.name for one in session.get_outputs()]

    @property
    def output_shapes(self) -> list[tuple[int, ...]]:
        """None: any."""
        return []

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        made: list[Array] = self._session.run(self._outputs, dict(zip(self._inputs, inputs, strict=True)))
        return made
