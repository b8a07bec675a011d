"""From a batch to a loss: what gets a gradient, what the window and the layer copies mean."""

import msgspec
import pytest
import torch

from ssa_stream.model import SSA
from ssa_stream.model.clip import encode_text
from ssa_stream.streaming.window import FrameBatch, WindowState, advance_windows
from ssa_stream.training.config.stages import ClipsStage, LongClipsStage
from ssa_stream.training.data.batch import ClipBatch, normalize
from ssa_stream.training.data.clip_batches import ClipBatches, open_source
from ssa_stream.training.objectives.forward import forward_clips
from ssa_stream.training.objectives.objective import SEGMENT_PARTS, SegmentObjective


def _batch(stage: ClipsStage, step: int = 0) -> ClipBatch:
    return ClipBatches(stage, open_source(stage, 0, 0), 0, 77)[step]


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


def test_a_frozen_video_decoder_passes_gradients_on(model: SSA, stage: ClipsStage) -> None:
    """Frames learn what it knows how to read; a later stage trains it again."""
    frozen = msgspec.structs.replace(stage, freeze_video=True)
    loss = _objective(model, frozen)(_batch(stage))
    loss.total.backward()
    learners = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    wanted = {name for name, _ in model.named_parameters() if not name.startswith(("clip.", "video_decoder."))}
    assert learners == wanted
    _objective(model, stage)
    assert all(parameter.requires_grad for parameter in model.video_decoder.parameters())


def test_frames_far_apart_ask_for_no_class_that_they_leave_open(model: SSA, stage: ClipsStage) -> None:
    """Whatever of the open objects is meant, the class loss of the video decoder is the same."""
    data = msgspec.structs.replace(stage.data, spread=5)
    batch = _batch(stage)
    batch = batch._replace(meant=torch.zeros_like(batch.meant))
    batch.possible[0] = batch.known[0]
    batch.meant[1:] = batch.possible[1:]
    assert batch.known[0].any()
    one_meant = batch.meant.clone()
    one_meant[0, 0] = True
    batch.possible[0, -1] = True
    for spread, equal in ((data, True), (stage.data, False)):
        found = []
        for meant in (batch.meant, one_meant):
            torch.manual_seed(0)
            loss = msgspec.structs.replace(stage.loss, all_objects=True)
            objective = _objective(model, msgspec.structs.replace(stage, data=spread, loss=loss))
            found.append(objective(batch._replace(meant=meant)).parts[SEGMENT_PARTS.index("video_class")])
        assert (found[0] == found[1]) == equal


def test_duplicates_change_the_video_classes_only(model: SSA, stage: ClipsStage) -> None:
    """Any overlap makes a duplicate here, so that an untrained network has some."""
    parts = []
    for iou in (0.0, 1e-6):
        torch.manual_seed(0)
        loss = msgspec.structs.replace(stage.loss, all_objects=True, duplicate_iou=iou)
        objective = _objective(model, msgspec.structs.replace(stage, loss=loss))
        parts.append(dict(zip(SEGMENT_PARTS, objective(_batch(stage)).parts.tolist(), strict=True)))
    assert [name for name in SEGMENT_PARTS[:4] if parts[0][name] != parts[1][name]] == ["video_class"]


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


def test_locations_and_looks_are_learned_by_heads_that_have_a_weight(model: SSA, stage: ClipsStage) -> None:
    """Without weights there are none. Only they are trained here: the features hold something of all of it."""
    batch = _batch(stage)
    assert not list(_objective(model, stage).auxiliary.parameters())
    loss = msgspec.structs.replace(stage.loss, location_weight=1.0, outline_weight=1.0, token_weight=1.0)
    objective = _objective(model, msgspec.structs.replace(stage, loss=loss))
    before = dict(zip(SEGMENT_PARTS, objective(batch).parts, strict=True))
    optimizer = torch.optim.AdamW(objective.auxiliary.parameters(), lr=1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        objective(batch).total.backward()
        optimizer.step()
    after = dict(zip(SEGMENT_PARTS, objective(batch).parts, strict=True))
    assert all(0 < after[name] < before[name] for name in ("location", "outline", "look", "reference"))


def test_frames_are_to_find_what_is_possible_and_videos_what_is_meant(model: SSA, stage: ClipsStage) -> None:
    """A clip decides between the objects that its frames leave open."""
    batch = _batch(stage)
    assert batch.meant.any()
    parts = []
    for name in ("none", "meant", "possible"):
        torch.manual_seed(0)
        loss = _objective(model, stage)(
            batch._replace(**({name: torch.zeros_like(batch.meant)} if name != "none" else {}))
        )
        parts.append(dict(zip(SEGMENT_PARTS, loss.parts.tolist(), strict=True)))
    whole, nothing_meant, nothing_possible = parts
    assert [nothing_meant[name] == whole[name] for name in SEGMENT_PARTS[:3]] == [True] * 3
    assert nothing_meant["video_mask"] == nothing_meant["video_dice"] == 0 < whole["video_dice"]
    assert nothing_possible["frame_mask"] == nothing_possible["frame_dice"] == 0 < whole["frame_dice"]
    assert nothing_possible["video_dice"] > 0


def test_all_objects_are_asked_for_where_that_is_wanted(model: SSA, stage: ClipsStage) -> None:
    """By their masks; their classes say which are meant."""
    batch = _batch(stage)
    assert (batch.known & ~batch.possible).any()
    parts = []
    for all_objects, changed in (
        (False, {}),
        (True, {}),
        (True, {"meant": ~batch.meant}),
        (True, {"possible": ~batch.possible}),
        (True, {"known": batch.possible}),
    ):
        torch.manual_seed(0)
        loss = msgspec.structs.replace(stage.loss, all_objects=all_objects)
        objective = _objective(model, msgspec.structs.replace(stage, loss=loss))
        losses = objective(batch._replace(**changed)).parts.tolist()
        parts.append(dict(zip(SEGMENT_PARTS, losses, strict=True)))
    of_meant, of_all, others_meant, others_possible, without_others = parts
    assert of_meant["video_dice"] != of_all["video_dice"]
    assert of_meant["frame_dice"] != of_all["frame_dice"]
    assert others_meant["video_class"] != of_all["video_class"]
    assert others_meant["frame_class"] == of_all["frame_class"]
    assert others_possible["frame_class"] != of_all["frame_class"]
    assert without_others["frame_dice"] == of_meant["frame_dice"]


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


@pytest.mark.parametrize("frame_layers", [1, 2])
def test_long_clip_sees_what_a_stream_has_carried(model: SSA, stage: ClipsStage, frame_layers: int) -> None:
    """The window at a long clip's end is the window of a streaming session after the same frames."""
    window, decay, frames = 3, 0.9, 6
    long_stage = LongClipsStage(
        **{field: getattr(stage, field) for field in stage.__struct_fields__} | {"frames": (frames, frames)},
        window=window,
    )
    batch = _batch(long_stage)
    objective = _objective(model, long_stage)
    text = encode_text(model.clip, batch.tokens[:1], 8)
    images = normalize(batch.images)[:1]
    trained = forward_clips(
        objective.model,
        images,
        text,
        torch.zeros(1, dtype=torch.int64),
        frame_layers=frame_layers,
        window=window,
        decay=decay,
    )
    with torch.no_grad():
        rows = text.take(torch.zeros(frames, dtype=torch.int64))
        made = model.generate_queries(model.encode_frame(images[0], rows), rows)
        model.eval()
        state: WindowState | None = None
        for t in range(frames):
            new = FrameBatch(made.queries[t : t + 1], made.text[t : t + 1])
            (step,) = advance_windows(model, [state], [new], window=window, decay=decay)
            state = step.state
    torch.testing.assert_close(trained.video.prediction.embeddings[-1, 0], step.mask_embedding, rtol=1e-4, atol=1e-4)
    assert trained.video.prediction.features.shape[1] == window


def test_frames_before_the_window_get_no_gradient(model: SSA, stage: ClipsStage) -> None:
    """They come in through the carried pool as numbers; yet they matter."""
    batch = _batch(msgspec.structs.replace(stage, frames=(4, 4)))
    objective = _objective(model, stage)
    images = normalize(batch.images).requires_grad_()
    text = encode_text(model.clip, batch.tokens, 8)
    output = forward_clips(objective.model, images, text, batch.clip_index, window=2)
    output.video.prediction.embeddings.sum().backward()
    assert images.grad is not None
    assert images.grad[:, :2].abs().sum() == 0
    assert images.grad[:, 2:].abs().sum() > 0
    alone = forward_clips(objective.model, images[:, 2:], text, batch.clip_index)
    assert not torch.allclose(alone.video.prediction.embeddings, output.video.prediction.embeddings)
