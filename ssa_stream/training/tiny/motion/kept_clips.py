"""Clips whose frames are computed once: for many sentences about how their objects move, and for sentences of any kind.

A sentence changes what frames give: their queries look for what it may mean. For sentences that differ in the movement
alone that is the same, so that they share the frame queries of one of them; only its fused token is a sentence's own,
for which one frame is enough.

Axes: `K` sentences, `T` frames, `N` queries, `C` channels, `G` objects that look as the sentences say.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ssa_stream.data import SceneConfig, sample_scene
from ssa_stream.data.synthetic.movement_sentences import MovementSentence, movement_sentences, shared_looks
from ssa_stream.data.synthetic.possible import possible_ids
from ssa_stream.data.synthetic.predicates import Attributes, Described
from ssa_stream.data.synthetic.retiming import draw_times
from ssa_stream.data.synthetic.truth import ClipTruth, observe
from ssa_stream.model import SSA, FrameQueries
from ssa_stream.model.clip import encode_text, tokenize
from ssa_stream.training.data.batch import Sentence, TrainingClip, collate_clips, normalize
from ssa_stream.training.objectives.forward import frame_prediction, generate
from ssa_stream.training.objectives.matching import Matches, frame_targets, match
from ssa_stream.training.tiny.clip.unknown_words import some_with_unknown_words
from ssa_stream.training.tiny.clips import TinyBatch
from ssa_stream.training.tiny.config import MotionStage, TinyLoss
from ssa_stream.training.tiny.locations import locations
from ssa_stream.training.tiny.slots import pairwise_iou

__all__ = ["COVERED_IOU", "KeptFrames", "MotionClip", "draw_start", "keep_frames", "motion_clip", "scene_config"]

_CLIP_STREAM, _UNKNOWN_STREAM = 108, 114
_LATEST_START = 96
_START_SHARE = 0.7
"""Of clips from a scene's beginning, where what stops and turns does so."""
_RETIMINGS = 4
"""In how many ways more objects may move for what sentences say of them, if they are to be retimed."""
COVERED_IOU = 0.4
"""From which a frame query is taken to lie over an object."""


class MotionClip(NamedTuple):
    """What is kept of a clip.

    Attributes:
        truth: What its objects do.
        looks: What all sentences say of looks.
        sentences: `K`.
        rows: Objects of the scene that queries were asked to find: those that look so, or all; `G` numbers.
        queries: Frame queries, `(T, N, C)` float16, not told where their masks are.
        moments: Moments of their masks, `(T, N, M)` float32, see `SSA.measure`.
        text: Fused token of each sentence, of one frame, `(K, C)` float16.
        query: Frame query of each object, `(T, G)` int64.
        matched: Whether there is one, `(T, G)` bool.
        covers: Which queries' masks lie over which object, `(T, N, G)` bool.
        location: See `locations.locations`, `(T, G, 3)` float32.
    """

    truth: ClipTruth
    looks: Attributes
    sentences: tuple[MovementSentence, ...]
    rows: tuple[int, ...]
    queries: Tensor
    moments: Tensor
    text: Tensor
    query: Tensor
    matched: Tensor
    covers: Tensor
    location: Tensor


def scene_config(stage: MotionStage) -> SceneConfig:
    """What a stage's scenes are drawn from."""
    data = stage.data
    return SceneConfig(
        size=data.size, num_frames=stage.kept_frames, min_objects=data.min_objects, max_objects=data.max_objects
    )


def draw_start(rng: np.random.Generator) -> int:
    """First frame of a clip within its scene, most often the scene's own."""
    return 0 if rng.uniform() < _START_SHARE else int(rng.integers(_LATEST_START))


@torch.no_grad()
def motion_clip(model: SSA, stage: MotionStage, seed: int, number: int) -> MotionClip:
    """Make one clip and compute its frames; equal arguments give the same clip.

    Args:
        model: Gives the frame queries; in training mode, for its frames' own mask features.
        stage: Sizes, scenes and the losses that match queries to objects.
        seed: Seed of the run.
        number: Number of the clip.
    """
    data, rng = stage.data, np.random.default_rng([seed, _CLIP_STREAM, number])
    scenes = scene_config(stage)
    ids: tuple[int, ...] = ()
    while not ids:  # of some scenes nothing is in the frame
        scene = sample_scene(data.first_seed + number, split="train", config=scenes)
        seen = observe(scene, draw_start(rng), stage.kept_frames)
        looks = shared_looks(seen.truth, rng)
        ids = possible_ids(Described(looks), seen.truth)
        number += stage.clips
    looking = [scene.ids.index(one) for one in ids]
    further = [row for row in range(len(scene.ids)) if row not in looking]
    rows = tuple(looking + further) if stage.loss.all_objects else tuple(looking)
    others = [
        seen.truth.retimed(np.array([draw_times(rng, stage.kept_frames) for _ in scene.ids]))
        for _ in range(_RETIMINGS if stage.retimed else 0)
    ]
    sentences = tuple(movement_sentences(seen.truth, looks, rng, data.sentences, others))
    torch.manual_seed(int(rng.integers(2**31)))

    device = model.device
    tokens = tokenize([sentence.text for sentence in sentences], model.clip.context_length)
    unknown_rng = np.random.default_rng([seed, _UNKNOWN_STREAM, number])
    tokens = some_with_unknown_words(tokens, stage.unknown_words, unknown_rng)
    asked = Sentence(sentences[0].text, seen.masks[list(rows)])
    batch = collate_clips([TrainingClip(seen.frames, (asked,))], tokens[:1])
    looks_so = (torch.arange(len(rows)) < len(looking))[None]
    images = normalize(batch.images.to(device), batch.extents.to(device))  # (1, T, 3, H, W)
    text = encode_text(model.clip, tokens.to(device), model.config.clip.num_words)
    first = torch.zeros(1, dtype=torch.int64, device=device)
    frames = generate(model, images, text.take(first), first)
    masks = batch.masks.to(device)
    found = _objects(frames, masks, batch.meant, looks_so, stage.loss)
    of_frames = torch.from_numpy(rng.integers(0, stage.kept_frames, len(sentences))).to(device)
    rest = torch.arange(1, len(sentences), device=device)
    alone = generate(model, images[0, of_frames[1:], None], text.take(rest), rest - 1).text
    kept = (
        *_queries(model, frames),
        torch.cat([frames.text[of_frames[:1]], alone]).half(),
        found.query[0],
        found.matched[0],
        _covers(frames, masks[0]),
        locations(masks)[0].transpose(0, 1),
    )
    return MotionClip(seen.truth, looks, sentences, rows, *(values.cpu() for values in kept))


class KeptFrames(NamedTuple):
    """A batch of clips with what frames give of them. `I` items of `T` frames.

    Attributes:
        batch: The clips, without pixels.
        queries: Frame queries, `(I, T, N, C)`, not told where their masks are.
        moments: Moments of their masks, `(I, T, N, M)` float32, see `SSA.measure`.
        text: Fused tokens, `(I, T, C)`.
        features: Of the video decoder's masks, `(I, T, C, h, w)`.
        of_frames: Frame queries of the objects, `(1, I, T, G)`.
    """

    batch: TinyBatch
    queries: Tensor
    moments: Tensor
    text: Tensor
    features: Tensor
    of_frames: Matches


@torch.no_grad()
def keep_frames(model: SSA, loss: TinyLoss, batch: TinyBatch) -> KeptFrames:
    """Compute the frames of a batch.

    Args:
        model: Gives queries and features; in training mode, for its frames' own mask features.
        loss: What matches queries to objects.
        batch: Clips with sentences of any kind, on any device; what comes back is on the same one, float16.
    """
    clips, device, home = batch.clips, model.device, batch.clips.images.device
    text = encode_text(model.clip, clips.tokens.to(device), model.config.clip.num_words)
    images = normalize(clips.images.to(device), clips.extents.to(device))
    frames = generate(model, images, text, clips.clip_index.to(device))
    asked = batch.known if loss.all_objects else batch.possible
    found = _objects(frames, clips.masks.to(device), asked, batch.possible, loss)
    by_item = (len(clips.tokens), -1)
    queries, moments, sentences, features = (
        values.unflatten(0, by_item).to(home)
        for values in (*_queries(model, frames), frames.text.half(), frames.mask_features.half())
    )
    nothing = clips.images.new_empty(0)  # a view of no pixels would keep them all
    return KeptFrames(
        batch._replace(clips=clips._replace(images=nothing), object_masks=nothing),
        queries,
        moments,
        sentences,
        features,
        Matches(*(field.unflatten(1, by_item).to(home) for field in found)),
    )


def _queries(model: SSA, frames: FrameQueries) -> tuple[Tensor, Tensor]:
    """Frame queries, float16, and the moments of their masks, of `I * T` frames."""
    last, features = frames.predictions[-1], frames.frame_mask_features
    assert features is not None  # the model is in training mode
    return last.queries.half(), model.mask_moments.measure(last, features)


def _objects(frames: FrameQueries, masks: Tensor, asked: Tensor, possible: Tensor, loss: TinyLoss) -> Matches:
    """Last queries of the objects, `(1, I * T, G)`."""
    last = frame_prediction(frames._replace(predictions=frames.predictions[-1:]))
    return match(last, frame_targets(masks, asked.to(masks.device), possible.to(masks.device)), loss)


def _covers(frames: FrameQueries, masks: Tensor) -> Tensor:
    """Which queries' masks lie over which object: `(T, N, G)` bool, of masks `(G, T, H, W)` uint8."""
    prediction = frame_prediction(frames._replace(predictions=frames.predictions[-1:]))
    logits = torch.einsum("tnc,tchw->tnhw", prediction.embeddings[0], prediction.features[:, 0])
    inside = F.interpolate(logits, size=masks.shape[-2:], mode="bilinear", align_corners=False) > 0
    ours, theirs = inside.flatten(2).float(), masks.transpose(0, 1).flatten(2).float()
    return pairwise_iou(ours, theirs) > COVERED_IOU
