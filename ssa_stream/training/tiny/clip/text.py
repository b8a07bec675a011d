"""Teaching the text tower to pass over words that it does not know, and to say what it said of all others."""

import copy
from typing import NamedTuple

import numpy as np
import torch
from open_clip.model import CLIP
from torch import Tensor, nn
from torch.utils.data import Dataset

from ssa_stream.model.clip import TextFeatures, encode_text
from ssa_stream.training.objectives.objective import StepLoss
from ssa_stream.training.tiny.clip.paraphrases import ParaphrasePool
from ssa_stream.training.tiny.clip.unknown_words import with_unknown_words

__all__ = ["TEXT_PARTS", "TextBatch", "TextBatches", "TextObjective"]

_SENTENCE_STREAM = 112

TEXT_PARTS = ("kept_words", "kept_sentence", "unknown_words", "unknown_sentence")
"""Parts of the loss that are logged: squared errors as parts of the squared length."""


class TextBatch(NamedTuple):
    """`R` sentences, as they are and with unknown words in them.

    Attributes:
        tokens: `(R, 77)` int64.
        with_unknown: `(R, 77)` int64.
        source: Which position of the first each position of the second is or stands for, `(R, 77)` int64.
    """

    tokens: Tensor
    with_unknown: Tensor
    source: Tensor


class TextBatches(Dataset[TextBatch]):
    """Batch number `step` of one device.

    Args:
        scenes: Scenes that the sentences are about.
        steps: Number of batches.
        count: Sentences of this device in each.
        seed: Seed of the run.
        context_length: Of the text tower.
        rank: Number of this device.
    """

    def __init__(self, scenes: int, steps: int, count: int, seed: int, context_length: int, rank: int) -> None:
        self._pool = ParaphrasePool(scenes, seed)
        self._steps, self._count, self._seed, self._context, self._rank = steps, count, seed, context_length, rank

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> TextBatch:
        rng = np.random.default_rng([self._seed, _SENTENCE_STREAM, step, self._rank])
        pairs, _ = self._pool.pairs(-(-self._count // 2), rng, self._context)
        tokens = pairs.flatten(0, 1)[: self._count]
        return TextBatch(tokens, *with_unknown_words(tokens, rng))


class TextObjective(nn.Module):
    """CLIP's text tower beside the one that it was: what the rest of the network was trained on stays as it is.

    Args:
        clip: What is trained.
        num_words: Token positions that the network sees.
    """

    def __init__(self, clip: CLIP, num_words: int) -> None:
        super().__init__()
        self.clip = clip
        self.before = copy.deepcopy(clip)
        self.before.visual = nn.Identity()
        self._num_words = num_words
        clip.requires_grad_(True)
        clip.visual.requires_grad_(False)
        clip.logit_scale.requires_grad_(False)
        self.before.requires_grad_(False)

    def forward(self, batch: TextBatch) -> StepLoss:
        """Loss of a batch on CLIP's device."""
        with torch.no_grad():
            wanted = encode_text(self.before, batch.tokens, batch.tokens.shape[1])
        kept = encode_text(self.clip, batch.tokens, self._num_words)
        unknown = encode_text(self.clip, batch.with_unknown, self._num_words)
        source = batch.source[:, : self._num_words, None].expand(-1, -1, wanted.words.shape[-1])
        with torch.autocast(batch.tokens.device.type, enabled=False):
            parts = torch.stack(
                [
                    *_errors(kept, wanted.words[:, : self._num_words], wanted.sentence),
                    *_errors(unknown, wanted.words.gather(1, source), wanted.sentence),
                ]
            )
        return StepLoss(parts.sum(), parts.detach())


def _errors(found: TextFeatures, words: Tensor, sentence: Tensor) -> tuple[Tensor, Tensor]:
    """Squared errors of words and sentences, as parts of their squared length."""
    mask = found.mask
    return _error(found.words[mask], words[mask]), _error(found.sentence, sentence)


def _error(found: Tensor, wanted: Tensor) -> Tensor:
    wanted = wanted.float()
    return (found.float() - wanted).square().sum() / wanted.square().sum()
