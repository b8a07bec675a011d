"""Frame queries computed once and used many times: what clips can teach the video decoder at the price of few frames.

Motion is learned by the video decoder alone, in many steps, each of which is cheap; the frames before it are dear.

Axes: `I` items (a sentence on a clip), `G` objects, `T` frames, `N` queries, `C` channels.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssa_stream.model import SSA
from ssa_stream.model.clip import encode_text
from ssa_stream.training.batch import ClipBatch, normalize
from ssa_stream.training.clip_batches import ClipBatches
from ssa_stream.training.config import KeptClipsStage
from ssa_stream.training.forward import decode_video, frame_prediction, generate
from ssa_stream.training.losses import Reduce
from ssa_stream.training.matching import Matches, match
from ssa_stream.training.objective import StepLoss, set_dropout, video_float32, video_losses
from ssa_stream.training.places import PlaceHeads
from ssa_stream.training.step_seed import step_seed
from ssa_stream.training.targets import frame_targets

__all__ = ["KEPT_PARTS", "KeptBatches", "KeptFrames", "KeptFramesObjective"]

KEPT_PARTS = ("video_class", "video_mask", "video_dice", "similarity", "place", "motion")
"""Parts of the loss that are logged: of the last depth, unweighted."""

_ORDER_STREAM = 107
_COARSER = 2


class KeptFrames(NamedTuple):
    """What single frames give of a batch, and what is to be found in it.

    Attributes:
        queries: Frame queries, `(I, T, N, C)` float16.
        text: Fused sentence of each frame, `(I, T, C)` float16.
        mask_features: At stride 8, half of the network's own resolution, `(I, T, C, H/8, W/8)` float16.
        query: Frame query of each object, `(I, T, G)` int64.
        matched: Whether there is one, `(I, T, G)` bool.
        masks: Of the objects, at half of the input's resolution, `(I, G, T, H/2, W/2)` uint8.
        meant: Which of them the sentence means, `(I, G)` bool.
    """

    queries: Tensor
    text: Tensor
    mask_features: Tensor
    query: Tensor
    matched: Tensor
    masks: Tensor
    meant: Tensor


class KeptBatches(torch.utils.data.Dataset[KeptFrames]):
    """The same batches in a new order in each pass. What is not there yet is computed, also after a resume.

    Args:
        batches: The clips.
        model: Gives the frame queries; only its video decoder may change.
        stage: How many passes, and the losses that match queries to objects.
        seed: Seed of the run.
    """

    def __init__(self, batches: ClipBatches, model: SSA, stage: KeptClipsStage, seed: int) -> None:
        self._batches, self._model, self._stage, self._seed = batches, model, stage, seed
        self._kept: dict[int, KeptFrames] = {}

    def __len__(self) -> int:
        return self._stage.steps

    def __getitem__(self, step: int) -> KeptFrames:
        number = self._number(step)
        if number not in self._kept:
            torch.manual_seed(step_seed(self._seed, _ORDER_STREAM, number, 0))
            self._kept[number] = _keep(self._model, self._batches[number], self._stage)
        return self._kept[number]

    def _number(self, step: int) -> int:
        of_pass, place = divmod(step, self._stage.num_batches)
        order = np.random.default_rng([self._seed, _ORDER_STREAM, of_pass]).permutation(self._stage.num_batches)
        return int(order[place])


class KeptFramesObjective(nn.Module):
    """The video decoder with its losses; nothing else gets a gradient.

    Args:
        model: The network; its video decoder is trained in place.
        stage: Losses.
        reduce: Mean of a number over all devices.
    """

    def __init__(self, model: SSA, stage: KeptClipsStage, reduce: Reduce) -> None:
        super().__init__()
        self.model, self.stage, self.reduce = model, stage, reduce
        self.places = PlaceHeads(model.config.hidden_dim)
        model.requires_grad_(False)
        model.video_decoder.requires_grad_(True)
        set_dropout(model, model.config.dropout if stage.dropout is None else stage.dropout)

    def forward(self, kept: KeptFrames) -> StepLoss:
        """Loss of a batch on the network's device."""
        loss, dtype = self.stage.loss, self.model.dtype
        queries, text, features = (values.to(dtype) for values in kept[:3])
        output = decode_video(self.model, queries[None], text, features)
        of_frames = Matches(kept.query[None], kept.matched[None])
        with torch.autocast(queries.device.type, enabled=False):
            output = video_float32(output)
            video = video_losses(self.model, output, of_frames, kept.masks, kept.meant, loss, self.reduce)
            place, motion = self.places(output, of_frames, kept.masks)
            total = video.total + loss.place_weight * (place + motion)
        return StepLoss(total, torch.cat([video.parts, torch.stack([place, motion]).detach()]))


@torch.no_grad()
def _keep(model: SSA, batch: ClipBatch, stage: KeptClipsStage) -> KeptFrames:
    batch = ClipBatch(*(field.to(model.device) for field in batch))
    text = encode_text(model.clip, batch.tokens, model.config.clip.num_words)
    frames = generate(model, normalize(batch.images, batch.extents), text, batch.clip_index)
    num_items, num_objects, T = batch.masks.shape[:3]
    prediction = frame_prediction(frames._replace(predictions=frames.predictions[-1:]))
    found = match(prediction, frame_targets(batch.masks, batch.possible), stage.loss)
    smaller = F.avg_pool2d(batch.masks.flatten(0, 1).float(), _COARSER) >= 0.5
    kept = KeptFrames(
        queries=frames.queries.unflatten(0, (num_items, T)).half(),
        text=frames.text.unflatten(0, (num_items, T)).half(),
        mask_features=F.avg_pool2d(frames.mask_features, _COARSER).unflatten(0, (num_items, T)).half(),
        query=found.query.view(num_items, T, num_objects),
        matched=found.matched.view(num_items, T, num_objects),
        masks=smaller.unflatten(0, (num_items, num_objects)).to(torch.uint8),
        meant=batch.meant,
    )
    return KeptFrames(*(field.cpu() for field in kept))
