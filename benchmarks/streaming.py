"""What streaming costs: against recomputing the window, per prompt, and around the bare model.

    python benchmarks/streaming.py                     # ssa-tiny on this machine's CPU, about three minutes
    python benchmarks/streaming.py --model ssa-large --device cuda --dtype bfloat16 --size 800x448

Compared figures are measured in one process, in turns, so that other load hits both alike; read the ratios. Weights
are random: the work does not depend on them, except for the number of masks that are drawn.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ssa_stream.cli.commands.demo import write_scene
from ssa_stream.cli.runner import paced, run_stream
from ssa_stream.configs import load_config
from ssa_stream.data import demo_scene, render
from ssa_stream.model import SSA, SsaConfig, align_chain, network_size, resize_frame, segment_clip, to_input
from ssa_stream.sinks import Background, SinkGroup, open_sink
from ssa_stream.sources import open_source
from ssa_stream.streaming import ReferSession, SessionConfig

Image = NDArray[np.uint8]
PROMPTS = ("the red circle", "the blue square moving left", "the star", "all green things")
WINDOWS = (8, 16, 32)


class Setup(NamedTuple):
    """The network and the frames that everything is measured on."""

    model: SSA
    frames: list[Image]
    rounds: int


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ssa-tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--size", default="640x360", help="of the source frames, WIDTHxHEIGHT")
    parser.add_argument("--rounds", type=int, default=12, help="measurements of each figure; the median counts")
    parser.add_argument("--threads", type=int, help="CPU threads; default: torch's choice")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    width, height = map(int, options.size.split("x"))
    scene = demo_scene(width, height)
    torch.manual_seed(0)
    model = SSA(SsaConfig.from_mapping(load_config("model", options.model))).eval()
    model = model.to(options.device).cast(getattr(torch, options.dtype))
    setup = Setup(model, [render(scene, t).image for t in range(64)], options.rounds)

    place = torch.cuda.get_device_name() if options.device.startswith("cuda") else f"{torch.get_num_threads()} threads"
    print(f"{options.model}, {options.dtype}, {options.device} ({place}), source {options.size}\n")
    figures = {
        "windows": windows(setup),
        "prompts": prompts(setup),
        "run": run_overhead(setup),
    }
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


def windows(setup: Setup) -> dict[str, dict[str, float]]:
    """Streaming against the offline forward over the last W frames, at every frame."""
    sessions = {w: _filled_session(setup, SessionConfig(window=w), PROMPTS[:1], w + 2) for w in WINDOWS}
    work: dict[str, Callable[[], object]] = {}
    for w in WINDOWS:
        work[f"stream {w}"] = partial(sessions[w].push, setup.frames[0])
        work[f"recompute {w}"] = partial(segment_clip, setup.model, setup.frames[:w], PROMPTS[0])
    ms = _in_turns(work, setup)
    rows = {
        str(w): {
            "stream_ms": ms[f"stream {w}"],
            "recompute_ms": ms[f"recompute {w}"],
            "speedup": ms[f"recompute {w}"] / ms[f"stream {w}"],
            "stream_over_smallest_window": ms[f"stream {w}"] / ms[f"stream {WINDOWS[0]}"],
        }
        for w in WINDOWS
    }
    print("per frame                stream ms   recompute ms   recompute/stream   stream/(stream at W=8)")
    for title, row in rows.items():
        print(
            f"  W = {title:<18}{row['stream_ms']:>9.1f}{row['recompute_ms']:>15.1f}{row['speedup']:>19.1f}"
            f"{row['stream_over_smallest_window']:>25.2f}"
        )
    return rows


def prompts(setup: Setup) -> dict[str, dict[str, float]]:
    """One step for 1, 2 and 4 prompts."""
    counts = (1, 2, 4)
    sessions = {n: _filled_session(setup, SessionConfig(), PROMPTS[:n], 10) for n in counts}
    ms = _in_turns({str(n): partial(sessions[n].push, setup.frames[0]) for n in counts}, setup)
    rows = {str(n): {"ms": ms[str(n)], "over_one": ms[str(n)] / ms["1"]} for n in counts}
    print("\nprompts                         ms   over one prompt")
    for count, row in rows.items():
        print(f"  {count:<22}{row['ms']:>10.1f}{row['over_one']:>18.2f}")
    return rows


def run_overhead(setup: Setup) -> dict[str, dict[str, float]]:
    """`ssa-stream run` on an encoded file against the model's stages in a bare loop on frames in memory."""
    num_frames = 60
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = folder / "input.mp4"
        write_scene(video, num_frames)
        outputs = {
            "run, no output": [],
            "run, JSON lines": [folder / "m.jsonl"],
            "run, JSON lines + overlay": [folder / "m.jsonl", folder / "o.mp4"],
        }
        work: dict[str, Callable[[], object]] = {"model alone": partial(_bare_loop, setup, num_frames)}
        for title, paths in outputs.items():
            work[title] = partial(_run, setup, video, paths)
        total_ms = _in_turns(work, setup._replace(rounds=max(3, setup.rounds // 4)))
    alone = total_ms["model alone"]
    rows = {title: {"ms_per_frame": ms / num_frames, "over_model_alone": ms / alone} for title, ms in total_ms.items()}
    print("\nfile to results                 ms per frame   over model alone")
    for title, row in rows.items():
        print(f"  {title:<28}{row['ms_per_frame']:>14.1f}{row['over_model_alone']:>19.2f}")
    return rows


def _run(setup: Setup, video: Path, outputs: Sequence[Path]) -> None:
    session = ReferSession(setup.model, prompts=PROMPTS[:1])
    with Background(SinkGroup([open_sink(path) for path in outputs])) as sink:
        run_stream(paced(open_source(video)), session, sink)


@torch.inference_mode()
def _bare_loop(setup: Setup, num_frames: int) -> None:
    """The stages on prepared inputs, one after the other, up to the logits of the selected masks."""
    model, config = setup.model, setup.model.config
    height, width = setup.frames[0].shape[:2]
    size = network_size((height, width), *config.edges_px())
    images = [to_input([resize_frame(frame, size)], model.device, model.dtype) for frame in setup.frames]
    text = model.encode_text(PROMPTS[:1])
    aligned = torch.empty(1, 0, config.num_queries, config.hidden_dim, device=model.device, dtype=model.dtype)
    vectors = torch.empty(1, 0, config.hidden_dim, device=model.device, dtype=model.dtype)
    for i in range(num_frames):
        made = model.generate_queries(model.encode_frame(images[i % len(images)], text), text)
        previous = aligned[:, -1] if aligned.shape[1] else None
        new, _ = align_chain(model.project_queries(made.queries)[None], previous)
        aligned, vectors = torch.cat([aligned, new], 1)[:, -8:], torch.cat([vectors, made.text[None]], 1)[:, -8:]
        window = model.decode_window(aligned, vectors)
        chosen = window.mask_embedding[:, window.probability[0] > 0.5]
        model.predict_masks(chosen, made.mask_features)
    _synchronize(model)


def _filled_session(setup: Setup, config: SessionConfig, sentences: Sequence[str], frames: int) -> ReferSession:
    session = ReferSession(setup.model, config, sentences)
    for i in range(frames):
        session.push(setup.frames[i % len(setup.frames)])
    return session


def _in_turns(work: dict[str, Callable[[], object]], setup: Setup) -> dict[str, float]:
    """Median time of each piece of work in ms, measured round-robin after one warm-up round."""
    times: dict[str, list[float]] = {title: [] for title in work}
    for round_ in range(setup.rounds + 1):
        for title, do in work.items():
            _synchronize(setup.model)
            begin = time.perf_counter()
            do()
            _synchronize(setup.model)
            if round_:
                times[title].append((time.perf_counter() - begin) * 1e3)
    return {title: statistics.median(values) for title, values in times.items()}


def _synchronize(model: SSA) -> None:
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)


if __name__ == "__main__":
    main()
