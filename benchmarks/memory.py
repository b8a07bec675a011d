"""What the processes of a graph hold: its network once, or once in each of them? Markdown for docs/performance.md.

    python -m benchmarks.memory                                  # ssa-tiny and ssa-base, float32: some minutes
    python -m benchmarks.memory --models ssa-tiny --frames 60
    python -m benchmarks.memory --models ssa-large --dtype bfloat16

The same frames go through `ssa-stream up` as one process (fused) and as one process for each node, on a checkpoint with
random weights. Memory is what no file backs, shared parts counted in parts (PSS of anonymous and shared memory):
libraries are left out, as their part depends on who else on the machine uses them. It is read every few hundredths of a
second; the peak of each process counts, while it loads and while it works.

`interpreters` are the same processes after their imports, without a network. `one network` is what the fused graph
holds beyond its interpreter: weights, activations, frames. The last column is the peak of the processes over one
network and interpreters; 1 means that nothing is held twice.
"""

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from benchmarks.comparison import PROMPT, machine
from ssa_stream.checkpoints import save_checkpoint
from ssa_stream.cli.commands.demo import write_scene
from ssa_stream.configs import load_config
from ssa_stream.model import SSA, SsaConfig

__all__ = ["Peaks", "interpreters_mib", "peaks_of"]

POLL_S = 0.03
LAUNCHER = "launcher"
PATIENCE_S = 1800.0
_KIB_PER_MIB = 1024.0
_LOADS = "import ssa_stream.checkpoints.opening, ssa_stream.model.ssa; "
_OPERATOR = "from ssa_stream.model import build_operator; build_operator(); "
_WAIT = "print('there', flush=True); import sys; sys.stdin.read()"
_NODE = "import ssa_stream.nodes.runtime.main, ssa_stream.nodes.{role}.node; "
PROCESSES = {
    LAUNCHER: "import ssa_stream.cli.main, ssa_stream.cli.commands.up, ssa_stream.nodes.launcher; ",
    "ingest": _NODE.format(role="ingest") + "import ssa_stream.model.preprocess, ssa_stream.checkpoints.info; ",
    "encoder": _NODE.format(role="encoder") + _LOADS,
    "queries": _NODE.format(role="queries") + _LOADS + _OPERATOR,
    "decoder": _NODE.format(role="decoder") + _LOADS,
    "masks": _NODE.format(role="masks") + _LOADS,
}
"""What each process of a graph imports, and the kernel that one of them loads."""
FUSED = {"fused": "".join(PROCESSES.values())}


class Peaks(NamedTuple):
    """Peak memory of processes by name, in MiB; see the head of this file for what counts."""

    mib: Mapping[str, float]

    @property
    def total_mib(self) -> float:
        """Of all of them."""
        return sum(self.mib.values())


def main() -> None:
    """Measure, print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["ssa-tiny", "ssa-base"], help="configurations")
    parser.add_argument("--dtype", nargs="+", default=["float32"], choices=["float32", "bfloat16"], help="or both")
    parser.add_argument("--frames", type=int, default=12, help="of 640x360, one prompt")
    options = parser.parse_args()
    print(f"{machine('cpu')}; load {os.getloadavg()[0]:.1f} when it began; {options.frames} frames\n")
    alone, fused_alone = interpreters_mib(PROCESSES), interpreters_mib(FUSED)
    details = [_row("interpreter", alone.mib)]
    print(_head("", "weights in float32", "one network", "interpreters", "fused", "processes", "processes / expected"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scene(folder / "scene.mp4", options.frames)
        for model in options.models:
            weights_mib = write_checkpoint(model, folder / "random.safetensors")
            for dtype in options.dtype:
                fused = peaks_of(graph_command(folder, "fused", dtype), {LAUNCHER: "fused"})
                processes = peaks_of(graph_command(folder, "processes", dtype))
                network = fused.total_mib - fused_alone.total_mib
                expected = network + alone.total_mib
                cells = (weights_mib, network, alone.total_mib, fused.total_mib, processes.total_mib)
                ratio = f"{processes.total_mib / expected:.2f}"
                print(f"| {model} {dtype} | {' | '.join(f'{mib:.0f}' for mib in cells)} | {ratio} |", flush=True)
                details.append(_row(f"{model} {dtype}", processes.mib))
    print("\n" + _head("peak, MiB", *PROCESSES))
    print("\n".join(details))


def write_checkpoint(model: str, path: Path) -> float:
    """Weights that nobody trained; returns their size in MiB."""
    config = SsaConfig.from_mapping(load_config("model", model))
    network = SSA(config)
    save_checkpoint(path, network, config)
    return float(sum(one.numel() * one.element_size() for one in network.state_dict().values())) / 2**20


def graph_command(folder: Path, placement: str, dtype: str) -> list[str]:
    """A graph that ends with its file."""
    pipeline = {
        "placement": placement,
        "model": {"checkpoint": str(folder / "random.safetensors"), "device": "cpu", "dtype": dtype, "threads": 1},
        "public": {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"},
        "health": {"hang_timeout_s": 600},
        "streams": {"scene": {"source": str(folder / "scene.mp4"), "prompts": [PROMPT]}},
    }
    file = folder / f"{placement}.yaml"
    file.write_text(yaml.safe_dump(pipeline))
    return [str(Path(sys.executable).with_name("ssa-stream")), "up", str(file)]


def peaks_of(command: Sequence[str], names: Mapping[str, str] | None = None) -> Peaks:
    """Run a command to its end, and watch it and all processes that it starts.

    Args:
        command: A program of ours; a node is called by its role, any other process `launcher`.
        names: Other names for these.
    Raises:
        SystemExit: It failed.
    """
    peaks: dict[int, float] = {}
    roles: dict[int, str] = {}
    with tempfile.TemporaryFile() as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        deadline_s = time.monotonic() + PATIENCE_S
        try:
            while process.poll() is None and time.monotonic() < deadline_s:
                for pid in (process.pid, *descendants(process.pid)):
                    with contextlib.suppress(OSError):  # it has just ended
                        peaks[pid] = max(peaks.get(pid, 0.0), held_mib(pid))
                        if (role := role_of(pid)) != LAUNCHER or pid not in roles:  # one that ends has no command line
                            roles[pid] = role
                time.sleep(POLL_S)
        finally:
            process.kill()
        log.seek(0)
        if process.wait():
            raise SystemExit(f"{' '.join(command)} failed:\n{log.read().decode(errors='replace')}")
    total: dict[str, float] = {}
    for pid, mib in peaks.items():
        name = (names or {}).get(roles[pid], roles[pid])
        total[name] = total.get(name, 0.0) + mib
    return Peaks(total)


def interpreters_mib(imports: Mapping[str, str]) -> Peaks:
    """What processes hold that have done their imports, all of them at one moment.

    Args:
        imports: Python code of each.
    """
    with contextlib.ExitStack() as stack:
        pids = {name: stack.enter_context(_interpreter(code)) for name, code in imports.items()}
        return Peaks({name: held_mib(pid) for name, pid in pids.items()})


@contextlib.contextmanager
def _interpreter(code: str) -> Iterator[int]:
    command = [sys.executable, "-c", code + _WAIT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


def held_mib(pid: int) -> float:
    """Memory of a process that no file backs, what it shares counted in parts.

    Raises:
        OSError: There is no such process.
    """
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    sizes = dict(re.findall(r"^(Pss_Anon|Pss_Shmem):\s+(\d+) kB$", text, re.MULTILINE))
    return sum(map(int, sizes.values())) / _KIB_PER_MIB


def descendants(pid: int) -> list[int]:
    """All processes that a process and those that it started have started."""
    found: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, listing.read_text().split()):
                found += [child, *descendants(child)]
    return found


def role_of(pid: int) -> str:
    """The role of the node that a process is, or `launcher`."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    role = words[words.index("-m") + 1].rpartition(".")[2] if "-m" in words else ""
    return role if role in PROCESSES else LAUNCHER


def _head(*titles: str) -> str:
    return f"| {' | '.join(titles)} |\n|{' --- |' * len(titles)}"


def _row(title: str, mib: Mapping[str, float]) -> str:
    return f"| {title} | {' | '.join(f'{mib.get(name, 0.0):.0f}' for name in PROCESSES)} |"


if __name__ == "__main__":
    main()
