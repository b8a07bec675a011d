"""Motion stages: windows say what their frames show, decisions are those of the network, only the right parts learn."""

import msgspec
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ssa_stream.data.synthetic.truth import observe
from ssa_stream.model import SSA, align_chain
from ssa_stream.model.extensions.mask_moments import MaskMoments
from ssa_stream.training.objectives.objective import make_learnable
from ssa_stream.training.tiny.clips import TinyBatches
from ssa_stream.training.tiny.config import MotionStage
from ssa_stream.training.tiny.motion.kept_clips import motion_clip
from ssa_stream.training.tiny.motion.objective import (
    DECISION_PARTS,
    SLOT_PARTS,
    MotionObjective,
    _balanced,
    _Slots,
    _states,
)
from ssa_stream.training.tiny.motion.windows import KeptClips, MotionBatch, MotionBatches
from tests.support.tiny_model import model_with_presence


def _slots_stage(stage: MotionStage) -> MotionStage:
    return msgspec.structs.replace(stage, teaches="slots", ordinary=0)


def _batches(model: SSA, stage: MotionStage, rank: int = 0, world_size: int = 1) -> MotionBatches:
    ordinary = None
    if stage.ordinary:
        others = msgspec.structs.replace(stage, batch=stage.ordinary)
        ordinary = TinyBatches(others, 0, 0, 77, rank, world_size)
    return MotionBatches(ordinary, model, stage, 0, rank, world_size)


def _tensors(batch: object) -> list[torch.Tensor]:
    if isinstance(batch, torch.Tensor):
        return [batch]
    assert isinstance(batch, tuple)
    return [tensor for field in batch for tensor in _tensors(field)]


def _with_masks(batch: MotionBatch) -> MotionBatch:
    """As if the query matched to an object had found its mask, which an untrained network's queries have not."""
    windows = batch.windows
    covers = F.one_hot(windows.query, windows.queries.shape[2]).bool() & windows.matched[..., None]  # (B, T, G, N)
    return batch._replace(windows=windows._replace(covers=covers.transpose(-1, -2)))


def _equal(one: MotionBatch, other: MotionBatch) -> bool:
    assert one.ordinary is not None
    assert other.ordinary is not None
    return all(torch.equal(a, b) for a, b in zip(_tensors(one), _tensors(other), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_windows_are_consistent(model: SSA, motion: MotionStage, share: float) -> None:
    """An object that is meant does what was asked; locations change as velocities say; lengths are within the range."""
    motion = msgspec.structs.replace(motion, retimed=share)
    lengths, meant = set(), 0
    for step in range(6):
        windows = _batches(model, motion)[step].windows
        lengths.add(windows.queries.shape[1])
        does = windows.does.gather(2, windows.asked[:, None].expand(-1, windows.does.shape[1], -1)).transpose(1, 2)
        assert (does[windows.fits][windows.meant[windows.fits]] == 1).all()
        meant += int(windows.meant[windows.fits].sum())
        seen = windows.matched.all(dim=1)  # (B, G)
        assert seen.any()
        change = (windows.location[:, -1] - windows.location[:, 0])[..., :2][seen]
        slope = windows.velocity.mean(dim=1)[..., :2][seen]
        clear = change.abs() > 0.15
        assert (change.sign() == slope.sign())[clear].float().mean() > 0.9
    assert lengths <= {5, 6, 7}
    assert len(lengths) > 1
    assert meant > 0


def test_most_clips_begin_where_their_scene_does(model: SSA, motion: MotionStage) -> None:
    """That is where things stop and turn, and where streams begin; others begin later."""
    at_first = 0
    for number in range(12):
        truth = motion_clip(model, motion, 0, number).truth
        first = observe(truth.scene, 0, motion.kept_frames).truth
        at_first += bool(np.array_equal(truth.poses, first.poses))
    assert 5 <= at_first < 12


@pytest.mark.slow
def test_short_windows_are_judged_by_their_clip(model: SSA, motion: MotionStage) -> None:
    """A stream begins with one frame; what its object does there is not asked, what will be meant is."""
    short = msgspec.structs.replace(motion, frames=(1, 3))
    meant = 0
    for step in range(6):
        windows = _batches(model, short)[step].windows
        assert windows.queries.shape[1] <= 3
        assert (windows.does == -1).all()
        meant += int(windows.meant[windows.fits].sum())
    assert meant > 0


@pytest.mark.slow
def test_a_resumed_run_computes_what_it_lacks(model: SSA, motion: MotionStage) -> None:
    """Whatever the video decoder has learned since, and whatever chance was used up; others' chance is left alone."""
    batches = _batches(model, motion)
    first = [batches[step] for step in range(4)]
    with torch.no_grad():
        for parameter in model.video_decoder.parameters():
            parameter.add_(0.1)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    assert all(_equal(_batches(model, motion)[step], first[step]) for step in (3, 2))
    assert torch.equal(torch.get_rng_state(), before)


def test_kept_ordinary_clips_come_again(model: SSA, motion: MotionStage) -> None:
    """All of them in each round, in another order; a resumed run has the same ones."""
    kept = msgspec.structs.replace(motion, ordinary_batches=3)
    batches = _batches(model, kept)
    rounds = []
    for first in (0, 3, 6):
        ordinary = [batches[step].ordinary for step in range(first, first + 3)]
        rounds.append([str(clips.batch.clips.tokens.tolist()) for clips in ordinary if clips is not None])
    assert len(set(rounds[0])) == 3
    assert set(rounds[0]) == set(rounds[1]) == set(rounds[2])
    assert rounds[0] != rounds[1] or rounds[0] != rounds[2]
    assert _equal(_batches(model, kept)[4], batches[4])


def test_a_part_of_the_kept_sentences_has_unknown_words(model: SSA, motion: MotionStage) -> None:
    """They change what these sentences give and nothing else; stages that differ in it keep other clips."""
    noisy = msgspec.structs.replace(motion, unknown_words=0.5)
    kept, changed = KeptClips(0), []
    for number in range(4):
        with_unknown, heard = (kept.clip(model, stage, number) for stage in (noisy, motion))
        assert with_unknown.sentences == heard.sentences
        assert torch.equal(with_unknown.location, heard.location)
        changed += (with_unknown.text != heard.text).any(dim=1).tolist()
    assert 0.1 < sum(changed) / len(changed) < 0.7


def test_stages_that_follow_each_other_share_kept_clips(model: SSA, motion: MotionStage) -> None:
    """The very frames of the stage before; not those of clips that are made in another way."""
    kept = KeptClips(0)
    first = kept.clip(model, _slots_stage(motion), 1)
    assert kept.clip(model, motion, 1) is first
    longer = msgspec.structs.replace(motion, kept_frames=10)
    assert len(kept.clip(model, longer, 1).queries) == 10
    assert kept.clip(model, motion, 1) is not first


def test_all_objects_are_looked_for_where_that_is_wanted(model: SSA, motion: MotionStage) -> None:
    """Those that look otherwise are never meant, and it is known what they do."""
    loss = msgspec.structs.replace(motion.loss, all_objects=True)
    data = msgspec.structs.replace(motion.data, min_objects=4, max_objects=4)
    stage = msgspec.structs.replace(motion, loss=loss, data=data)
    others = 0
    for step in range(4):
        batches = _batches(model, stage)
        windows = batches[step].windows
        assert windows.location.shape[2] == 4
        assert (windows.does >= 0).any(dim=2).any(dim=0).all()
        others += int((~windows.meant & windows.matched.any(dim=1)[:, None]).sum())
    assert others > 0


def test_devices_keep_different_clips(model: SSA, motion: MotionStage) -> None:
    """Each its share of clips and windows; windows of a step have one length."""
    ours, theirs = (_batches(model, motion, rank, 2)[0].windows for rank in (0, 1))
    assert len(ours.queries) == len(theirs.queries) == 2
    assert ours.queries.shape[1] == theirs.queries.shape[1]
    assert not torch.equal(ours.queries, theirs.queries)


@pytest.mark.parametrize("weight_std", [None, 0.3], ids=["published", "presence"])
def test_states_are_those_of_the_network(model: SSA, motion: MotionStage, weight_std: float | None) -> None:
    """Many sentences about shared slots, or a window decoded for each of them."""
    windows = _batches(model, motion)[0].windows
    decoder = (model if weight_std is None else model_with_presence(weight_std).train()).video_decoder
    with torch.no_grad():
        aligned, _ = align_chain(decoder.project(windows.queries))
        K, T = windows.text.shape[1], windows.queries.shape[1]
        text = windows.text.flatten(0, 1)[:, None].expand(-1, T, -1)
        whole = decoder(aligned.repeat_interleave(K, dim=0), text)
        first = whole.initial_queries.unflatten(0, (-1, K))[:, 0]
        none = torch.empty(0)
        slots = _Slots(whole.enhanced.unflatten(0, (-1, K))[:, 0], first, none, none, none, decoder.presence(aligned))
        states = _states(decoder, slots, windows.text)
    for ours, theirs in zip(states, whole.predictions, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a.flatten(0, 1), b, rtol=1e-4, atol=1e-5)


def test_absent_sentences_have_their_share() -> None:
    """However many there are; what is not clear has none, and without true ones there is nothing to share."""
    fits = torch.tensor([[True, True, True, True], [True, True, False, False]])
    means_some = torch.tensor([[True, False, False, False], [True, False, True, False]])
    counts = _balanced(fits, means_some, 0.4)
    assert counts[means_some & fits].tolist() == [1.0, 1.0]
    assert counts[~means_some].sum() / counts.sum() == pytest.approx(0.4)
    assert not counts[~fits].any()
    assert not _balanced(fits, torch.zeros_like(fits), 0.4).any()


def test_only_what_is_taught_learns(model: SSA, motion: MotionStage) -> None:
    """Slots: what comes before the layers; decisions: the video decoder; later stages train all but CLIP again."""
    for stage, wanted, parts in (
        (_slots_stage(motion), ("video_decoder.enhancer", "video_decoder.pooling"), SLOT_PARTS),
        (motion, ("video_decoder",), DECISION_PARTS),
    ):
        model.zero_grad()
        objective = MotionObjective(model, stage, lambda value: value).train()
        loss = objective(_batches(model, stage)[0])
        assert len(loss.parts) == len(parts)
        loss.total.backward()
        learners = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
        assert learners == {name for name, _ in model.named_parameters() if name.startswith(wanted)}
        assert all(parameter.grad is not None for parameter in objective.heads.parameters())
    make_learnable(model, motion)
    assert all(p.requires_grad != name.startswith("clip.") for name, p in model.named_parameters())


def test_where_masks_are_is_learned_too(told: SSA, motion: MotionStage) -> None:
    """Its code gets a gradient of both kinds of stages; nothing else beside the video decoder does."""
    for stage in (_slots_stage(motion), motion):
        told.zero_grad()
        MotionObjective(told, stage, lambda value: value).train()(_batches(told, stage)[0]).total.backward()
        assert isinstance(told.mask_moments, MaskMoments)
        gradient = told.mask_moments.embed.weight.grad
        assert gradient is not None
        assert gradient.abs().max() > 0
        assert all(p.grad is None for p in told.frame_decoder.parameters())


@pytest.mark.slow
def test_kept_queries_are_told_later_what_frames_would_have_told_them(told: SSA, motion: MotionStage) -> None:
    """The code may have changed since they were kept; in windows played backwards as well."""
    kept = motion_clip(told, motion, 0, 1)
    assert isinstance(told.mask_moments, MaskMoments)
    with torch.no_grad():
        told.mask_moments.embed.weight.mul_(2)
        again = motion_clip(told, motion, 0, 1)
        located = told.mask_moments.add(again.queries.float(), again.moments)
        assert torch.equal(told.mask_moments.add(kept.queries.float(), kept.moments), located)
    assert (located - kept.queries.float()).abs().max() > 0.1
    forwards = backwards = 0
    for step in range(6):
        windows = _batches(told, motion)[step].windows
        for queries, moments in zip(windows.queries, windows.moments, strict=True):
            length = len(queries)
            for clip in (motion_clip(told, motion, 0, number) for number in range(motion.clips)):
                for first in range(len(clip.queries) - length + 1):
                    part, of_part = (v[first : first + length] for v in (clip.queries.float(), clip.moments))
                    forwards += torch.equal(queries, part) and torch.equal(moments, of_part)
                    backwards += torch.equal(queries, part.flip(0)) and torch.equal(moments, of_part.flip(0))
    assert forwards + backwards == 6 * motion.batch
    assert forwards
    assert backwards


@pytest.mark.slow
def test_losses_fall_on_a_few_clips(model: SSA, motion: MotionStage) -> None:
    """What objects do and what was asked can be learned from windows alone."""
    batches = _batches(model, motion)
    objective = MotionObjective(model, motion, lambda value: value).train()
    optimizer = torch.optim.Adam(objective.parameters(), 3e-3)
    history = []
    for step in range(40):
        torch.manual_seed(step)
        loss = objective(_with_masks(batches[step]))
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        history.append(dict(zip(DECISION_PARTS, loss.parts.tolist(), strict=True)))
    for name in ("actions", "state_actions", "asked", "decision"):
        first, last = (sum(parts[name] for parts in some) / 5 for some in (history[:5], history[-5:]))
        assert last < 0.9 * first, name


def test_settings_that_cannot_work_are_refused(motion: MotionStage) -> None:
    """With what would."""
    for change, told in (
        ({"loss": msgspec.structs.replace(motion.loss, frame_layers=2)}, "set it to 1"),
        ({"kept_frames": 6}, "windows must fit in"),
        ({"ordinary": 0}, "1 or more where decisions are taught"),
        ({"absent_share": 1.0}, "absent_share is 1.0"),
        ({"unknown_words": 1.5}, "unknown_words is 1.5"),
        ({"clips": 0}, "clips is 0 and ordinary_batches 0"),
        ({"ordinary_batches": -1}, "ordinary_batches -1"),
    ):
        with pytest.raises(ValueError, match=told):
            msgspec.structs.replace(motion, **change)
