"""Stages as graphs: found or made, proven, kept ready for the shapes that come, and run."""

import copy
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ssa_stream.cores import usable_cores
from ssa_stream.engines.cache import CACHE_VARIABLE, EngineCache, KeptStage, Proof, fingerprint_of
from ssa_stream.engines.export import export_stage
from ssa_stream.engines.graphs import STAGES, StageGraph, StageName, stage_graph, weights_of
from ssa_stream.engines.program import GraphStep, OperatorStep, Program, cut
from ssa_stream.engines.proof import deviations, tolerance, trial_inputs
from ssa_stream.engines.runtime import Array, LoadedGraph, Runtime, processor_id
from ssa_stream.model import SSA
from ssa_stream.model.precision import default_precision

__all__ = ["FULL_WINDOW", "StageRunner", "Variant", "build_command"]

FULL_WINDOW = 8
"""Frames of a window unless a session asks for another number."""
MOST_SIZES = 4
MOST_ROWS = 4
"""More rows than this, as when a prompt is replayed, are run by torch: they are rare, and each number has its graph."""
_MOST_READY = 32
_AXES: Mapping[StageName, tuple[str, ...]] = {
    "stem": ("frames",),
    "condition": ("rows",),
    "queries": ("rows",),
    "window": ("rows", "time"),
}
_TELLING: tuple[StageName, ...] = ("queries", "condition", "window")
"""Stages that say which sizes are built: the first one that a network has."""


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
        what = [f"{name} {length}" for name, length in self.axes]
        what += [] if self.stage == "window" else [f"pictures {self.size_words}"]
        return f"{self.stage} ({', '.join(what)})" if what else self.stage

    @property
    def folder_name(self) -> str:
        """`queries-800x448-rows2`."""
        sizes = [] if self.stage == "window" else [self.size_words]
        return "-".join([self.stage, *sizes, *(f"{name}{length}" for name, length in self.axes)])

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
        in_pieces: Whether many rows are run in pieces of `MOST_ROWS`, as a whole clip has; else torch runs them.
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
        in_pieces: bool = False,
    ) -> None:
        self._network, self._runtime, self._cache = network, runtime, cache
        self._builds, self._window, self._say, self._in_pieces = builds, window, say, in_pieces
        self._ready: dict[Variant, _Ready | None] = {}
        self._used: dict[Variant, int] = {}
        self._uses = itertools.count()
        self._sizes: set[tuple[int, int]] = set()
        self._fingerprints: dict[StageName, str] = {}
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._unwritable: set[tuple[StageName, tuple[int, int]]] = set()
        self._unkept: OSError | None = None

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
        if self._in_pieces and self._runtime.fixed_shapes and stage != "window" and len(inputs[-1]) > MOST_ROWS:
            parts = [self.run(stage, size, piece) for piece in _pieces(inputs)]
            there = [part for part in parts if part is not None]
            return [torch.cat(rows) for rows in zip(*there, strict=True)] if len(there) == len(parts) else None
        variant = Variant(stage, size, self._free_axes(stage, inputs))
        ready = self._ready.get(variant)  # without the lock: while one is built, the others go on
        if ready is None:
            if variant not in self._ready:
                with self._lock:
                    ready = self._ready[variant] if variant in self._ready else self._make_ready(variant)
            if ready is None:
                return None
        self._used[variant] = next(self._uses)
        try:
            made = _run(ready, inputs)
        except Exception as error:  # libraries raise errors of their own; torch is there
            self._ready[variant] = None
            self._tell(f"{self._runtime.name} failed at {variant} ({_words_of(error)}): torch runs it from now on")
            return None
        return [tensor.to(self._network.dtype) if tensor.is_floating_point() else tensor for tensor in made]

    def build(self, size: tuple[int, int], rows: int) -> bool:
        """Make everything for pictures of one size under `rows` prompts; whether all of it is proven.

        Raises:
            OSError: The cache cannot be written.
        """
        axes = {"frames": rows, "rows": rows, "time": self._window}  # frames: of several streams together
        graphs = [Variant(stage, (0, 0) if stage == "window" else size, self._lengths(stage, axes)) for stage in STAGES]
        done = True
        for variant in graphs:
            with self._lock:
                if variant not in self._ready:
                    self._make_ready(variant, raises=True)
                done = done and self._ready[variant] is not None
        return done

    def has_any(self) -> list[str]:
        """Sizes that are built and proven, with this library, processor and weights: `800x448`.

        Of a network that is a part of one, another stage is looked for; without any nothing is found.
        """
        stage = next((one for one in _TELLING if weights_of(self._network, one)), None)
        if stage is None:
            return []
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
                if error is self._unkept:
                    self._tell(
                        f"engines cannot be kept in {self._cache.root} ({error.strerror or error}): torch runs what "
                        f"was not built; name another folder with {CACHE_VARIABLE}"
                    )
                else:
                    self._tell(f"{self._runtime.name} does not run {variant} ({_words_of(error)}): torch runs it")
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
        axes = dict(variant.axes)  # none where a graph takes any length
        if axes.get("time", self._window) != self._window:
            return ""
        if axes.get("rows", 1) > MOST_ROWS or axes.get("frames", 1) > MOST_ROWS:
            # Earlier frames of a new prompt come as many, too, but not in a full window.
            many = f"{self._runtime.name} runs at most {MOST_ROWS} prompts at once: torch runs frames with more"
            return many if variant.stage == "window" else ""
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
                count = "frames" if stage == "stem" else "rows"
                rows = dict(variant.axes).get(count, 1)
                what = f"{rows} {'picture' if stage == 'stem' else 'prompt'}{'s' if rows > 1 else ''} at a time"
                what += f" in windows of {self._window} frames" if stage == "window" else ""
                if kept is None:
                    what = f"pictures of {variant.size_words} at the network" if any(variant.size) else "windows"
                self._tell(
                    f"{self._runtime.name} is not built for {what}: torch runs these; to build it: "
                    f"{build_command(self._network, self._runtime.name, rows, self._window)}"
                )
                return None
        if kept is None:
            if self._unkept is not None:
                return None
            kept = self._write_down(variant, fingerprint)
        self._cache.touch(fingerprint)
        ready = self._load_graphs(kept, variant, fingerprint)
        if kept.proof_of(self._proof_key(variant)) is None:
            self._say(f"{self._runtime.name}: comparing {variant} with torch")
            found: dict[str, float] = {}
            for axes in [dict(variant.axes)] if variant.axes else self._trial_axes(stage):
                inputs, expected = trial_inputs(self._network, variant.stage, size, axes)
                tried = deviations(_run(ready, inputs), expected, ready.program.outputs)
                found = {name: max(tried[name], found.get(name, 0.0)) for name in tried}
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

    def _write_down(self, variant: Variant, fingerprint: str) -> KeptStage:
        """Make a stage's graphs, and keep them; no other shape of it is to try again what failed."""
        stage, size = variant.stage, variant.size
        try:
            self._cache.check_writable()
        except OSError as error:
            self._unkept = error
            raise
        self._say(f"{self._runtime.name}: writing down {_named(variant)}, once for these weights")
        self._unwritable.add((stage, size))  # until it is
        made = cut(export_stage(self._float_graph(stage, size), keeps_operator=stage == "queries"))
        self._unwritable.remove((stage, size))
        try:
            kept = self._cache.keep(fingerprint, stage, size, self._network.config.name, made)
        except OSError as error:
            self._unkept = error
            raise
        self._cache.drop_oldest(but=frozenset(self._fingerprints.values()), say=self._say)
        return kept

    def _may_prove(self, kept: KeptStage) -> bool:
        """Whether something of a stage was built on another processor or by another version, but never here."""
        own = self._proof_key("")
        return bool(kept.proven()) and not any(key.startswith(own) for key in kept.proven())

    def _load_graphs(self, kept: KeptStage, variant: Variant, fingerprint: str) -> _Ready:
        # Beyond the trunk OpenVINO's bfloat16 is refused by the proof: numbers deviate by several times their size.
        reduced = self._network.dtype == torch.bfloat16 and variant.stage in ("stem", "condition")
        # OpenVINO finds what it kept by the graph alone: a float32 graph would be answered with a bfloat16 one.
        folder = self._cache.compiled_folder(
            fingerprint,
            f"{self._runtime.name}-{self._runtime.version}",
            f"{variant.folder_name}-{'bf16' if reduced else 'f32'}-{_threads()}",
        )
        graphs: dict[str, LoadedGraph] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        if self._runtime.fixed_shapes:
            shapes = stage_graph(self._network, variant.stage, variant.size).shapes(dict(variant.axes))
        for step in kept.program.steps:
            if isinstance(step, OperatorStep):
                if self._runtime.fixed_shapes:
                    shapes[step.output] = shapes[step.inputs[0]]
                continue
            graphs[step.file] = self._runtime.load(
                kept.folder / step.file,
                {name: shapes[name] for name in step.inputs} if self._runtime.fixed_shapes else None,
                reduced=reduced,
                threads=_threads(),
                kept=folder,
            )
            if self._runtime.fixed_shapes:
                shapes |= zip(step.outputs, graphs[step.file].output_shapes, strict=True)
        if folder is not None:
            self._cache.seal_compiled(folder)
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

    def _free_axes(self, stage: StageName, inputs: Sequence[Tensor]) -> tuple[tuple[str, int], ...]:
        """Lengths that a graph is made ready for."""
        return self._lengths(stage, {"frames": len(inputs[0]), "rows": len(inputs[-1]), "time": inputs[0].shape[1]})

    def _lengths(self, stage: StageName, axes: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
        """Those of a stage's free axes; none where the library keeps them free."""
        return tuple((name, axes[name]) for name in _AXES[stage]) if self._runtime.fixed_shapes else ()

    def _trial_axes(self, stage: StageName) -> list[dict[str, int]]:
        """What a graph with free axes is tried with."""
        trials = {"frames": 1, "rows": 1, "time": 1}, {"frames": 2, "rows": 3, "time": self._window}
        return [{name: axes[name] for name in _AXES[stage]} for axes in trials]

    def _tell(self, words: str) -> None:
        """Say something once."""
        if words not in self._told:
            self._told.add(words)
            self._say(words)


def build_command(network: SSA, engine: str, prompts: int = 1, window: int = FULL_WINDOW) -> str:
    """What builds an engine for a network as it is loaded; the size of the pictures and the weights are left out."""
    words = ["ssa-stream engine build", f"--engine {engine}"]
    if network.dtype != torch.float32:
        words.append(f"--dtype {str(network.dtype).removeprefix('torch.')}")
    if network.precision != default_precision(network.device, network.dtype):
        words.append(f"--precision {network.precision}")
    words += [f"--prompts {prompts}"] if prompts > 1 else []
    words += [f"--window {window}"] if window != FULL_WINDOW else []
    return " ".join(words)


def _threads() -> int:
    """As many as torch has, but one core stays free.

    Threads of a library wait for each other in every step, and on a core that something else has taken they wait for
    that, too: on two cores with decoding beside it a graph came to a tenth of its frames.
    """
    return max(1, min(torch.get_num_threads(), usable_cores() - 1))


def _named(variant: Variant) -> str:
    return variant.stage if variant.stage == "window" else f"{variant.stage} for {variant.size_words}"


def _pieces(inputs: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    """Rows in pieces."""
    for start in range(0, len(inputs[-1]), MOST_ROWS):
        yield tuple(one[start : start + MOST_ROWS] for one in inputs)


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


def _words_of(error: BaseException) -> str:
    """Its class, and the first line of what it says."""
    name = type(error).__name__
    while error.__cause__ is not None:  # what the exporter adds is advice
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{name}: {lines[0][:200]}" if lines else name
