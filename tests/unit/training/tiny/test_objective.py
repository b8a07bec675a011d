"""The further losses of `ssa-tiny`: what is asked of frames and of clips, and what heads learn."""

import msgspec
import torch

from ssa_stream.model import SSA
from ssa_stream.training.config import ClipsStage, LossConfig, SegmentStage
from ssa_stream.training.objectives.objective import SEGMENT_PARTS, SegmentObjective
from ssa_stream.training.tiny.clips import TinyBatch, TinyBatches
from ssa_stream.training.tiny.config import TinyClipsStage
from ssa_stream.training.tiny.objective import TINY_PARTS, TinyObjective


def _batch(stage: TinyClipsStage, step: int = 0) -> TinyBatch:
    return TinyBatches(stage, 0, 0, 77)[step]


def _objective(model: SSA, stage: TinyClipsStage) -> TinyObjective:
    return TinyObjective(model, stage, lambda value: value).train()


def _with_meant(batch: TinyBatch, meant: torch.Tensor) -> TinyBatch:
    return batch._replace(clips=batch.clips._replace(meant=meant))


def test_without_further_losses_it_is_the_published_objective(model: SSA, tiny_stage: TinyClipsStage) -> None:
    """Of sentences that frames leave nothing open of; the other objects' masks make no difference."""
    batch = _batch(tiny_stage)
    assert torch.equal(batch.possible, batch.clips.meant)
    assert batch.known.sum() > batch.clips.meant.sum()
    published = ClipsStage(
        **{name: getattr(tiny_stage, name) for name in SegmentStage.__struct_fields__ if name != "loss"},
        loss=LossConfig(num_points=32, frame_layers=2),
    )
    found = []
    for objective, its_batch in (
        (_objective(model, tiny_stage), batch),
        (SegmentObjective(model, published, lambda value: value).train(), batch.clips),
    ):
        torch.manual_seed(0)
        found.append(objective(its_batch))
    torch.testing.assert_close(found[0].total, found[1].total)
    torch.testing.assert_close(found[0].parts[: len(SEGMENT_PARTS)], found[1].parts)


def test_a_frozen_video_decoder_passes_gradients_on(model: SSA, tiny_stage: TinyClipsStage) -> None:
    """Frames learn what it knows how to read; a later stage trains it again."""
    frozen = msgspec.structs.replace(tiny_stage, freeze_video=True)
    loss = _objective(model, frozen)(_batch(tiny_stage))
    loss.total.backward()
    learners = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    wanted = {name for name, _ in model.named_parameters() if not name.startswith(("clip.", "video_decoder."))}
    assert learners == wanted
    _objective(model, tiny_stage)
    assert all(parameter.requires_grad for parameter in model.video_decoder.parameters())


def test_frames_far_apart_ask_for_no_class_that_they_leave_open(model: SSA, tiny_stage: TinyClipsStage) -> None:
    """Whatever of the open objects is meant, the class loss of the video decoder is the same."""
    data = msgspec.structs.replace(tiny_stage.data, spread=5)
    batch = _batch(tiny_stage)
    batch = _with_meant(batch, torch.zeros_like(batch.clips.meant))
    batch.possible[0] = batch.known[0]
    batch.clips.meant[1:] = batch.possible[1:]
    assert batch.known[0].any()
    one_meant = batch.clips.meant.clone()
    one_meant[0, 0] = True
    batch.possible[0, -1] = True
    for spread, equal in ((data, True), (tiny_stage.data, False)):
        found = []
        for meant in (batch.clips.meant, one_meant):
            torch.manual_seed(0)
            loss = msgspec.structs.replace(tiny_stage.loss, all_objects=True)
            objective = _objective(model, msgspec.structs.replace(tiny_stage, data=spread, loss=loss))
            found.append(objective(_with_meant(batch, meant)).parts[TINY_PARTS.index("video_class")])
        assert (found[0] == found[1]) == equal


def test_duplicates_change_the_video_classes_only(model: SSA, tiny_stage: TinyClipsStage) -> None:
    """Any overlap makes a duplicate here, so that an untrained network has some."""
    parts = []
    for iou in (0.0, 1e-6):
        torch.manual_seed(0)
        loss = msgspec.structs.replace(tiny_stage.loss, all_objects=True, duplicate_iou=iou)
        objective = _objective(model, msgspec.structs.replace(tiny_stage, loss=loss))
        parts.append(dict(zip(TINY_PARTS, objective(_batch(tiny_stage)).parts.tolist(), strict=True)))
    assert [name for name in TINY_PARTS[:4] if parts[0][name] != parts[1][name]] == ["video_class"]


def test_locations_and_looks_are_learned_by_heads_that_have_a_weight(model: SSA, tiny_stage: TinyClipsStage) -> None:
    """Without weights there are none. Only they are trained here: the features hold something of all of it."""
    batch = _batch(tiny_stage)
    assert not list(_objective(model, tiny_stage).heads.parameters())
    loss = msgspec.structs.replace(tiny_stage.loss, location_weight=1.0, outline_weight=1.0, token_weight=1.0)
    objective = _objective(model, msgspec.structs.replace(tiny_stage, loss=loss))
    before = dict(zip(TINY_PARTS, objective(batch).parts, strict=True))
    optimizer = torch.optim.AdamW(objective.heads.parameters(), lr=1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        objective(batch).total.backward()
        optimizer.step()
    after = dict(zip(TINY_PARTS, objective(batch).parts, strict=True))
    assert all(0 < after[name] < before[name] for name in ("location", "outline", "look", "reference"))


def test_frames_are_to_find_what_is_possible_and_videos_what_is_meant(model: SSA, tiny_stage: TinyClipsStage) -> None:
    """A clip decides between the objects that its frames leave open."""
    batch = _batch(tiny_stage)
    assert batch.clips.meant.any()
    parts = []
    nothing = torch.zeros_like(batch.possible)
    for changed in (batch, _with_meant(batch, nothing), batch._replace(possible=nothing)):
        torch.manual_seed(0)
        loss = _objective(model, tiny_stage)(changed)
        parts.append(dict(zip(TINY_PARTS, loss.parts.tolist(), strict=True)))
    whole, nothing_meant, nothing_possible = parts
    assert [nothing_meant[name] == whole[name] for name in TINY_PARTS[:3]] == [True] * 3
    assert nothing_meant["video_mask"] == nothing_meant["video_dice"] == 0 < whole["video_dice"]
    assert nothing_possible["frame_mask"] == nothing_possible["frame_dice"] == 0 < whole["frame_dice"]
    assert nothing_possible["video_dice"] > 0


def test_all_objects_are_asked_for_where_that_is_wanted(model: SSA, tiny_stage: TinyClipsStage) -> None:
    """By their masks; their classes say which are meant."""
    batch = _batch(tiny_stage)
    assert (batch.known & ~batch.possible).any()
    parts = []
    for all_objects, changed in (
        (False, batch),
        (True, batch),
        (True, _with_meant(batch, ~batch.clips.meant)),
        (True, batch._replace(possible=~batch.possible)),
        (True, batch._replace(known=batch.possible)),
    ):
        torch.manual_seed(0)
        loss = msgspec.structs.replace(tiny_stage.loss, all_objects=all_objects)
        objective = _objective(model, msgspec.structs.replace(tiny_stage, loss=loss))
        losses = objective(changed).parts.tolist()
        parts.append(dict(zip(TINY_PARTS, losses, strict=True)))
    of_meant, of_all, others_meant, others_possible, without_others = parts
    assert of_meant["video_dice"] != of_all["video_dice"]
    assert of_meant["frame_dice"] != of_all["frame_dice"]
    assert others_meant["video_class"] != of_all["video_class"]
    assert others_meant["frame_class"] == of_all["frame_class"]
    assert others_possible["frame_class"] != of_all["frame_class"]
    assert without_others["frame_dice"] == of_meant["frame_dice"]
