"""Frames computed once: the losses of an ordinary stage, only the video decoder learns, any step can be the next."""

import msgspec
import pytest
import torch

from ssa_stream.model import SSA
from ssa_stream.training.clip_batches import ClipBatches, open_source
from ssa_stream.training.config import ClipsStage, KeptClipsStage
from ssa_stream.training.kept_frames import KEPT_PARTS, KeptBatches, KeptFrames, KeptFramesObjective
from ssa_stream.training.objective import SEGMENT_PARTS, SegmentObjective


@pytest.fixture
def kept(stage: ClipsStage) -> KeptClipsStage:
    """Four steps, two batches."""
    loss = msgspec.structs.replace(stage.loss, frame_layers=1, num_points=512, place_weight=1.0)
    fields = msgspec.structs.asdict(msgspec.structs.replace(stage, loss=loss))
    return KeptClipsStage(passes=2, **fields)


def _batches(model: SSA, stage: KeptClipsStage) -> KeptBatches:
    return KeptBatches(ClipBatches(stage, open_source(stage, 0, 0), 0, 77), model, stage, 0)


def _equal(one: KeptFrames, other: KeptFrames) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_each_pass_has_all_batches(model: SSA, kept: KeptClipsStage) -> None:
    """In an order of its own; the network is asked once for each of them."""
    batches = _batches(model, msgspec.structs.replace(kept, steps=12, passes=4))
    numbers = [[batches[step] for step in range(first, first + 3)] for first in (0, 3, 6, 9)]
    identities = [[id(batch) for batch in one] for one in numbers]
    assert all(set(one) == set(identities[0]) and len(set(one)) == 3 for one in identities)
    assert len({tuple(one) for one in identities}) > 1


def test_a_resumed_run_computes_what_it_lacks(model: SSA, kept: KeptClipsStage) -> None:
    """Whatever the video decoder has learned since, and whatever chance was used up."""
    first = [_batches(model, kept)[step] for step in range(4)]
    with torch.no_grad():
        for parameter in model.video_decoder.parameters():
            parameter.add_(0.1)
    torch.rand(7)
    assert all(_equal(_batches(model, kept)[step], first[step]) for step in (3, 2))


def test_losses_are_those_of_an_ordinary_stage(model: SSA, kept: KeptClipsStage) -> None:
    """But for what is kept at half the resolution and in 16 bits, and the points that are drawn."""
    objective = SegmentObjective(model, kept, lambda value: value).train()
    whole = objective(ClipBatches(kept, open_source(kept, 0, 0), 0, 77)[_batches(model, kept)._number(0)])
    ordinary = dict(zip(SEGMENT_PARTS, whole.parts.tolist(), strict=True))
    few = KeptFramesObjective(model, kept, lambda value: value).train()(_batches(model, kept)[0])
    found = dict(zip(KEPT_PARTS, few.parts.tolist(), strict=True))
    for name in ("video_class", "video_mask", "video_dice", "similarity"):
        assert found[name] == pytest.approx(ordinary[name], rel=0.15, abs=0.03), name


def test_only_the_video_decoder_learns(model: SSA, kept: KeptClipsStage) -> None:
    """And the heads; a later stage of another kind trains all but CLIP again."""
    objective = KeptFramesObjective(model, kept, lambda value: value).train()
    objective(_batches(model, kept)[0]).total.backward()
    assert {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None} == {"video_decoder"}
    assert all(p.grad is not None for p in objective.places.parameters())
    SegmentObjective(model, kept, lambda value: value)
    assert all(p.requires_grad != name.startswith("clip.") for name, p in model.named_parameters())


def test_more_layers_than_are_kept_are_refused(kept: KeptClipsStage) -> None:
    """The last layer's queries are all that there is."""
    with pytest.raises(ValueError, match="set it to 1"):
        msgspec.structs.replace(kept, loss=msgspec.structs.replace(kept.loss, frame_layers=2))
