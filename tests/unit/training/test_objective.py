"""From a batch to a loss: what gets a gradient, what the quirks change."""

import msgspec
import pytest
import torch

from ssa_stream.model import SSA
from ssa_stream.model.clip import encode_text
from ssa_stream.training.config import ClipsStage
from ssa_stream.training.data.batch import ClipBatch, normalize
from ssa_stream.training.data.clip_batches import ClipBatches, open_clips
from ssa_stream.training.objectives.forward import forward_clips
from ssa_stream.training.objectives.objective import SEGMENT_PARTS, SegmentObjective


def _batch(stage: ClipsStage, step: int = 0) -> ClipBatch:
    return ClipBatches(stage, open_clips(stage, 0, 0), 0, 77)[step]


def _objective(model: SSA, stage: ClipsStage) -> SegmentObjective:
    return SegmentObjective(model, stage, lambda value: value).train()


def test_loss_reaches_everything_but_clip(model: SSA, stage: ClipsStage) -> None:
    """CLIP is frozen; every other tensor gets a gradient, as in the reference."""
    loss = _objective(model, stage)(_batch(stage))
    loss.total.backward()
    assert loss.parts.shape == (len(SEGMENT_PARTS),)
    assert all(parameter.grad is None for parameter in model.clip.parameters())
    without = [name for name, p in model.named_parameters() if p.grad is None and not name.startswith("clip.")]
    assert without == []


def test_stochastic_depth_quirk_wakes_clip_only_when_asked(model: SSA, stage: ClipsStage) -> None:
    """CLIP stays in evaluation mode by default."""
    assert not _objective(model, stage).model.clip.training
    assert _objective(model, msgspec.structs.replace(stage, stochastic_depth=True)).model.clip.training


@pytest.mark.parametrize("dropout", [0.0, None], ids=["off", "of_the_model"])
def test_stage_dropout_replaces_that_of_the_model(model: SSA, stage: ClipsStage, dropout: float | None) -> None:
    """Without it two passes are equal; else they differ."""
    batch = _batch(stage)
    objective = _objective(model, msgspec.structs.replace(stage, dropout=dropout))
    text = encode_text(model.clip, batch.tokens, 8)
    first, second = (
        forward_clips(objective.model, normalize(batch.images), text, batch.clip_index).video.prediction.class_logits
        for _ in range(2)
    )
    assert torch.equal(first, second) == (dropout == 0)


def test_quirk_of_misordered_similarity_changes_the_similarity_only(model: SSA, stage: ClipsStage) -> None:
    """Queries are re-ordered between frames, so that indices of the other order hit other queries."""
    parts = []
    for misordered in (False, True):
        loss = msgspec.structs.replace(stage.loss, misordered_similarity=misordered)
        torch.manual_seed(0)
        parts.append(_objective(model, msgspec.structs.replace(stage, loss=loss))(_batch(stage)).parts)
    differ = [name for name, one, other in zip(SEGMENT_PARTS, *parts, strict=True) if one != other]
    assert differ == ["similarity"]


def test_several_sentences_of_a_clip_equal_the_clip_given_several_times(model: SSA, stage: ClipsStage) -> None:
    """They share the pixels and the first trunk stage, nothing else."""
    batch = _batch(stage)
    objective = _objective(model, stage)
    text = encode_text(model.clip, batch.tokens, 8)
    images = normalize(batch.images)
    shared = forward_clips(objective.model, images, text, batch.clip_index)
    repeated = forward_clips(objective.model, images[batch.clip_index], text, torch.arange(len(batch.clip_index)))
    torch.testing.assert_close(
        shared.video.prediction.embeddings, repeated.video.prediction.embeddings, rtol=1e-4, atol=1e-4
    )
