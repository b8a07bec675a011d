"""Shift what a trained checkpoint calls probable, so that a threshold of 0.5 serves all kinds of sentences best.

How probable a network finds what a sentence means depends on how often sentences meant nothing in its training, and on
the weight of "none" in the loss. On generated clips of the training split every threshold is tried; the best one for
the mean over the kinds of sentences becomes 0.5, by the bias of the video decoder's classes. The order of probabilities
stays the same. `--absent 0.85` looks among the thresholds at which at least so many absent things are noticed;
`--threshold 0.35` takes this one, and looks at no clip.

`--presence 1.25` comes before that: how surely any frame shows something that looks as the sentence says, which the
frame decoder's classes tell, is added so many times to what the video decoder finds (docs/adr/0063). The mean over
generated clips is taken off again, so that probabilities stay about where they were.

    python tools/calibrate.py runs/tiny/best.safetensors -o runs/tiny/calibrated.safetensors --presence 1.25
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from ssa_stream.checkpoints import load_checkpoint, save_checkpoint
from ssa_stream.checkpoints.layout import extend_model
from ssa_stream.data import EXPRESSION_TYPES, ClipSample, sample_clip
from ssa_stream.errors import SsaStreamError
from ssa_stream.knowledge import knowledge_of
from ssa_stream.metrics import region_similarity
from ssa_stream.model import SSA, ClipOutput
from ssa_stream.model.extensions import extensions_of, with_extensions
from ssa_stream.model.extensions.presence import Presence
from ssa_stream.model.preprocess import to_input
from ssa_stream.outputs import NamedPath, check_outputs

_THRESHOLDS = np.round(np.append(np.linspace(0.1, 0.95, 18), (0.97, 0.98, 0.99)), 2)
_READING_NOISE = 0.01  # of the size of projected queries; bfloat16 rounds them by 0.004
_FIRST_SEED = 2_000_000_000  # beyond all clips of training runs


def main() -> None:
    """Read the options, try all thresholds, write the shifted checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="weight file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write")
    parser.add_argument("--clips", type=int, default=180, help="generated clips, of all kinds of sentences alike")
    parser.add_argument("--frames", type=int, default=12, help="of each clip")
    parser.add_argument("--size", type=int, nargs=2, default=(128, 224), help="height and width of the clips")
    parser.add_argument("--absent", type=float, default=0.0, help="least part of absent things to notice, 0..1")
    parser.add_argument("--threshold", type=float, help="the threshold that becomes 0.5, instead of the best")
    parser.add_argument("--presence", type=float, help="how many times what frames show is added, 0 or more")
    options = parser.parse_args()
    if options.presence is not None and not options.presence >= 0:
        parser.error(f"--presence is {options.presence}; expected 0 or more")
    try:
        inputs = [NamedPath("weights", options.checkpoint)]
        check_outputs([NamedPath("--output", str(options.output))], inputs, overwrite=True)
    except SsaStreamError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    model = load_checkpoint(options.checkpoint)
    notes = {}
    if options.presence is not None:
        model = with_presence(model, options)
        notes["presence"] = f"{options.presence} of the frame decoder's log-odds"
    if options.threshold is None:
        threshold = best_threshold(model, options)
    elif 0 < options.threshold < 1:
        threshold = options.threshold
    else:
        parser.error(f"--threshold is {options.threshold}; expected more than 0 and less than 1")
    shift(model, threshold)
    notes["calibrated"] = f"{threshold} became 0.5"
    save_checkpoint(options.output, model, model.config, notes=notes, knowledge=knowledge_of(options.checkpoint))


def with_presence(model: SSA, options: argparse.Namespace) -> SSA:
    """The network with a presence that is read from projected frame queries as the frame decoder reads its own.

    The reading is a linear fit: queries are projected and, in some networks, told where their masks are, after the
    frame decoder has classed them.
    """
    queries, log_odds = [], []
    for clip in clips_of_all_kinds(options):
        aligned, classed = frame_classes(model, clip)
        queries.append(aligned)
        log_odds.append(classed)
    weight, bias = fit_reading(torch.cat(queries), torch.cat(log_odds), [len(rows) for rows in queries])
    sizes = with_extensions(model.config, {*extensions_of(model.config), "video_decoder.presence"})
    present = extend_model(model, sizes).eval()
    assert isinstance(present.video_decoder.presence, Presence)
    present.video_decoder.presence.set_reading(options.presence * weight, options.presence * bias)
    return present


@torch.inference_mode()
def frame_classes(model: SSA, clip: ClipSample) -> tuple[Tensor, Tensor]:
    """Projected frame queries of a clip, `(T, N, C)`, and the frame decoder's log-odds that they fit, `(T, N)`."""
    classes: list[Tensor] = []
    hook = model.frame_decoder.register_forward_hook(lambda _, __, made: classes.append(made[-1].class_logits))
    try:
        output = offline(model, clip)
    finally:
        hook.remove()
    log_odds = torch.cat([fits - rest for fits, rest in (logits.unbind(dim=-1) for logits in classes)])
    return output.aligned[0].float(), log_odds.float().gather(1, output.order[0])


def fit_reading(queries: Tensor, log_odds: Tensor, lengths: list[int]) -> tuple[Tensor, float]:
    """Linear fit of log-odds, shifted so that the mean presence of the clips is 0; prints how well it fits.

    Projected queries hardly differ along some directions. A plain fit has weights of hundreds there, and is exact until
    something is rounded; this one bears noise.

    Args:
        queries: Of all clips' frames, `(F, N, C)`.
        log_odds: `(F, N)`.
        lengths: Frames of each clip.
    Returns:
        Weight `(C,)` and bias.
    """
    x, y = queries.double(), log_odds.double()
    mean, noise = x.mean(dim=(0, 1)), _READING_NOISE * x.square().mean().sqrt()
    rows = (x - mean).flatten(0, 1)
    spread = rows.T @ rows / len(rows) + noise.square() * torch.eye(len(mean), dtype=x.dtype)
    weight = torch.linalg.solve(spread, rows.T @ (y - y.mean()).flatten() / len(rows))
    of_clips = [torch.stack([clip.amax() for clip in values.split(lengths)]) for values in (y, (x - mean) @ weight)]
    known, found = of_clips
    error = (found - found.mean() - known + known.mean()).square().mean().sqrt()
    print(f"presence of {len(lengths)} clips: mean {known.mean():.2f}, spread {known.std():.2f}, fitted to {error:.2f}")
    return weight.float(), -float(mean @ weight + found.mean())


def best_threshold(model: SSA, options: argparse.Namespace) -> float:
    """Try all thresholds on generated clips, print what they give, and choose one."""
    by_kind = defaultdict(list)
    for clip in clips_of_all_kinds(options):
        by_kind[clip.type].append(scores(model, clip))
    table = np.stack([np.mean(rows, axis=0) for rows in by_kind.values()])
    for kind, row in zip(by_kind, table, strict=True):
        print(f"{kind:18} {len(by_kind[kind]):4}  " + "  ".join(f"{value:.2f}" for value in row))
    mean = table.mean(axis=0)
    noticed = (np.array(by_kind["no_target"]) == 1).mean(axis=0)
    best = choose(mean, noticed, options.absent)
    print(f"{'noticed if absent':24}" + "  ".join(f"{value:.2f}" for value in noticed))
    print(f"{'mean':24}" + "  ".join(f"{value:.2f}" for value in mean))
    print(f"{'threshold':24}" + "  ".join(f"{value:.2f}" for value in _THRESHOLDS))
    print(
        f"{best} becomes 0.5: region similarity {mean[np.abs(_THRESHOLDS - 0.5).argmin()]:.3f} becomes "
        f"{mean[np.abs(_THRESHOLDS - best).argmin()]:.3f}"
    )
    return best


def clips_of_all_kinds(options: argparse.Namespace) -> Iterator[ClipSample]:
    """Generated clips, one kind of sentence after the other, with a progress bar."""
    size = (options.size[0], options.size[1])
    for index in track(range(options.clips), "clips"):
        kind = EXPRESSION_TYPES[index % len(EXPRESSION_TYPES)]
        yield sample_clip(_FIRST_SEED + index, options.frames, size, "train", type_weights={kind: 1.0})


def offline(model: SSA, clip: ClipSample) -> ClipOutput:
    """What the network makes of a clip."""
    output: ClipOutput = model(to_input(list(clip.frames), model.device, model.dtype), model.encode_text([clip.text]))
    return output


def choose(mean: NDArray[np.float64], noticed: NDArray[np.float64], least: float) -> float:
    """The best threshold of those at which enough absent things are noticed; the highest one if there is none.

    Args:
        mean: Region similarity at each threshold, mean over the kinds of sentences.
        noticed: Part of the absent things of which nothing is selected.
        least: How many of them are enough.
    """
    allowed = noticed >= least
    allowed[-1] = True
    return float(_THRESHOLDS[np.where(allowed, mean, -np.inf).argmax()])


@torch.inference_mode()
def scores(model: SSA, clip: ClipSample) -> list[float]:
    """Region similarity of a clip at each threshold, offline."""
    output = offline(model, clip)
    height, width = clip.frames.shape[1:3]
    embeddings = output.window.mask_embedding.expand(len(clip.frames), -1, -1)
    logits = model.predict_masks(embeddings, output.mask_features).float()
    masks = F.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False)[..., :height, :width] > 0
    target = np.asarray(clip.masks.any(axis=0))
    probability = output.window.probability[0]
    chosen = [masks[:, probability > float(threshold)].any(dim=1).numpy() for threshold in _THRESHOLDS]
    return [float(region_similarity(union, target).mean()) for union in chosen]


def shift(model: SSA, threshold: float) -> None:
    """Make what had a probability of `threshold` have one of 0.5."""
    with torch.no_grad():
        model.video_decoder.classifier.bias[0] -= float(np.log(threshold / (1 - threshold)))


if __name__ == "__main__":
    main()
