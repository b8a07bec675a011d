"""Which sighting continues which track."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ssa_stream.streaming import TrackConfig
from ssa_stream.streaming.tracks import Sighting, TrackState, update_tracks
from tests.unit.streaming.comparing import property_test

Box = tuple[float, float, float, float]
CONFIG = TrackConfig()
LEFT: Box = (0.1, 0.4, 0.3, 0.6)
RIGHT: Box = (0.7, 0.4, 0.9, 0.6)


def _query(*entries: float) -> Tensor:
    return torch.tensor([*entries, *[0.0] * (4 - len(entries))])


CAR, DOG, BIRD = _query(1), _query(0, 1), _query(0, 0, 1)


def _follow(frames: Sequence[Sequence[Sighting]], config: TrackConfig = CONFIG) -> list[list[int]]:
    """Track ids frame by frame."""
    state, ids = TrackState(), []
    for sightings in frames:
        state, found, _ = update_tracks(state, sightings, config)
        ids.append(found)
    return ids


def test_objects_keep_their_ids_when_slots_swap() -> None:
    """The slot counts for less than what the query says."""
    first = [Sighting(0, CAR, LEFT), Sighting(1, DOG, RIGHT)]
    swapped = [Sighting(1, CAR, LEFT), Sighting(0, DOG, RIGHT)]
    assert _follow([first, swapped, first]) == [[1, 2], [1, 2], [1, 2]]


def test_slot_decides_between_queries_that_look_alike() -> None:
    """Two of a kind, side by side: the aligned slot is what tells them apart, in whatever order they come."""
    a, b = _query(1, 0.02), _query(1, 0.03)
    near: Box = (0.25, 0.4, 0.45, 0.6)
    first = [Sighting(3, a, LEFT), Sighting(5, b, near)]
    second = [Sighting(5, a, near), Sighting(3, b, LEFT)]
    assert _follow([first, second]) == [[1, 2], [2, 1]]


def test_objects_that_look_alike_are_where_they_were() -> None:
    """Even when they swap slots and either could be the other by its looks; what has lost its place keeps its slot."""
    a, b = _query(1, 0.02), _query(1, 0.03)
    near: Box = (0.25, 0.4, 0.45, 0.6)
    moved: Box = (0.12, 0.4, 0.32, 0.6)
    first = [Sighting(3, a, LEFT), Sighting(5, b, near)]
    swapped = [Sighting(5, b, moved), Sighting(3, a, near)]
    assert _follow([first, swapped]) == [[1, 2], [1, 2]]


def test_crossing_objects_keep_their_ids() -> None:
    """Boxes that meet, lie on each other and part again."""
    frames = []
    for step in range(11):
        x = step * 0.08
        car, dog = (x, 0.4, x + 0.15, 0.6), (0.8 - x, 0.4, 0.95 - x, 0.6)
        frames.append([Sighting(0, CAR + 0.1 * step * DOG, car), Sighting(1, DOG + 0.1 * step * CAR, dog)])
    assert _follow(frames) == [[1, 2]] * 11


@pytest.mark.parametrize("absence", [1, 5, 30])
def test_object_comes_back_after_a_short_absence(absence: int) -> None:
    """Wherever it reappears: it may have moved unseen."""
    frames = [[Sighting(0, CAR, LEFT)], *[[]] * absence, [Sighting(4, CAR, RIGHT)]]
    assert _follow(frames)[-1] == [1]


@pytest.mark.parametrize(("max_absence", "absence"), [(0, 1), (3, 4), (30, 31)])
def test_object_that_was_long_away_is_another(max_absence: int, absence: int) -> None:
    """Its id is not given again, neither to it nor to others."""
    frames = [[Sighting(0, CAR, LEFT)], *[[]] * absence, [Sighting(0, CAR, LEFT)], [Sighting(1, DOG, RIGHT)]]
    assert _follow(frames, TrackConfig(max_absence_frames=max_absence))[-2:] == [[2], [3]]


def test_absence_of_exactly_the_limit_is_short() -> None:
    """`max_absence_frames` frames may be missed."""
    frames = [[Sighting(0, CAR, LEFT)], *[[]] * 3, [Sighting(0, CAR, LEFT)]]
    assert _follow(frames, TrackConfig(max_absence_frames=3))[-1] == [1]


def test_absence_is_counted_anew_after_each_sighting() -> None:
    """A blinking object stays one."""
    frames = [[Sighting(0, CAR, LEFT)] if t % 3 == 0 else [] for t in range(30)]
    ids = _follow(frames, TrackConfig(max_absence_frames=2))
    assert [found for found in ids if found] == [[1]] * 10


def test_occluded_object_keeps_its_id_beside_the_one_in_front() -> None:
    """While it is hidden, the object in front does not take its place."""
    frames = [
        [Sighting(0, CAR, LEFT), Sighting(1, DOG, LEFT)],
        *[[Sighting(0, CAR, LEFT)]] * 5,
        [Sighting(1, CAR, LEFT), Sighting(0, DOG, LEFT)],
    ]
    assert _follow(frames) == [[1, 2], *[[1]] * 5, [1, 2]]


def test_unlike_object_in_the_same_place_and_slot_is_new() -> None:
    """A slot is not an identity."""
    assert _follow([[Sighting(0, CAR, LEFT)], [Sighting(0, DOG, LEFT)]]) == [[1], [2]]


def test_like_object_that_jumps_is_new() -> None:
    """Between two frames nothing crosses the picture."""
    assert _follow([[Sighting(0, CAR, LEFT)], [Sighting(0, CAR, RIGHT)]]) == [[1], [2]]


@pytest.mark.parametrize(("growth", "is_same"), [(0.0, False), (0.6, False), (1.1, True)])
def test_growth_says_how_far_an_object_may_move(growth: float, is_same: bool) -> None:
    """Boxes two widths apart meet when each grows by its own width."""
    frames = [[Sighting(0, CAR, (0.0, 0.0, 0.1, 0.1))], [Sighting(0, CAR, (0.3, 0.0, 0.4, 0.1))]]
    assert (_follow(frames, TrackConfig(growth=growth))[1] == [1]) == is_same


@pytest.mark.parametrize("axis", [0, 1])
def test_boxes_have_to_meet_in_both_directions(axis: int) -> None:
    """Being level with each other is not enough."""
    far: Box = (0.8, 0.4, 0.9, 0.6) if axis == 0 else (0.1, 0.9, 0.3, 1.0)
    assert _follow([[Sighting(0, CAR, LEFT)], [Sighting(0, CAR, far)]])[1] == [2]


@pytest.mark.parametrize(("cosine", "is_same"), [(0.49, False), (0.51, True)])
def test_similarity_has_to_reach_the_threshold(cosine: float, is_same: bool) -> None:
    """Of the query with the track's last one, whatever their lengths."""
    turned = 7 * _query(cosine, (1 - cosine**2) ** 0.5)
    ids = _follow([[Sighting(0, CAR, LEFT)], [Sighting(0, turned, LEFT)]], TrackConfig(min_cosine=0.5))
    assert (ids[1] == [1]) == is_same


def test_track_is_not_given_away_for_more_matches() -> None:
    """A newcomer that is just similar enough does not push a perfect match to a track that is long unseen."""
    absent = _query(0.6, 0.8)
    newcomer = _query(0.55, -0.83)
    frames = [
        [Sighting(0, CAR, LEFT), Sighting(1, absent, LEFT)],
        [Sighting(0, CAR, LEFT)],
        [Sighting(0, CAR, LEFT), Sighting(2, newcomer, LEFT)],
    ]
    assert _follow(frames)[-1] == [1, 3]


def test_better_match_wins_over_the_first() -> None:
    """Assignment is of all pairs together."""
    a, b = _query(1, 0.3), _query(1, 0.9)
    frames = [[Sighting(0, a, LEFT), Sighting(1, b, LEFT)], [Sighting(2, b, LEFT), Sighting(3, a, LEFT)]]
    assert _follow(frames)[1] == [2, 1]


def test_nothing_seen_and_nothing_known_is_fine() -> None:
    """No sightings, no tracks, in any combination."""
    assert _follow([[], [], [Sighting(0, CAR, LEFT)], []]) == [[], [], [1], []]


def test_degenerate_queries_start_tracks_and_harm_none() -> None:
    """A query of zeros or of no number is like nothing; the objects beside it are followed as ever."""
    broken = torch.full((4,), float("nan"))
    frame = [Sighting(0, CAR, LEFT), Sighting(1, torch.zeros(4), LEFT), Sighting(2, broken, LEFT)]
    assert _follow([frame, frame]) == [[1, 2, 3], [1, 4, 5]]


@property_test(40)
@given(data=st.data())
def test_order_of_sightings_does_not_matter(data: st.DataObject) -> None:
    """The same objects go on in the same tracks; new ones are numbered as they come."""
    count = data.draw(st.integers(1, 5))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 9999)))

    def sightings(known: int) -> list[Sighting]:
        objects = torch.randn(known, 6, generator=torch.Generator().manual_seed(1))
        noise = 0.2 * torch.randn(known, 6, generator=generator)
        corners = torch.rand(known, 2, generator=generator).tolist()
        return [Sighting(k, objects[k] + noise[k], (x * 0.8, y * 0.8, x * 0.8 + 0.2, y * 0.8 + 0.2))
                for k, (x, y) in enumerate(corners)]  # fmt: skip

    state, _, _ = update_tracks(TrackState(), sightings(count), CONFIG)
    seen = sightings(count + 1)
    order = data.draw(st.permutations(range(count + 1)))
    _, plain, plain_new = update_tracks(state, seen, CONFIG)
    _, shuffled, shuffled_new = update_tracks(state, [seen[k] for k in order], CONFIG)
    assert [shuffled_new[order.index(k)] for k in range(count + 1)] == plain_new
    for k in range(count + 1):
        assert plain_new[k] or shuffled[order.index(k)] == plain[k]
    # Tracks may also come in any order.
    turned = TrackState(state.next_id, state.tracks[::-1])
    assert update_tracks(turned, seen, CONFIG)[1] == plain


@property_test(60)
@given(data=st.data(), max_absence=st.integers(0, 3))
def test_ids_are_never_shared_or_reused(data: st.DataObject, max_absence: int) -> None:
    """Over random streams: one id per object and frame, new ones always higher, memory bounded."""
    config = TrackConfig(max_absence_frames=max_absence, min_cosine=data.draw(st.sampled_from([-1.0, 0.0, 0.5, 0.9])))
    queries = st.sampled_from([CAR, DOG, BIRD, CAR + DOG, DOG + BIRD, -CAR])
    boxes = st.sampled_from([LEFT, RIGHT, (0.0, 0.0, 1.0, 1.0)])
    state, last_seen = TrackState(), dict[int, int]()
    for t in range(data.draw(st.integers(1, 12))):
        slots = data.draw(st.lists(st.integers(0, 3), unique=True))
        sightings = [Sighting(slot, data.draw(queries), data.draw(boxes)) for slot in slots]
        before = state.next_id
        state, ids, is_new = update_tracks(state, sightings, config)
        assert len(set(ids)) == len(ids) == len(is_new)
        assert [i for i, new in zip(ids, is_new, strict=True) if new] == list(range(before, state.next_id))
        for track_id, new in zip(ids, is_new, strict=True):
            assert new or t - last_seen[track_id] - 1 <= max_absence
            last_seen[track_id] = t
        assert len({track.track_id for track in state.tracks}) == len(state.tracks) <= 4 * (max_absence + 1)
