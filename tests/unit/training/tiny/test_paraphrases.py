"""Pairs of sentences that mean the same."""

import re

import numpy as np
import open_clip
import pytest
import torch

from ssa_stream.data import CLIP_ONLY_WORDS, HELD_OUT_PHRASES
from ssa_stream.model import SSA
from ssa_stream.model.clip import tokenize
from ssa_stream.training.config import OptimizerConfig
from ssa_stream.training.tiny.clip.captions import CaptionBatch, CaptionBatches
from ssa_stream.training.tiny.clip.contrastive import ContrastiveObjective
from ssa_stream.training.tiny.clip.paraphrases import ParaphrasePool
from ssa_stream.training.tiny.config import ClipPretrainStage

STAGE = ClipPretrainStage(
    name="sentences",
    steps=4,
    batch=4,
    sizes=((64, 96),),
    paraphrases=6,
    paraphrase_scenes=3,
    optimizer=OptimizerConfig(lr=1e-3),
)


@pytest.fixture(scope="module")
def pool() -> ParaphrasePool:
    """Sentences about a few scenes."""
    return ParaphrasePool(6, 0)


def test_pairs_are_reworded_and_know_their_equals(pool: ParaphrasePool) -> None:
    """Most pairs differ in words, and few mean the same as another."""
    tokens, equal = pool.pairs(48, np.random.default_rng(0), 77)
    assert tokens.shape == (48, 2, 77)
    assert equal.shape == (48, 48)
    assert equal.diagonal().all()
    assert torch.equal(equal, equal.T)
    differs = (tokens[:, 0] != tokens[:, 1]).any(dim=1)
    assert differs.float().mean() > 0.5
    assert equal.sum() < 4 * 48


def test_pairs_of_equal_chance_are_equal(pool: ParaphrasePool) -> None:
    """What makes a run resumable: the pool says the same to the same chance, and is the same for the same seed."""
    first, second = (pool.pairs(16, np.random.default_rng(3), 77)[0] for _ in range(2))
    again = ParaphrasePool(6, 0).pairs(16, np.random.default_rng(3), 77)[0]
    assert torch.equal(first, second)
    assert torch.equal(first, again)


def test_only_one_of_a_pair_has_words_that_ssa_does_not_train_on(pool: ParaphrasePool) -> None:
    """The other ties their meaning to words that it does; and nobody is told what is not a word."""
    tokens = pool.pairs(400, np.random.default_rng(0), 77)[0]
    trained, told = ([_said(row) for row in tokens[:, side]] for side in (0, 1))
    phrases = [re.compile(rf"\b{phrase}(s|es)?\b") for phrase in HELD_OUT_PHRASES]
    assert not any(phrase.search(text) for phrase in phrases for text in trained)
    found = {phrase for phrase in HELD_OUT_PHRASES if any(re.search(rf"\b{phrase}", text) for text in told)}
    assert len(found) > len(CLIP_ONLY_WORDS) / 2
    assert found <= set(CLIP_ONLY_WORDS)


def _said(tokens: torch.Tensor) -> str:
    text: str = open_clip.decode(tokens[: int(tokens.argmax()) + 1])
    return text


def test_batches_hold_pairs_when_asked_for() -> None:
    """A stage without paraphrases pays nothing for them."""
    batch = CaptionBatches(STAGE, 0, 77, 0, 1)[1]
    assert batch.fits.diagonal().all()
    assert batch.paraphrases.shape == (6, 2, 77)
    plain = ClipPretrainStage(name="clip", steps=4, batch=4, sizes=((64, 96),), optimizer=STAGE.optimizer)
    assert len(CaptionBatches(plain, 0, 77, 0, 1)[1].paraphrases) == 0


def test_objective_teaches_sentences_apart_with_images_frozen(model: SSA) -> None:
    """A few steps on two pairs: the loss falls, the nearest sentence is the right one, images stay as they were."""
    objective = ContrastiveObjective(model.clip, freeze_images=True)
    said = tokenize(["it moves left", "it goes to the left", "it moves right", "it goes to the right"], 77)
    images, apart = torch.zeros(2, 32, 32, 3, dtype=torch.uint8), torch.eye(2, dtype=torch.bool)
    masks, attributes = torch.ones(2, 32, 32, dtype=torch.uint8), torch.zeros(2, 3, dtype=torch.int64)
    batch = CaptionBatch(images, masks, torch.arange(2), attributes, said[:2], apart, said.view(2, 2, 77), apart)
    before = {name: value.clone() for name, value in model.clip.visual.named_parameters()}
    learnable = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learnable, lr=1e-2)
    losses = []
    for _ in range(12):
        loss = objective(batch)
        loss.total.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.parts[3]))
    assert losses[-1] < 0.5 * losses[0]
    assert float(objective(batch).parts[4]) == 1.0
    assert all(torch.equal(value, before[name]) for name, value in model.clip.visual.named_parameters())
    objective = ContrastiveObjective(model.clip)
    assert all(parameter.requires_grad for parameter in objective.parameters())


def test_stage_with_negative_number_of_pairs_is_refused() -> None:
    """The message names the stage."""
    with pytest.raises(ValueError, match="stage sentences: paraphrases is -1"):
        ClipPretrainStage(name="sentences", steps=1, batch=1, paraphrases=-1, optimizer=STAGE.optimizer)
