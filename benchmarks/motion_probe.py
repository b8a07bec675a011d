"""What a checkpoint knows of locations and motion: linear probes on what its video decoder gets and makes.

For objects that sentences mean, a linear layer reads their location (row, column, extent) from their frame queries, and
their velocity (how fast these change) from their temporally enhanced slots. Printed is the
part of the variance that it explains, on clips that it was not fitted to: 100 % is perfect, 0 % is knowing nothing.

    python -m benchmarks.motion_probe --checkpoint ssa-tiny
"""

import argparse

import torch
from rich.progress import track
from torch import Tensor

from ssa_stream.checkpoints import load_checkpoint
from ssa_stream.model import SSA
from ssa_stream.model.clip import encode_text
from ssa_stream.training.config import ClipsStage, LossConfig, OptimizerConfig
from ssa_stream.training.data.batch import normalize
from ssa_stream.training.data.clip_batches import ClipBatches, open_clips
from ssa_stream.training.data.settings import SyntheticData
from ssa_stream.training.objectives.forward import forward_clips
from ssa_stream.training.objectives.matching import Matches, frame_targets, match, matched_rows
from ssa_stream.training.objectives.objective import set_dropout
from ssa_stream.training.tiny.locations import locations, velocities
from ssa_stream.training.tiny.slots import slots_of

_FITTED, _RIDGE = 0.75, 10.0
_SEED = 1_000_003  # no training run draws these clips


def main() -> None:
    """Read the options, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="ssa-tiny", help="weight file, or the name of a shipped checkpoint")
    parser.add_argument("--clips", type=int, default=200, help="clips with one sentence about looks each")
    parser.add_argument("--frames", type=int, default=6, help="of each clip")
    parser.add_argument("--size", type=int, nargs=2, default=(128, 160), help="height and width of the clips")
    options = parser.parse_args()
    size = (options.size[0], options.size[1])
    model = load_checkpoint(options.checkpoint)
    print(f"variance explained on {options.clips} clips of {options.frames} frames, {size[0]} x {size[1]}")
    of_queries, of_slots = known(model, size, options.clips, options.frames)
    for name, explained in (("location in frame query", of_queries), ("velocity in slot", of_slots)):
        row, column, extent = explained
        print(f"  {name:20}  row {row:5.0%}  column {column:5.0%}  extent {extent:5.0%}")


def known(model: SSA, size: tuple[int, int], clips: int, frames: int) -> tuple[list[float], list[float]]:
    """Parts of the variance of locations and of velocities that linear layers explain."""
    loss = LossConfig(frame_layers=1, num_points=768)
    data = SyntheticData(size=size, min_objects=1, max_objects=5, type_weights={"appearance": 1.0}, first_seed=_SEED)
    stage = ClipsStage(
        name="probe",
        steps=clips,
        batch=1,
        frames=(frames, frames),
        data=data,
        loss=loss,
        optimizer=OptimizerConfig(lr=1.0),
    )
    batches = ClipBatches(stage, open_clips(stage, 0, 0), 0, model.clip.context_length)
    set_dropout(model.train(), 0.0)
    queries, location, enhanced, velocity = [], [], [], []
    for index in track(range(clips), "clips"):
        batch = batches[index]
        with torch.no_grad():
            text = encode_text(model.clip, batch.tokens, model.config.clip.num_words)
            output = forward_clips(model, normalize(batch.images, batch.extents), text, batch.clip_index)
            found = match(output.frames, frame_targets(batch.masks, batch.meant, batch.meant), loss)
        of_frames = Matches(*(field[-1:, None] for field in found))  # (1, 1, T, G)
        seen = of_frames.matched[0, 0]
        queries.append(matched_rows(output.video.projected, of_frames)[0, 0, seen])
        location.append(locations(batch.masks).transpose(1, 2)[0, seen])
        of_velocity, is_known = velocities(locations(batch.masks))
        seen = seen & is_known[0]
        enhanced.append(matched_rows(output.video.enhanced, slots_of(output.video.order, of_frames))[0, 0, seen])
        velocity.append(of_velocity[0, seen])
    return explained(torch.cat(queries), torch.cat(location)), explained(torch.cat(enhanced), torch.cat(velocity))


def explained(features: Tensor, targets: Tensor) -> list[float]:
    """Fit a ridge regression to the first three quarters of the rows, judge by the others.

    Args:
        features: `(R, C)`.
        targets: `(R, D)`.
    Returns:
        `D` parts of the variance; negative if worse than the mean.
    """
    fitted = int(_FITTED * len(features))
    x = (features - features.mean(0)) / (features.std(0) + 1e-3)
    x = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    gram = x[:fitted].T @ x[:fitted] + _RIDGE * torch.eye(x.shape[1])
    weight = torch.linalg.solve(gram, x[:fitted].T @ targets[:fitted])
    error = (x[fitted:] @ weight - targets[fitted:]).square().mean(0)
    return [float(part) for part in 1 - error / targets[fitted:].var(0)]


if __name__ == "__main__":
    main()
