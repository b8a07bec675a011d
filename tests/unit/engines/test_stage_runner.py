"""Graphs are found, made, proven, bounded in number; what is not is left to torch, and said once."""

import copy
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from ssa_stream.engines import EngineCache, EngineChoice, stage_runner
from ssa_stream.engines.engine import GraphEngine
from ssa_stream.engines.graphs import STAGES, stage_graph
from ssa_stream.engines.stage_runner import StageRunner, build_command
from ssa_stream.model import Stages, empty_carry
from tests.support.engine_network import SIZE, FakeRuntime, engine_network, fake_parts


class Bench:
    """Runners over one cache, by a library that computes by torch; counts what is written down."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache = EngineCache(folder)
        self.said: list[str] = []
        self.written: list[str] = []

        def export(graph: Any, *, keeps_operator: bool) -> Any:
            self.written.append(graph.name)
            return graph

        monkeypatch.setattr(stage_runner, "export_stage", export)
        monkeypatch.setattr(stage_runner, "cut", fake_parts)

    def runtime(self, **settings: Any) -> FakeRuntime:
        """A library."""
        network = engine_network()
        return FakeRuntime({name: stage_graph(network, name, SIZE) for name in STAGES}, **settings)

    def runner(self, runtime: FakeRuntime | None = None, *, builds: bool = True) -> StageRunner:
        """What runs stages by a library."""
        network = engine_network()
        chosen = self.runtime() if runtime is None else runtime
        return StageRunner(network, chosen, self.cache, builds=builds, window=3, say=self.said.append)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """An empty cache."""
    return Bench(tmp_path / "cache", monkeypatch)


def stem_of(runner: StageRunner, frames: int = 1, size: tuple[int, int] = SIZE) -> list[torch.Tensor] | None:
    """Run the stem."""
    return runner.run("stem", size, (torch.ones(frames, 3, *size),))


def test_what_was_built_is_neither_written_down_nor_proven_again(bench: Bench) -> None:
    """A second process takes the graph and the proof of the first."""
    assert stem_of(bench.runner()) is not None
    assert bench.written == ["stem"]
    assert [words for words in bench.said if "comparing" in words]
    bench.said.clear()
    made = stem_of(bench.runner(builds=False))
    assert made is not None
    torch.testing.assert_close(made[0], engine_network().encode_stem(torch.ones(1, 3, *SIZE)))
    assert bench.written == ["stem"]
    assert bench.said == []


@pytest.mark.parametrize("builds", [True, False])
def test_another_version_proves_itself(bench: Bench, builds: bool) -> None:
    """A graph that another version of the library was proven with is compared again, and refused if it deviates."""
    stem_of(bench.runner())
    wrong = bench.runner(bench.runtime(version="2", mistake=0.5), builds=builds)
    assert stem_of(wrong) is None
    assert "refused for stem (frames 1, pictures 96x64): stem deviates by" in bench.said[-1]
    count = len(bench.said)
    assert stem_of(wrong) is None
    assert len(bench.said) == count
    assert stem_of(bench.runner(bench.runtime(version="3"), builds=builds)) is not None
    assert bench.written == ["stem"]


def test_a_library_that_raises_leaves_the_stage_to_torch(bench: Bench) -> None:
    """An operator that a library lacks ends no stream."""
    runtime = bench.runtime()
    runtime.fails = RuntimeError("no such operator\nsecond line")
    runner = bench.runner(runtime)
    assert stem_of(runner) is None
    assert bench.said[-1].startswith("openvino does not run stem")
    assert bench.said[-1].endswith("(RuntimeError: no such operator): torch runs it")
    engine: Stages = GraphEngine(engine_network(), EngineChoice("openvino"), runner)
    assert engine.encode_stem(torch.ones(1, 3, *SIZE)).shape[0] == 1


def test_a_library_that_fails_later_leaves_the_stage_to_torch(bench: Bench) -> None:
    """A stream goes on by torch, which is said once, and the graph is not asked again."""
    runtime = bench.runtime()
    runner = bench.runner(runtime)
    assert stem_of(runner) is not None
    runtime.breaks = RuntimeError("out of memory")
    assert stem_of(runner) is None
    assert bench.said[-1] == (
        "openvino failed at stem (frames 1, pictures 96x64) (RuntimeError: out of memory): torch runs it from now on"
    )
    runtime.breaks, told = None, len(bench.said)
    assert stem_of(runner) is None
    assert len(bench.said) == told


def _shorten(folder: Path) -> None:
    next(folder.rglob("0.onnx")).write_bytes(b"")


def _spoil(folder: Path) -> None:
    next(folder.rglob("program.json")).write_text("{")


def _lose(folder: Path) -> None:
    next(folder.rglob("0.onnx")).unlink()


def _edit(folder: Path, **changes: Any) -> None:
    path = next(folder.rglob("program.json"))
    record = msgspec.json.decode(path.read_bytes())
    record["program"] |= {key: value for key, value in changes.items() if key in record["program"]}
    record |= {key: value for key, value in changes.items() if key not in record["program"]}
    path.write_bytes(msgspec.json.encode(record))


def _forget_steps(folder: Path) -> None:
    _edit(folder, steps=[], digests={})


def _forget_digests(folder: Path) -> None:
    _edit(folder, digests={})


def _point_outside(folder: Path) -> None:
    step = {"type": "graph", "file": "../0.onnx", "inputs": ["images"], "outputs": ["stem"]}
    _edit(folder, steps=[step], digests={"../0.onnx": ""})


def _make_pipe(folder: Path) -> None:
    _lose(folder)
    os.mkfifo(next(folder.rglob("program.json")).with_name("0.onnx"))


@pytest.mark.parametrize(
    "damage", [_shorten, _spoil, _lose, _forget_steps, _forget_digests, _point_outside, _make_pipe]
)
def test_damaged_files_are_built_again(bench: Bench, damage: Callable[[Path], None]) -> None:
    """What cannot be used is made anew; without leave to build, torch takes over."""
    stem_of(bench.runner())
    damage(bench.cache.root)
    assert stem_of(bench.runner(builds=False)) is None
    assert "not built for pictures of 96x64" in bench.said[-1]
    assert stem_of(bench.runner()) is not None
    assert bench.written == ["stem", "stem"]
    assert stem_of(bench.runner(builds=False)) is not None


def test_a_cache_that_is_only_read_is_used(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proofs that cannot be kept are made again; graphs that cannot be kept are no engine, said with the reason."""
    stem_of(bench.runner())
    shutil.rmtree(next(bench.cache.root.rglob("proven")))

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ssa_stream.engines.cache.write_whole", refuse)
    assert stem_of(bench.runner()) is not None
    monkeypatch.setattr("ssa_stream.engines.cache.tempfile.mkdtemp", refuse)
    assert stem_of(bench.runner(), size=(32, 32)) is None
    assert "Permission denied" in bench.said[-1]
    with pytest.raises(PermissionError):
        bench.runner().build((32, 32), 1)


def test_a_folder_that_cannot_be_written_is_told_before_the_work(bench: Bench) -> None:
    """Nothing is written down for it, by no stage or shape; what is wrong is said once, with what to do."""
    bench.cache.root.write_text("")
    runner = bench.runner()
    for frames in (1, 2):
        assert stem_of(runner, frames) is None
    assert bench.written == []
    assert bench.said == [
        f"engines cannot be kept in {bench.cache.root} (it is not a folder): torch runs what was not built; name "
        f"another folder with SSA_STREAM_ENGINES"
    ]


def test_a_full_disk_is_not_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing down takes long: what cannot be kept is written down once."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(EngineCache, "keep", full)
    runner = bench.runner()
    for frames in (1, 2):
        assert stem_of(runner, frames) is None
    assert bench.written == ["stem"]
    assert "No space left on device" in bench.said[-1]


def test_files_of_a_library_that_changed_are_removed(bench: Bench) -> None:
    """A library would compute with what is in them; what is as it was is kept."""
    folder = bench.cache.compiled_folder("0" * 24, "openvino-1", "stem")
    assert folder is not None
    names = ("same", "changed", "pipe", "folder")
    for name in names:
        (folder / name).write_bytes(b"numbers")
    bench.cache.seal_compiled(folder)
    (folder / "changed").write_bytes(b"Numbers")
    (folder / "unknown").write_bytes(b"numbers")
    for name in ("pipe", "folder"):
        (folder / name).unlink()
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    assert bench.cache.compiled_folder("0" * 24, "openvino-1", "stem") == folder
    assert sorted(path.name for path in folder.iterdir()) == ["digests.json", "same"]


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        ({}, "ssa-stream engine build --engine openvino --prompts 2"),
        ({"precision": "fast"}, "ssa-stream engine build --engine openvino --precision fast --prompts 2"),
        ({"dtype": torch.bfloat16, "precision": "fast"}, "ssa-stream engine build --engine openvino --dtype bfloat16"),
    ],
)
def test_command_builds_for_the_network_as_it_is_loaded(settings: dict[str, Any], command: str) -> None:
    """Weights of another type or precision have graphs of their own."""
    network = copy.deepcopy(engine_network()).cast(settings.get("dtype", torch.float32), settings.get("precision"))
    assert build_command(network, "openvino", 2).startswith(command)
    assert build_command(network, "openvino", window=4).endswith(" --window 4")


def test_two_builders_at_once_agree(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that comes second finds the other's graph, and leaves nothing behind."""
    keep = EngineCache.keep

    def other_first(self: EngineCache, *args: Any) -> Any:
        keep(self, *args)
        return keep(self, *args)

    monkeypatch.setattr(EngineCache, "keep", other_first)
    assert stem_of(bench.runner()) is not None
    assert not list(bench.cache.root.rglob(".partial*"))


def test_frames_of_several_streams_have_what_was_built(bench: Bench) -> None:
    """As many frames go together as prompts; with more, what is missing is said, with what builds it."""
    runner = bench.runner()
    runner.build(SIZE, 1)
    runner.build(SIZE, 2)
    ahead = bench.runner(builds=False)
    assert [stem_of(ahead, frames) is None for frames in (1, 2, 3)] == [False, False, True]
    assert bench.said[-1].startswith("openvino is not built for 3 pictures at a time: torch runs these; to build it: ")
    assert bench.said[-1].endswith("--prompts 3 --window 3")


@pytest.mark.parametrize(("dtype", "reduced"), [(torch.float32, set()), (torch.bfloat16, {"stem", "condition"})])
def test_reduced_graphs_are_of_the_trunk_only(bench: Bench, dtype: torch.dtype, reduced: set[str]) -> None:
    """Beyond it a library's bfloat16 is too far from torch's."""
    network = copy.deepcopy(engine_network()).cast(dtype, "fast")
    runtime = bench.runtime()
    runner = StageRunner(network, runtime, bench.cache, builds=True, window=3, say=bench.said.append)
    runner.build(SIZE, 1)
    assert runtime.reduced == reduced
    assert set(runtime.loads) == set(STAGES)


def test_what_a_library_keeps_is_of_one_number_type(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library may find what it kept by the graph alone, and answer a float32 graph with the bfloat16 one.

    Weights that bfloat16 holds exactly have one fingerprint in both types.
    """
    monkeypatch.setattr("ssa_stream.engines.stage_runner.fingerprint_of", lambda *_: "0" * 24)
    runtime = bench.runtime()
    for dtype in (torch.bfloat16, torch.float32):
        network = copy.deepcopy(engine_network()).cast(dtype, "published")
        StageRunner(network, runtime, bench.cache, builds=True, window=3, say=bench.said.append).build(SIZE, 1)
    # The fake asserts that each folder has one type.
    assert len(runtime.kept) == len(STAGES) + len(("stem", "condition"))


@pytest.mark.parametrize(
    ("frames", "size", "why"),
    [(5, SIZE, ""), (1, (32, 32), "4 sizes in one process; torch runs those of 32x32")],
)
def test_numbers_are_bounded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, frames: int, size: tuple[int, int], why: str
) -> None:
    """Many rows, and more sizes than a process may have, are left to torch."""
    runner = bench.runner()
    for width in (64, 96, 128, 160):
        assert stem_of(runner, size=(64, width)) is not None
    bench.said.clear()
    assert stem_of(runner, frames, size) is None
    assert " ".join(bench.said).endswith(why)
    assert bool(bench.said) == bool(why)


def test_windows_that_are_not_full_are_left_to_torch(bench: Bench) -> None:
    """Only the window that sessions have most of the time gets a graph."""
    runner, config = bench.runner(), engine_network().config
    N, C = config.num_queries, config.hidden_dim

    def run(frames: int, rows: int = 1) -> Sequence[torch.Tensor] | None:
        tensors = (torch.ones(rows, frames, N, C), torch.ones(rows, frames, C), torch.zeros(rows, N))
        return runner.run("window", (0, 0), (*tensors, torch.zeros(rows, N, C)))

    assert run(2) is None
    assert run(3) is not None
    bench.said.clear()
    assert [run(frames, rows) for frames, rows in [(2, 5), (3, 5), (3, 6)]] == [None] * 3
    assert bench.said == ["openvino runs at most 4 prompts at once: torch runs frames with more"]


def test_old_weights_make_room(bench: Bench) -> None:
    """What was not used for longest goes first, and it is said."""
    stem_of(bench.runner())
    (own,) = bench.cache.networks()
    old = own.with_name("0" * 24)
    shutil.copytree(own, old)
    foreign = bench.cache.root / "photos"
    foreign.mkdir()
    bench.cache.drop_oldest(0, but=frozenset({own.name}), say=bench.said.append)
    assert own.is_dir()
    assert foreign.is_dir()
    assert not old.exists()
    assert f"removed: {old}" in bench.said[-1]
    assert [(stage.network, stage.name, stage.engines) for stage in bench.cache.stages()] == [
        (engine_network().config.name, "stem-96x64", ("openvino-1",))
    ]
    assert bench.cache.clear() > 0
    assert foreign.is_dir()


def test_a_frame_goes_through_all_stages(bench: Bench) -> None:
    """Inputs reach the graphs in their order, with the frame that each row looks at, and come back by their names."""
    network, runner = engine_network(), bench.runner()
    engine: Stages = GraphEngine(network, EngineChoice("openvino"), runner)
    text = network.encode_text(["a dog", "the red car"])
    made = []
    for model in (network, engine):
        stem = model.encode_stem(torch.linspace(-1, 1, 3 * SIZE[0] * SIZE[1]).view(1, 3, *SIZE))
        maps = model.condition(stem, text, torch.tensor([0, 0]))
        frame = model.generate_queries(maps, text)
        aligned = model.project_queries(frame.queries)[:, None].expand(-1, 3, -1, -1)
        sentence = frame.text[:, None].expand(-1, 3, -1)
        window = model.decode_window(
            aligned, sentence, empty_carry(aligned.shape[2], aligned.shape[3], aligned.device, 2)
        )
        made.append([stem, *maps, *frame[:3], *window[:5]])
    torch.testing.assert_close(made[1], made[0], rtol=1e-3, atol=1e-4)
    assert sorted(bench.written) == sorted(STAGES)
