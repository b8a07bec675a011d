"""Stages as graphs: found or made, proven, kept ready for the shapes that come, and run."""

import copy
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ssa_stream.engines.cache import EngineCache, KeptStage, Proof, fingerprint_of
from ssa_stream.engines.export import export_stage
from ssa_stream.engines.graphs import StageGraph, StageName, stage_graph
from ssa_stream.engines.program import GraphStep, OperatorStep, Program, cut
from ssa_stream.engines.proof import deviations, tolerance, trial_inputs
from ssa_stream.engines.runtime import Array, LoadedGraph, Runtime, processor_id
from ssa_stream.model import SSA

__all__ = ["StageRunner", "Variant"]

MOST_SIZES = 4
MOST_ROWS = 4
"""More rows than this, as when a prompt is replayed, are run by torch: they are rare, and each number has its graph."""
_MOST_READY = 32


class Variant(NamedTuple):
    """A stage for one shape of its inputs.

    Attributes:
        stage: Which.
        size: Height and width of the padded pictures; zeros for `window`.
        axes: Lengths of the free axes by name, sorted by name.
    """

    stage: StageName
    size: tuple[int, int]
    axes: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        axes = ", ".join(f"{name} {length}" for name, length in self.axes)
        return f"{self.stage} ({axes}{'' if self.stage == 'window' else f', pictures {self.size_words}'})"

    @property
    def size_words(self) -> str:
        """`800x448`."""
        return f"{self.size[1]}x{self.size[0]}"


class _Ready(NamedTuple):
    program: Program
    graphs: Mapping[str, LoadedGraph]


class StageRunner:
    """Runs stages by an engine's library.

    Args:
        network: What the graphs are made of; on the processor.
        runtime: The library.
        cache: Where graphs are kept.
        builds: Whether to make what is not there; else only what was built ahead is used.
        window: Frames of a full window; windows of other lengths are left to torch.
        say: Is told what is built, and what is left to torch.
    """

    def __init__(
        self,
        network: SSA,
        runtime: Runtime,
        cache: EngineCache,
        *,
        builds: bool,
        window: int,
        say: Callable[[str], None],
    ) -> None:
        self._network, self._runtime, self._cache = network, runtime, cache
        self._builds, self._window, self._say = builds, window, say
        self._ready: dict[Variant, _Ready | None] = {}
        self._used: dict[Variant, int] = {}
        self._uses = itertools.count()
        self._sizes: set[tuple[int, int]] = set()
        self._fingerprints: dict[StageName, str] = {}
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._unwritable: set[tuple[StageName, tuple[int, int]]] = set()

    def run(self, stage: StageName, size: tuple[int, int], inputs: Sequence[Tensor]) -> list[Tensor] | None:
        """Run a stage, if there is a graph for it; None leaves it to torch.

        Args:
            stage: Which.
            size: Height and width of the padded pictures.
            inputs: As of `graphs.stage_graph`.
        Returns:
            The outputs, of the network's type.
        """
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
            return None
        variant = Variant(stage, size, _axes(stage, inputs))
        ready = self._ready.get(variant)  # without the lock: while one is built, the others go on
        if ready is None:
            if variant not in self._ready:
                with self._lock:
                    ready = self._ready[variant] if variant in self._ready else self._make_ready(variant)
            if ready is None:
                return None
        self._used[variant] = next(self._uses)
        made = _run(ready, inputs)
        return [tensor.to(self._network.dtype) if tensor.is_floating_point() else tensor for tensor in made]

    def build(self, size: tuple[int, int], rows: int) -> bool:
        """Make everything for pictures of one size under `rows` prompts; whether all of it is proven.

        Raises:
            OSError: The cache cannot be written.
        """
        graphs: list[Variant] = [Variant("stem", size, (("frames", 1),))]
        graphs.append(Variant("condition", size, (("rows", rows),)))
        graphs.append(Variant("queries", size, (("rows", rows),)))
        graphs.append(Variant("window", (0, 0), (("rows", rows), ("time", self._window))))
        done = True
        for variant in graphs:
            with self._lock:
                if variant not in self._ready:
                    self._make_ready(variant, raises=True)
                done = done and self._ready[variant] is not None
        return done

    def has_any(self, stage: StageName = "queries") -> list[str]:
        """Sizes that a stage is built and proven for, with this library, processor and weights: `800x448`."""
        folder = self._cache.root / self._fingerprint(stage)
        key = self._proof_key("")
        found = []
        for path in sorted(folder.glob(f"{stage}*")):
            if any(proof.stem.startswith(key) for proof in (path / "proven").glob("*.json")):
                found.append(path.name.removeprefix(f"{stage}-"))
        return found

    def _make_ready(self, variant: Variant, *, raises: bool = False) -> _Ready | None:
        ready: _Ready | None = None
        if (reason := self._refusal(variant)) is None:
            try:
                ready = self._loaded(variant)
            except Exception as error:  # libraries and the exporter raise errors of their own; torch is there
                if raises and isinstance(error, OSError):
                    raise
                self._tell(
                    f"{self._runtime.name} does not run {variant} ({type(error).__name__}: {_first_line(error)}): "
                    f"torch runs it"
                )
        elif reason:
            self._tell(reason)
        if ready is not None and variant.stage != "window":
            self._sizes.add(variant.size)
        if len(self._ready) >= _MOST_READY:
            oldest = min(self._ready, key=lambda one: self._used.get(one, -1))
            del self._ready[oldest]
            self._used.pop(oldest, None)
        self._ready[variant] = ready
        return ready

    def _refusal(self, variant: Variant) -> str | None:
        """Why a variant is not even looked for: None if it is; empty if that is not worth a word."""
        axes = dict(variant.axes)
        if axes.get("time", self._window) != self._window:
            return ""
        if axes.get("rows", 1) > MOST_ROWS or axes.get("frames", 1) > MOST_ROWS:
            return ""
        if (variant.stage, variant.size) in self._unwritable:
            return ""
        is_new = variant.stage != "window" and variant.size not in self._sizes
        if is_new and len(self._sizes) >= MOST_SIZES:
            return (
                f"{self._runtime.name} runs pictures of {MOST_SIZES} sizes in one process; torch runs those of "
                f"{variant.size_words}"
            )
        return None

    def _loaded(self, variant: Variant) -> _Ready | None:
        """A variant, made and proven if it has to be; None if torch is to run it, which is said."""
        stage, size = variant.stage, variant.size
        fingerprint = self._fingerprint(stage)
        kept = self._cache.find(fingerprint, stage, size, whole=True)
        if not self._builds and (kept is None or kept.proof_of(self._proof_key(variant)) is None):
            if kept is None or not self._may_prove(kept):
                rows = dict(variant.axes).get("rows", 1)
                what = (
                    f"pictures of {variant.size_words} at the network" if kept is None else f"{rows} prompts at a time"
                )
                self._tell(
                    f"{self._runtime.name} is not built for {what}: torch runs these; to build it: "
                    f"ssa-stream engine build"
                )
                return None
        graph = stage_graph(self._network, stage, size)
        if kept is None:
            self._say(f"{self._runtime.name}: writing down {_named(variant)}, once for these weights")
            self._unwritable.add((stage, size))  # until it is: no other shape of it is to try again what failed
            program, models = cut(export_stage(self._float_graph(stage, size), keeps_operator=stage == "queries"))
            self._unwritable.remove((stage, size))
            kept = self._cache.keep(fingerprint, stage, size, self._network.config.name, (program, models))
            self._cache.drop_oldest(but=frozenset(self._fingerprints.values()), say=self._say)
        self._cache.touch(fingerprint)
        ready = self._load_graphs(kept, graph, variant, fingerprint)
        if kept.proof_of(self._proof_key(variant)) is None:
            self._say(f"{self._runtime.name}: comparing {variant} with torch")
            inputs, expected = trial_inputs(self._network, variant.stage, size, dict(variant.axes))
            found = deviations(_run(ready, inputs), expected, ready.program.outputs)
            limit = tolerance(stage, self._network.dtype)
            worst = max(found, key=lambda name: found[name])
            if not found[worst] <= limit:
                self._tell(
                    f"{self._runtime.name} is refused for {variant}: {worst} deviates by {found[worst]:.1e} of its "
                    f"rms, at most {limit:.0e} is allowed; torch runs it"
                )
                return None
            kept.keep_proof(self._proof_key(variant), Proof(found))
        return ready

    def _may_prove(self, kept: KeptStage) -> bool:
        """Whether something of a stage was built on another processor or by another version, but never here."""
        own = self._proof_key("")
        return bool(kept.proven()) and not any(key.startswith(own) for key in kept.proven())

    def _load_graphs(self, kept: KeptStage, graph: StageGraph, variant: Variant, fingerprint: str) -> _Ready:
        folder = self._cache.compiled_folder(fingerprint, f"{self._runtime.name}-{self._runtime.version}")
        # The window is little work, and OpenVINO's bfloat16 version of it gives other numbers.
        reduced = self._network.dtype == torch.bfloat16 and (
            variant.stage in ("stem", "condition")
            or (variant.stage == "queries" and getattr(self._network, "precision", "published") == "fast")
        )
        graphs: dict[str, LoadedGraph] = {}
        shapes = graph.shapes(dict(variant.axes))
        for step in kept.program.steps:
            if isinstance(step, OperatorStep):
                if self._runtime.fixed_shapes:
                    shapes[step.output] = shapes[step.inputs[0]]
                continue
            graphs[step.file] = self._runtime.load(
                kept.folder / step.file,
                {name: shapes[name] for name in step.inputs} if self._runtime.fixed_shapes else None,
                reduced=reduced,
                threads=torch.get_num_threads(),
                kept=folder,
            )
            if self._runtime.fixed_shapes:
                shapes |= zip(step.outputs, graphs[step.file].output_shapes, strict=True)
        return _Ready(kept.program, graphs)

    def _float_graph(self, stage: StageName, size: tuple[int, int]) -> StageGraph:
        """The stage to be written down: in float32, whatever the network is in."""
        shared = {
            id(one): nn.Parameter(one.detach(), requires_grad=False) for one in self._network.parameters()
        }  # the exporter fails on weights that have gradients; a copy of the modules has the same weights without them
        network = copy.deepcopy(self._network, shared)
        return stage_graph(network if network.dtype == torch.float32 else network.float(), stage, size)

    def _fingerprint(self, stage: StageName) -> str:
        if stage not in self._fingerprints:
            self._fingerprints[stage] = fingerprint_of(self._network, stage)
        return self._fingerprints[stage]

    def _proof_key(self, variant: Variant | str) -> str:
        kind = str(self._network.dtype).removeprefix("torch.")
        axes = variant if isinstance(variant, str) else "-".join(f"{name}{length}" for name, length in variant.axes)
        return f"{self._runtime.name}-{self._runtime.version}-{processor_id()}-{kind}-{axes}"

    def _tell(self, words: str) -> None:
        """Say something once."""
        if words not in self._told:
            self._told.add(words)
            self._say(words)


def _named(variant: Variant) -> str:
    return variant.stage if variant.stage == "window" else f"{variant.stage} for {variant.size_words}"


def _axes(stage: StageName, inputs: Sequence[Tensor]) -> tuple[tuple[str, int], ...]:
    rows = len(inputs[-1])
    if stage == "stem":
        return (("frames", len(inputs[0])),)
    if stage == "window":
        return (("rows", rows), ("time", inputs[0].shape[1]))
    return (("rows", rows),)


@torch.no_grad()
def _run(ready: _Ready, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Run a program."""
    program = ready.program
    values: dict[str, Array] = {name: _array(tensor) for name, tensor in zip(program.inputs, inputs, strict=True)}
    for step, dropped in zip(program.steps, program.last_uses(), strict=True):
        if isinstance(step, GraphStep):
            made = ready.graphs[step.file]([values[name] for name in step.inputs])
            values |= zip(step.outputs, made, strict=True)
        else:
            value, offsets, logits = (torch.from_numpy(values[name]) for name in step.inputs)
            mixed = torch.ops.ssa_stream.deformable_attention(value, offsets, logits, step.sizes, step.num_heads)
            values[step.output] = mixed.numpy()
        for name in dropped:
            del values[name]
    return [torch.from_numpy(values[name]) for name in program.outputs]


def _array(tensor: Tensor) -> Array:
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()
    array: Array = tensor.contiguous().numpy()
    return array


def _first_line(error: BaseException) -> str:
    while error.__cause__ is not None:  # what the exporter adds is advice
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else "without a word"
