"""Does a graph that runs for long grow, slow down, or lose frames without saying why?

    python -m benchmarks.soak                    # twenty minutes
    python -m benchmarks.soak --minutes 2        # a first look
    python -m benchmarks.soak --minutes 60       # does memory grow?
    python -m benchmarks.soak --trace            # where in Python it is allocated; slower

`ssa-stream serve` runs two streams: a real RTSP server and a camera over WebRTC, both with small pictures, so that two
cores keep up with room to spare. The server is killed and started again, or freezes; the camera vanishes or leaves, and
comes back; so does somebody who watches. What happens when is determined by `--seed`. Once, early, the prompts change:
the window is then computed at once, for which the network needs the most memory that it ever does.

Memory of all processes (what no file backs; shared parts count in parts), open files, threads and the age of masks are
measured every few seconds. At the end come their slopes with standard errors (without the first quarter, ten minutes
at most: so long the allocators fill), which types of objects have become more in each process, how soon each fault was
overcome, and the balance of each stream: frames received are frames published, dropped for a reason that the metrics
name, or in flight. The figures are those of `/metrics`, of a subscriber, and of a probe that the processes load.

Exit code 1 means that a balance does not close, that something did not come back, that a node was lost, or, if
that was measured for half an hour, that memory grows by more than 5 MiB an hour. A real RTSP server is needed: the
tests' one, of GStreamer.
"""

import argparse
import json
import os
import platform
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.soaking.faults import CAMERA, RTSP, WATCHER, plan_faults
from benchmarks.soaking.graph import served_graph
from benchmarks.soaking.inside import Inside
from benchmarks.soaking.masks import MaskLog
from benchmarks.soaking.report import Report
from benchmarks.soaking.run import Sample, Soak, balance, settled
from benchmarks.soaking.targets import PeerTarget, RtspTarget
from ssa_stream.client import PromptClient
from tests.support.rtsp_server import HOW_TO_GET, rtsp_server_available

SIZE = (160, 96)
PROMPTS = {RTSP: ("the circle", "the red circle"), CAMERA: ("the square", "the blue square")}
"""At first, and from the change on."""
STREAMS = tuple(PROMPTS)
SESSION = {"short_edge_px": 96, "long_edge_px": 192}
STALENESS_S = 3.0
CONNECT_S = 30.0
PRINT_EVERY, CHANGE_AT = 3, 4
"""Samples: between two lines; until the prompts change."""
WARM_UP_S = 600.0


def main() -> None:
    """Soak, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long; 20 by default")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--fps", type=int, default=5, help="of both streams; 5 by default")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two samples; 5 by default")
    parser.add_argument("--warm-up", type=float, help="minutes left out of slopes; a quarter by default, at most 10")
    parser.add_argument("--placement", choices=("fused", "processes"), default="fused", help="of the graph's nodes")
    parser.add_argument("--trace", action="store_true", help="tell where memory is allocated in Python; slower")
    parser.add_argument("--json", type=Path, help="also write everything there")
    options = parser.parse_args()
    if not rtsp_server_available():
        sys.exit(f"error: there is no RTSP server (GStreamer) on this machine; to get it: {HOW_TO_GET}")
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.minutes:g} minutes")
    report = soak(options)
    for line in report.lines():
        print(line)
    if options.json:
        options.json.write_text(json.dumps(report.to_mapping(), indent=1) + "\n", encoding="utf-8")
    sys.exit(0 if report.is_sound else 1)


def soak(options: argparse.Namespace) -> Report:
    """Run the graph and everything around it; what was found."""
    seconds = options.minutes * 60
    warm_up_s = min(WARM_UP_S, seconds / 4) if options.warm_up is None else options.warm_up * 60
    port = free_port()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        graph = stack.enter_context(served_graph(folder, pipeline(port, options.placement), traced=options.trace))
        masks = stack.enter_context(MaskLog(graph.publish))
        wait_for_connection(masks)
        rtsp = RtspTarget(folder, SIZE, options.fps, port, RTSP, masks)
        camera = PeerTarget(f"{graph.page}whip/{CAMERA}", SIZE, options.fps, CAMERA, masks)
        watcher = PeerTarget(f"{graph.page}whep/{RTSP}?overlay=1", SIZE, 0, RTSP, masks)
        targets = {RTSP: rtsp, CAMERA: camera, WATCHER: watcher}
        for target in targets.values():
            stack.callback(target.stop)
            target.start()

        before: dict[str, Inside] = {}

        def on_sample(running: Soak, sample: Sample) -> None:
            print_progress(running, sample)
            if sample.at_s >= warm_up_s and not before:
                before.update(graph.inside())
            if len(running.samples) == CHANGE_AT:
                change_prompts(graph.requests)

        running = Soak(graph, masks, targets, STREAMS, on_sample)
        running.run(seconds, plan_faults(seconds, options.seed), options.every)
        after = graph.inside()
        for target in targets.values():
            target.stop()
        figures = settled(graph, STREAMS)
        return Report(
            samples=running.samples,
            recoveries=running.recoveries,
            balances={one: balance(figures, masks, one, is_camera=one == CAMERA) for one in STREAMS},
            sent_by_camera=sum(one.pictures.value for one in camera.lives),
            cameras=len(camera.lives),
            nodes_lost=figures.total("node_losses_total"),
            exit_code=graph.stop(),
            warm_up_s=warm_up_s,
            inside={name: (before[name], one) for name, one in after.items() if name in before},
        )


def pipeline(port: int, placement: str) -> dict[str, Any]:
    """Two live streams with a prompt each."""
    return {
        "name": "soak",
        "placement": placement,
        "public": {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"},
        "model": {"checkpoint": "ssa-tiny", "device": "cpu"},
        "session": SESSION,
        "flow": {"staleness_s": STALENESS_S},
        "streams": {
            RTSP: {"source": f"rtsp://127.0.0.1:{port}/cam", "prompts": [PROMPTS[RTSP][0]]},
            CAMERA: {"source": "webrtc", "prompts": [PROMPTS[CAMERA][0]]},
        },
    }


def change_prompts(requests: str) -> None:
    """Look for something else from now on."""
    for stream, (_, prompt) in PROMPTS.items():
        with PromptClient(requests, stream=stream) as client:
            client.set([prompt])


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_connection(masks: MaskLog) -> None:
    """Wait until the subscriber is there: no frame comes before."""
    deadline_s = time.monotonic() + CONNECT_S
    while not masks.is_connected:
        if time.monotonic() > deadline_s:
            sys.exit(f"error: masks cannot be subscribed to within {CONNECT_S:g} s")
        time.sleep(0.05)


def print_progress(running: Soak, sample: Sample) -> None:
    """Say now and then how it goes."""
    if len(running.samples) % PRINT_EVERY:
        return
    held = sample.holdings
    ages = ", ".join(f"{name} {_ms(one.p50_ms)}/{_ms(one.p95_ms)} ms" for name, one in sample.ages.items())
    print(
        f"{sample.at_s // 60:3.0f}:{sample.at_s % 60:02.0f} {held.total_mib:7.1f} MiB, {held.files} files, "
        f"{held.threads} threads; age p50/p95 {ages}; {len(running.recoveries)} faults",
        flush=True,
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


if __name__ == "__main__":
    main()
