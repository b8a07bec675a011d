"""How good the masks of a checkpoint are at their best: no choice of queries can do better than the best of them.

For each object that a clip of the validation split shows, meant by the sentence or not, the query is looked for whose
mask fits it best: in each frame among the frame queries, and over the clip among the video queries. Printed is the mean
intersection over union of these masks with the object's, in frames that show it. Then by the frame queries that lie
over the object, as training takes it: how many there are in a frame, and in what part of the frames the best slot holds
one.

    python -m benchmarks.mask_probe --checkpoint ssa-tiny
"""

import argparse
from collections import defaultdict

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor

from ssa_stream.checkpoints import load_checkpoint, read_clip, read_info
from ssa_stream.data import SceneConfig, sample_scene
from ssa_stream.data.synthetic.expressions import find_expressions
from ssa_stream.data.synthetic.seeds import generator
from ssa_stream.data.synthetic.truth import observe
from ssa_stream.model import SSA
from ssa_stream.model.preprocess import to_input
from ssa_stream.training.objectives.forward import decode_video, frame_prediction, generate
from ssa_stream.training.objectives.objective import set_dropout
from ssa_stream.training.tiny.motion.kept_clips import COVERED_IOU

_NUMBER = "frame queries over it"
_FIRST_SEED = 5000
_SENTENCES_STREAM = 6
_LEAST_PIXELS = 20
"""Smaller parts of an object do not count as showing it."""


def main() -> None:
    """Read the options, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="ssa-tiny", help="weight file, or the name of a shipped checkpoint")
    parser.add_argument("--clip", help="weight file with CLIP, for a checkpoint without it")
    parser.add_argument("--scenes", type=int, default=20, help="scenes, with one sentence of each type")
    parser.add_argument("--frames", type=int, default=12, help="of each clip")
    options = parser.parse_args()
    clip = None if options.clip is None else read_clip(options.clip, read_info(options.checkpoint).config)
    figures = best_queries(load_checkpoint(options.checkpoint, clip=clip), options.scenes, options.frames)
    print(f"{options.scenes} scenes of {options.frames} frames, mean over objects and sentences")
    for (figure, group), values in sorted(figures.items()):
        mean = f"{np.mean(values):.2f}" if figure == _NUMBER else f"{np.mean(values):.1%}"
        print(f"  {figure:31} {group:10} {mean:>6} of {len(values)} objects")


def best_queries(model: SSA, scenes: int, frames: int) -> dict[tuple[str, str], list[float]]:
    """Figures by name and by `meant` or `not meant`, one for each object and sentence."""
    set_dropout(model.train(), 0.0)
    figures: dict[tuple[str, str], list[float]] = defaultdict(list)
    for seed in track(range(_FIRST_SEED, _FIRST_SEED + scenes), "scenes"):
        scene = sample_scene(seed, split="val", config=SceneConfig(num_frames=frames))
        clip = observe(scene, 0, frames)
        images = to_input(list(clip.frames), model.device, model.dtype)
        for sentence in find_expressions(clip.truth, generator(scene.seed, _SENTENCES_STREAM), per_type=1):
            of_frames, of_clip, order = masks(model, images, sentence.text, clip.masks.shape[2:])
            for object_id, mask in zip(scene.ids, torch.from_numpy(clip.masks), strict=True):
                shown = mask.flatten(1).sum(dim=1) > _LEAST_PIXELS
                if shown.any():
                    group = "meant" if object_id in sentence.target_ids else "not meant"
                    in_frames = overlap(of_frames[shown], mask[shown])  # (t, N)
                    in_clip = overlap(of_clip[shown], mask[shown])
                    covers = in_frames > COVERED_IOU
                    figures["overlap of frame query", group].append(float(in_frames.amax(dim=1).mean()))
                    figures["overlap of video query", group].append(float(in_clip.mean(dim=0).amax()))
                    figures[_NUMBER, group].append(float(covers.sum(dim=1).float().mean()))
                    of_slots = covers.gather(1, order[shown]).float()
                    figures["frames of the best slot", group].append(float(of_slots.mean(dim=0).amax()))
    return figures


@torch.no_grad()
def masks(model: SSA, images: Tensor, sentence: str, size: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Masks of all frame queries and of all video queries, `(T, N, H, W)` bool, and slots' queries, `(T, N)` int64."""
    one = torch.zeros(1, dtype=torch.int64, device=model.device)
    frames = generate(model, images[None], model.encode_text([sentence]), one)
    of_frames = frame_prediction(frames)
    output = decode_video(model, frames.queries[None, None], frames.text[None], frames.mask_features[None])
    of_clip = output.prediction.embeddings[-1].expand(len(images), -1, -1)
    logits = (
        model.predict_masks(of_frames.embeddings[-1], of_frames.features[:, 0]),
        model.predict_masks(of_clip, frames.mask_features),
    )
    height, width = size
    in_frames, in_clip = (
        F.interpolate(maps, scale_factor=4, mode="bilinear", align_corners=False)[..., :height, :width] > 0
        for maps in logits
    )
    return in_frames.cpu(), in_clip.cpu(), output.order[0, 0].cpu()


def overlap(found: Tensor, mask: Tensor) -> Tensor:
    """Intersection over union of `(T, N, H, W)` with `(T, H, W)`, both bool: `(T, N)`."""
    common = (found & mask[:, None]).flatten(2).sum(dim=2)
    return common / (found | mask[:, None]).flatten(2).sum(dim=2)


if __name__ == "__main__":
    main()
