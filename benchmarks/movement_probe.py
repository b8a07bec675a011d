"""Which movements a checkpoint tells apart: sentences about motion, asked of clips with several things that move.

Printed for each kind of movement, of windows that nothing was trained on, in words of the training:
- found: sentences of which the most probable slot is of an object that is meant, of those that mean some but not all;
- the highest probability of a slot of a meant object, of sentences that mean some;
- the same of any slot that holds an object, of sentences that mean nothing.

    python -m benchmarks.movement_probe --checkpoint ssa-tiny
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import torch
from rich.progress import track
from torch import Tensor

from ssa_stream.checkpoints import load_checkpoint
from ssa_stream.data.synthetic.movement_sentences import MOVEMENT_CLAIMS
from ssa_stream.model import SSA, align_chain
from ssa_stream.training.config import OptimizerConfig
from ssa_stream.training.objectives.objective import set_dropout
from ssa_stream.training.tiny.config import MotionStage, TinyData, TinyLoss
from ssa_stream.training.tiny.motion.windows import MotionBatches, MotionWindows
from ssa_stream.training.tiny.slots import objects_of_slots

_SEED = 1_000_003  # no training run draws these clips
_FRAMES, _WINDOWS_PER_CLIP = 12, 3


class Answer(NamedTuple):
    """Highest probability among the slots of objects that a sentence means, and among those of others; None without."""

    movement: str
    meant: float | None
    other: float | None


def main() -> None:
    """Read the options, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="ssa-tiny", help="weight file, or the name of a shipped checkpoint")
    parser.add_argument("--clips", type=int, default=60, help="clips with 14 sentences each")
    parser.add_argument("--size", type=int, nargs=2, default=(128, 224), help="height and width of the clips")
    options = parser.parse_args()
    model = load_checkpoint(options.checkpoint)
    by_movement = defaultdict(list)
    for answer in answers(model, options.clips, (options.size[0], options.size[1])):
        by_movement[answer.movement].append(answer)
    print(f"{options.clips} clips of {_FRAMES} frames, {options.size[0]} x {options.size[1]}")
    print(f"{'':10} {'found':>16} {'meant':>8} {'absent':>8}")
    for name, given in sorted(by_movement.items()):
        pairs = [(one.meant, one.other) for one in given if one.meant is not None and one.other is not None]
        found = f"{_mean([float(ours > theirs) for ours, theirs in pairs])} of {len(pairs):4}"
        meant = _mean([one.meant for one in given if one.meant is not None])
        absent = _mean([one.other for one in given if one.meant is None and one.other is not None])
        print(f"{name:10} {found:>16} {meant:>8} {absent:>8}")


def answers(model: SSA, clips: int, size: tuple[int, int]) -> Iterator[Answer]:
    """Ask all sentences whose truth is clear."""
    stage = MotionStage(
        name="probe",
        steps=clips * _WINDOWS_PER_CLIP,
        batch=1,
        frames=(_FRAMES, _FRAMES),
        kept_frames=_FRAMES,
        clips=clips,
        teaches="slots",
        noise=0.0,
        data=TinyData(size=size, sentences=14, min_objects=1, max_objects=6, first_seed=_SEED),
        loss=TinyLoss(frame_layers=1, num_points=384, all_objects=True),
        optimizer=OptimizerConfig(lr=1.0),
    )
    set_dropout(model.train(), 0.0)
    batches = MotionBatches(None, model, stage, _SEED, 0, 1)
    for step in track(range(stage.steps), "windows"):
        yield from _answers(model, batches[step].windows)


@torch.no_grad()
def _answers(model: SSA, windows: MotionWindows) -> Iterator[Answer]:
    """Of one window."""
    queries = model.mask_moments.add(windows.queries, windows.moments)
    aligned, order = align_chain(model.project_queries(queries))
    K, T = windows.text.shape[1], windows.queries.shape[1]
    text = windows.text[0, :, None].expand(-1, T, -1)
    probability = model.decode_window(aligned.expand(K, -1, -1, -1), text).probability  # (K, N)
    number, stands, _ = objects_of_slots(order, windows.covers)
    meant = windows.meant[0][:, number[0]] & stands[0]
    for k in windows.fits[0].nonzero()[:, 0].tolist():
        name = type(MOVEMENT_CLAIMS[int(windows.asked[0, k])]).__name__
        yield Answer(name, _highest(probability[k, meant[k]]), _highest(probability[k, stands[0] & ~meant[k]]))


def _highest(values: Tensor) -> float | None:
    return float(values.max()) if len(values) else None


def _mean(values: list[float]) -> str:
    return f"{sum(values) / len(values):.2f}" if values else "-"


if __name__ == "__main__":
    main()
