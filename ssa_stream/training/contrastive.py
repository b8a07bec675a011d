"""Contrastive pre-training of CLIP. `B` pairs of image and caption, `E` embedding width."""

import math

import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from torch import Tensor, nn

from ssa_stream.training.batch import ImageBatch, normalize
from ssa_stream.training.objective import StepLoss

__all__ = ["CLIP_PARTS", "ContrastiveObjective", "contrastive_loss", "retrieval_accuracy"]

CLIP_PARTS = ("contrastive", "image_to_text", "text_to_image")
_MAX_LOGIT_SCALE = math.log(100)


def contrastive_loss(image: Tensor, text: Tensor, scale: Tensor, tokens: Tensor) -> Tensor:
    """Symmetric cross-entropy over the batch; equal captions are equally right.

    Args:
        image: Normalised embeddings, `(B, E)`.
        text: Normalised embeddings, `(B, E)`.
        scale: Factor on cosine similarity, a scalar.
        tokens: `(B, 77)`; tells which captions are equal.
    Source: CLIP (Radford et al. 2021). Differs: with a small vocabulary captions repeat within a batch, so that the
        target is spread over all equal ones.
    """
    logits = scale * image @ text.T
    same = (tokens[:, None] == tokens).all(dim=-1).to(logits.dtype)
    target = same / same.sum(dim=1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


class ContrastiveObjective(nn.Module):
    """CLIP with its loss; all of it is trained. Each device contrasts its own part of the batch."""

    def __init__(self, clip: CLIP) -> None:
        super().__init__()
        self.clip = clip
        clip.requires_grad_(True)

    def forward(self, batch: ImageBatch) -> StepLoss:
        """Loss of a batch on CLIP's device."""
        image = self.clip.encode_image(normalize(batch.images), normalize=True)
        text = _encode_captions(self.clip, batch.tokens)
        with torch.autocast(batch.images.device.type, enabled=False):
            image, text = image.float(), text.float()
            scale = self.clip.logit_scale.clamp(max=_MAX_LOGIT_SCALE).exp()
            loss = contrastive_loss(image, text, scale, batch.tokens)
            to_text, to_image = retrieval_accuracy(image.detach(), text.detach(), batch.tokens)
        return StepLoss(loss, torch.stack([loss.detach(), to_text, to_image]))


def _encode_captions(clip: CLIP, tokens: Tensor) -> Tensor:
    """Normalised embeddings; no longer than the longest caption, since no token sees those after it."""
    ends = tokens.argmax(dim=1)
    length = int(ends.max()) + 1
    x = clip.token_embedding(tokens[:, :length]) + clip.positional_embedding[:length]
    x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask[:length, :length])) @ clip.text_projection
    return F.normalize(x[torch.arange(len(x), device=x.device), ends], dim=-1)


def retrieval_accuracy(image: Tensor, text: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Part of the images whose nearest text is right, and of the texts whose nearest image is; equal texts count."""
    similarity = image @ text.T
    same = (tokens[:, None] == tokens).all(dim=-1)
    rows = torch.arange(len(image), device=image.device)
    return same[rows, similarity.argmax(dim=1)].float().mean(), same[rows, similarity.argmax(dim=0)].float().mean()
