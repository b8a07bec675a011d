"""A graph with a page as a process, looked at from outside: its metrics, and what its processes hold."""

import contextlib
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.soaking.inside import Inside, Probes

__all__ = ["Figures", "Graph", "Holdings", "served_graph"]

_START_S, _STOP_S, _ANSWER_S = 180.0, 30.0, 10.0
_POLL_S = 0.1
_LAUNCHER = "launcher"
_KIB_PER_MIB = 1024.0


@dataclass(frozen=True)
class Holdings:
    """What processes hold at one moment.

    Attributes:
        mib: Memory of each, by its name: all that no file backs, where a leak would be. What several share counts in
            parts (PSS). Libraries are left out, as their part depends on who else on the machine uses them.
        resident_mib: Of each, with libraries (RSS).
        files: Open files of all of them.
        threads: Of all of them.
    """

    mib: dict[str, float]
    resident_mib: dict[str, float]
    files: int
    threads: int

    @property
    def total_mib(self) -> float:
        """Memory of all of them."""
        return sum(self.mib.values())


class Figures:
    """Metrics of a graph at one moment."""

    def __init__(self, text: str) -> None:
        self._samples = [
            (sample.name.removeprefix("ssa_stream_"), sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]

    def total(self, name: str, **labels: str) -> int:
        """Sum of a metric over all samples with these labels; 0 if there is none."""
        return sum(value for _, value in self._matching(name, labels))

    def drops(self, stream: str) -> dict[tuple[str, str], int]:
        """Dropped frames of a stream, by node and reason."""
        found = self._matching("frames_dropped_total", {"stream": stream})
        return {(labels["node"], labels["reason"]): value for labels, value in found if value}

    def _matching(self, name: str, labels: dict[str, str]) -> list[tuple[dict[str, str], int]]:
        return [(has, int(value)) for one, has, value in self._samples if one == name and labels.items() <= has.items()]


class Graph:
    """A running `ssa-stream serve`.

    Attributes:
        page: Address of its page.
        publish: Where masks are published.
        requests: Where prompts can be changed.
        log: What it wrote.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, probes: Probes) -> None:
        self.log = log
        self._probes = probes
        self._process = process
        self._until_ready()
        self.page = self._said(r"event=page url=(\S+)")
        self.publish = self._said(r"masks at ([^,\s]+)")
        self.requests = self._said(r"requests at ([^,\s]+)")
        self._metrics = self._said(r"metrics at (\S+)")

    def figures(self) -> Figures:
        """Its metrics now."""
        with urllib.request.urlopen(self._metrics, timeout=_ANSWER_S) as answer:
            return Figures(answer.read().decode())

    def holdings(self) -> Holdings:
        """What its processes hold now."""
        mib: dict[str, float] = {}
        resident_mib: dict[str, float] = {}
        files = threads = 0
        for pid in self._processes():
            with contextlib.suppress(OSError):  # it has just ended
                name, sizes = _name_of(pid), _sizes_mib(pid)
                files += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
                threads += sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())
                mib[name] = mib.get(name, 0.0) + sizes["Pss_Anon"] + sizes["Pss_Shmem"]
                resident_mib[name] = resident_mib.get(name, 0.0) + sizes["Rss"]
        return Holdings(mib, resident_mib, files, threads)

    def inside(self) -> dict[str, Inside]:
        """What its processes hold inside now, by name; of several of one name one is looked at."""
        names: dict[int, str] = {}
        for pid in self._processes():
            with contextlib.suppress(OSError):  # it has just ended
                names[pid] = _name_of(pid)
        return self._probes.ask(names)

    def stop(self) -> int:
        """End it as Ctrl-C does; returns its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        return self._process.wait(_STOP_S)

    def _processes(self) -> list[int]:
        return [self._process.pid, *_descendants(self._process.pid)]

    def _until_ready(self) -> None:
        deadline_s = time.monotonic() + _START_S
        while not all(word in self.log.read_text() for word in ("event=page", "ready", "masks at", "metrics at")):
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise SystemExit(f"the graph did not start:\n{self.log.read_text()}")
            time.sleep(_POLL_S)

    def _said(self, pattern: str) -> str:
        found = re.search(pattern, self.log.read_text())
        assert found is not None, pattern
        return found[1]


@contextlib.contextmanager
def served_graph(folder: Path, pipeline: dict[str, Any], *, traced: bool = False) -> Iterator[Graph]:
    """Run a graph in a folder until the end of the body.

    Args:
        folder: For its files.
        pipeline: Of the graph.
        traced: Whether to note where memory is allocated in Python, which costs a third of the speed.
    """
    probes = Probes(folder / "probes", traced=traced)
    file, log = folder / "soak.yaml", folder / "serve.log"
    file.write_text(yaml.safe_dump(pipeline))
    command = [str(Path(sys.executable).with_name("ssa-stream")), "serve", str(file), "--port", "0"]
    command += ["--loopback-media", "--threads", "1", "--health", "127.0.0.1:0"]
    with (
        log.open("wb") as written,
        subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT, env=probes.environment()) as process,
    ):
        try:
            yield Graph(process, log, probes)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_S)
            process.kill()


def _descendants(pid: int) -> list[int]:
    found = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, listing.read_text().split()):
                found += [child, *_descendants(child)]
    return found


def _name_of(pid: int) -> str:
    """Name of the module that a process runs, or `launcher`."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return words[words.index("-m") + 1].rpartition(".")[2] if "-m" in words else _LAUNCHER


def _sizes_mib(pid: int) -> dict[str, float]:
    found = re.findall(r"^(\w+):\s+(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return {name: int(kib) / _KIB_PER_MIB for name, kib in found}
