"""Track ids of a session: one per object and prompt, kept through what happens to slots and to other prompts."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from ssa_stream.model import MaskSizes
from ssa_stream.streaming import MaskResult, ReferSession, SessionConfig, TrackConfig, TrackMask
from ssa_stream.streaming.emission import FrameEvidence, emit_masks, find_masks, followed_slots
from ssa_stream.streaming.tracks import TrackState
from tests.support.tiny_model import random_frames, tiny_model
from tests.unit.streaming.colour_model import ColourModel, Thing, draw
from tests.unit.streaming.comparing import prompt_view

CONFIG = SessionConfig(window=4, tracks=TrackConfig(max_absence_frames=5))


def _session(*prompts: str) -> ReferSession:
    return ReferSession(ColourModel(), CONFIG, prompts)


def _ids(result: MaskResult) -> dict[tuple[int, ...], int]:
    """Track id by box."""
    return {track.box_xyxy: track.track_id for track in result.tracks}


def _moving(t: int) -> list[Thing]:
    return [("red", (4 * t, 0, 4 * t + 12, 12)), ("green", (48 - 4 * t, 8, 60 - 4 * t, 24))]


def test_objects_keep_ids_while_the_network_shuffles_its_queries() -> None:
    """Crossing, over three windows; the box belongs to its colour at every time."""
    session = _session("red and green")
    for t in range(12):
        (result,) = session.push(draw(*_moving(t)))
        red = (4 * t, 0, 4 * t + 12, 12)
        ids = _ids(result)
        assert set(ids.values()) == {1, 2}
        if t == 0:
            red_id = ids[red]
        top_left = [track for track in result.tracks if track.box_xyxy[1] == 0]
        assert [track.track_id for track in top_left] == [red_id]


def test_absent_object_comes_back_and_a_long_absent_one_is_new() -> None:
    """Counted in frames."""
    session = _session("red")
    box = ("red", (0, 0, 16, 16))
    seen = [box, None, None, None, None, None, box, *[None] * 6, box]
    ids = []
    for one in seen:
        (result,) = session.push(draw(one) if one else draw())
        ids += [track.track_id for track in result.tracks]
        assert result.target_present == (one is not None)
    assert ids == [1, 1, 2]


def test_ids_are_not_reused_after_reset_removal_or_another_sentence() -> None:
    """Whoever kept an id knows that it means the same object or none."""
    session = _session("red")
    frame = draw(("red", (0, 0, 16, 16)), ("green", (32, 0, 48, 16)))
    given: list[int] = []
    changes: list[Callable[[], object]] = [
        session.reset,
        lambda: session.remove_prompt("p1"),
        lambda: session.add_prompt("red", "p1"),
        lambda: session.set_prompts({"p1": "green"}),
        lambda: session.set_prompts({"p1": "red"}),
        lambda: session.set_prompts({"other": "red"}),
        lambda: session.set_prompts([]),
        lambda: session.set_prompts(["red"]),
    ]
    for change in [lambda: None, *changes]:
        change()
        for _ in range(2):
            new = [track.track_id for result in session.push(frame) for track in result.tracks]
            given += [one for one in new if given[-1:] != [one]]
    assert given == sorted(set(given))
    assert len(given) == 7  # two of the nine had no prompt


def test_same_object_has_one_track_per_prompt() -> None:
    """Ids are counted per prompt: two prompts may both have a track 1."""
    session = _session("red", "red too")
    results = session.push(draw(("red", (0, 0, 16, 16))))
    assert [[track.track_id for track in result.tracks] for result in results] == [[1], [1]]


UNRELATED: dict[str, Callable[[ReferSession], object]] = {
    "add": lambda session: session.add_prompt("two people far away"),
    "remove": lambda session: session.remove_prompt("p1"),
    "change": lambda session: session.add_prompt("a bird", "p1"),
    "reorder": lambda session: session.set_prompts(["a dog", "the red car"]),
    "set_again": lambda session: session.set_prompts(["the red car", "a dog"]),
    "replace_the_other": lambda session: session.set_prompts(["a bird", "a dog", "a cat"]),
}


@pytest.mark.parametrize("lookahead", [0, 2])
@pytest.mark.parametrize("change", UNRELATED)
def test_unrelated_change_leaves_ids_and_masks_alone(change: str, lookahead: int) -> None:
    """A prompt's results are those of a session in which nothing was changed."""
    config = SessionConfig(window=4, lookahead=lookahead, tracks=TrackConfig(min_own_share=0.0))
    changed, plain = (ReferSession(tiny_model(), config, ["the red car", "a dog"]) for _ in range(2))
    seen: list[list[MaskResult]] = [[], []]
    for t, frame in enumerate(random_frames(14, seed=6)):
        if t == 7:
            UNRELATED[change](changed)
        for results, session in zip(seen, (changed, plain), strict=True):
            results += session.push(frame)
    ours, theirs = (prompt_view(results, "p2") for results in seen)
    assert [index for index, _ in ours] == [index for index, _ in theirs] == list(range(14 - lookahead))
    assert len({track_id for _, tracks in theirs for track_id, _ in tracks}) > 2
    for (_, tracks), (_, twins) in zip(ours, theirs, strict=True):
        assert [track_id for track_id, _ in tracks] == [track_id for track_id, _ in twins]
        np.testing.assert_allclose([area for _, area in tracks], [area for _, area in twins], atol=4)


def _evidence(features: torch.Tensor) -> FrameEvidence:
    """Two slots, each with its own channel of the mask features."""
    return FrameEvidence(torch.tensor([0.8, 0.9]), torch.eye(2), torch.eye(2), features)


def _emit(
    evidence: FrameEvidence, sizes: MaskSizes, tracks: TrackState, config: SessionConfig, *, provisional: bool = False
) -> tuple[TrackState, tuple[TrackMask, ...]]:
    """Masks of a frame after those that were followed before."""
    found = find_masks(ColourModel(), evidence, sizes, followed_slots(tracks), config)
    return emit_masks(found, sizes, tracks, config, provisional=provisional)


def test_slots_with_the_same_mask_are_one_track() -> None:
    """The more probable one stays."""
    features = torch.full((2, 8, 8), -4.0)
    features[:, 2:5, 2:5] = 4.0
    sizes = MaskSizes((32, 32), (32, 32), (32, 32))
    tracks, masks = _emit(_evidence(features), sizes, TrackState(), CONFIG)
    assert [mask.probability for mask in masks] == pytest.approx([0.9])
    assert len(tracks.tracks) == 1


def test_among_duplicates_the_slot_of_a_track_stays() -> None:
    """Unless another one is much more probable; a track that is not seen any more has no such right."""
    features = torch.full((2, 8, 8), -4.0)
    features[:, 2:5, 2:5] = 4.0
    sizes, both = MaskSizes((32, 32), (32, 32), (32, 32)), _evidence(features)
    first = both._replace(probability=torch.tensor([0.8, 0.2]))
    tracks, _ = _emit(first, sizes, TrackState(), CONFIG)
    for _ in range(2):
        tracks, masks = _emit(both, sizes, tracks, CONFIG)
        assert [mask.track_id for mask in masks] == [1]
        assert [mask.probability for mask in masks] == pytest.approx([0.8])
    weak = both._replace(probability=torch.tensor([0.55, 0.9]))
    _, masks = _emit(weak, sizes, tracks, CONFIG)
    assert [mask.probability for mask in masks] == pytest.approx([0.9])
    neither = both._replace(probability=torch.tensor([0.2, 0.2]))
    tracks, _ = _emit(neither, sizes, tracks, CONFIG)
    _, masks = _emit(both, sizes, tracks, CONFIG)
    assert [mask.probability for mask in masks] == pytest.approx([0.9])


def test_masks_of_a_prompt_do_not_overlap() -> None:
    """At source resolution; two that are free to overlap do."""
    features = torch.full((2, 8, 8), -4.0)
    features[0, 1:5, 1:5], features[1, 4:8, 4:8] = 4.0, 4.0
    sizes = MaskSizes((32, 32), (32, 32), (50, 50))
    free = SessionConfig(tracks=TrackConfig(min_own_share=0.0))
    shared, claimed = (
        [mask.mask for mask in _emit(_evidence(features), sizes, TrackState(), config)[1]] for config in (CONFIG, free)
    )
    assert len(shared) == len(claimed) == 2
    assert (claimed[0] & claimed[1]).any()
    assert not (shared[0] & shared[1]).any()
    assert np.array_equal(shared[0] | shared[1], claimed[0] | claimed[1])


def test_provisional_masks_leave_the_tracks_alone() -> None:
    """They show known ids, and none for an object that has none yet."""
    features = torch.full((2, 8, 8), -4.0)
    features[0, 1:3, 1:3], features[1, 4:6, 4:6] = 4.0, 4.0
    sizes = MaskSizes((32, 32), (32, 32), (32, 32))
    only_one = _evidence(features)._replace(probability=torch.tensor([0.8, 0.2]))
    known, _ = _emit(only_one, sizes, TrackState(), CONFIG)
    tracks, masks = _emit(_evidence(features), sizes, known, CONFIG, provisional=True)
    assert tracks is known
    assert {mask.box_xyxy: mask.track_id for mask in masks} == {(4, 4, 12, 12): 1, (16, 16, 24, 24): 0}


def test_padding_does_not_tell_duplicates_apart() -> None:
    """What a mask covers beyond the picture is nobody's business."""
    features = torch.full((2, 8, 8), -4.0)
    features[:, 1:4, 1:4] = 4.0
    features[0, 5:], features[1, :5, 6:] = 4.0, 4.0
    sizes = MaskSizes((32, 32), (20, 24), (20, 24))
    _, masks = _emit(_evidence(features), sizes, TrackState(), CONFIG)
    assert len(masks) == 1
    everything = MaskSizes((32, 32), (32, 32), (32, 32))
    assert len(_emit(_evidence(features), everything, TrackState(), CONFIG)[1]) == 2
