"""Contrastive pre-training of CLIP.

`R` objects with captions in `B` pictures, `P` pairs of sentences, `E` embedding width.
"""

import math

import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from torch import Tensor, nn

from ssa_stream.data import ATTRIBUTES
from ssa_stream.model.clip import trunk_channels
from ssa_stream.training.data.batch import normalize
from ssa_stream.training.objectives.objective import StepLoss
from ssa_stream.training.tiny.attributes import AttributeHeads, object_features
from ssa_stream.training.tiny.clip.captions import CaptionBatch

__all__ = ["CLIP_PARTS", "ContrastiveObjective", "contrastive_loss", "retrieval_accuracy"]

CLIP_PARTS = ("contrastive", "image_to_text", "text_to_image", "paraphrase", "paraphrase_to_other", *ATTRIBUTES)
_MAX_LOGIT_SCALE = math.log(100)


def contrastive_loss(one: Tensor, other: Tensor, scale: Tensor, fits: Tensor) -> Tensor:
    """Symmetric cross-entropy over the batch; all that fits is equally right.

    Args:
        one: Normalised embeddings, `(B, E)`.
        other: Normalised embeddings, `(B, E)`.
        scale: Factor on cosine similarity, a scalar.
        fits: Which of the others, columns, are right for which of the first, rows, `(B, B)` bool; the diagonal is.
    Source: CLIP (Radford et al. 2021). Differs: of generated pictures it is known which captions are true, also of
        others than their own, so that the target is spread over all of them.
    """
    logits = scale * one @ other.T
    target = fits.to(logits.dtype)
    forth, back = target / target.sum(dim=1, keepdim=True), target.T / target.T.sum(dim=1, keepdim=True)
    return (F.cross_entropy(logits, forth) + F.cross_entropy(logits.T, back)) / 2


class ContrastiveObjective(nn.Module):
    """CLIP with its losses. Each device contrasts its own part of the batch.

    Args:
        clip: What is trained.
        freeze_images: Train the text tower only.
    """

    def __init__(self, clip: CLIP, *, freeze_images: bool = False) -> None:
        super().__init__()
        self.clip = clip
        self.attributes = AttributeHeads(trunk_channels(clip)[1:])  # the first stage sees too little of an object
        clip.requires_grad_(True)
        clip.visual.requires_grad_(not freeze_images)
        self.attributes.requires_grad_(not freeze_images)

    def forward(self, batch: CaptionBatch) -> StepLoss:
        """Loss of a batch on CLIP's device."""
        features = object_features(self.clip, normalize(batch.images), batch.masks, batch.picture)
        visual = self.clip.visual
        image = F.normalize(visual.head(visual.trunk.forward_head(features[-1][:, :, None, None])), dim=-1)
        text = _encode_captions(self.clip, batch.tokens)
        with torch.autocast(batch.images.device.type, enabled=False):
            image, text = image.float(), text.float()
            scale = self.clip.logit_scale.clamp(max=_MAX_LOGIT_SCALE).exp()
            loss = contrastive_loss(image, text, scale, batch.fits)
            to_text, to_image = retrieval_accuracy(image.detach(), text.detach(), batch.fits)
        paraphrase, to_other = self._paraphrases(batch, scale)
        naming, named = self.attributes(features[1:], batch.attributes)
        parts = [loss.detach(), to_text, to_image, paraphrase.detach(), to_other, *named.unbind()]
        return StepLoss(loss + paraphrase + naming, torch.stack(parts))

    def _paraphrases(self, batch: CaptionBatch, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of telling sentences apart by meaning, and part of them whose nearest sentence is the right one."""
        if not len(batch.paraphrases):
            return scale.new_zeros(()), scale.new_zeros(())
        both = _encode_captions(self.clip, batch.paraphrases.flatten(0, 1))
        with torch.autocast(batch.images.device.type, enabled=False):
            one, other = both.float().unflatten(0, (-1, 2)).unbind(1)
            loss = contrastive_loss(one, other, scale, batch.equal)
            return loss, retrieval_accuracy(one.detach(), other.detach(), batch.equal)[0]


def _encode_captions(clip: CLIP, tokens: Tensor) -> Tensor:
    """Normalised embeddings; no longer than the longest caption, since no token sees those after it."""
    ends = tokens.argmax(dim=1)
    length = int(ends.max()) + 1
    x = clip.token_embedding(tokens[:, :length]) + clip.positional_embedding[:length]
    x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask[:length, :length])) @ clip.text_projection
    return F.normalize(x[torch.arange(len(x), device=x.device), ends], dim=-1)


def retrieval_accuracy(one: Tensor, other: Tensor, fits: Tensor) -> tuple[Tensor, Tensor]:
    """Part of the first whose nearest other fits, and of the others whose nearest first does."""
    similarity = one @ other.T
    rows = torch.arange(len(one), device=one.device)
    return fits[rows, similarity.argmax(dim=1)].float().mean(), fits[similarity.argmax(dim=0), rows].float().mean()
