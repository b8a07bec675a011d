"""Which slots objects are in, by hand."""

import torch

from ssa_stream.training.objectives.matching import Matches
from ssa_stream.training.tiny.slots import objects_of_slots, share_of_frames, slots_of

# Three frames of one item; slots hold queries 0 1 2, then 1 2 0, then 2 0 1.
ORDER = torch.tensor([[0, 1, 2], [1, 2, 0], [2, 0, 1]])[None, None]
# Object 0 has queries 0, 2, 1, and is not there in the last frame; object 1 has queries 1, 1, 2.
OBJECTS = Matches(
    torch.tensor([[0, 1], [2, 1], [1, 2]])[None, None],
    torch.tensor([[True, True], [True, True], [False, True]])[None, None],
)


def test_slot_of_an_object_is_the_one_that_holds_its_query() -> None:
    """Slots change where the chain is wrong."""
    found = slots_of(ORDER, OBJECTS)
    assert found.query[0, 0].tolist() == [[0, 1], [1, 0], [2, 0]]
    assert torch.equal(found.matched, OBJECTS.matched)


def test_share_counts_frames_in_which_the_object_is_there() -> None:
    """Object 0 is half in slot 0 and half in slot 1; object 1 a third in slot 1, else in slot 0."""
    expected = torch.tensor([[1 / 2, 2 / 3], [1 / 2, 1 / 3], [0, 0]])
    torch.testing.assert_close(share_of_frames(ORDER, OBJECTS)[0, 0], expected)
    nothing = Matches(OBJECTS.query, torch.zeros_like(OBJECTS.matched))
    assert not share_of_frames(ORDER, nothing).any()


def test_slots_stand_for_what_they_are_over_most_of_the_time() -> None:
    """Two slots over one object both do; one that was over it for a moment is neither over it nor empty."""
    order = torch.arange(4).expand(1, 5, 4).clone()
    order[0, 4] = torch.tensor([0, 2, 1, 3])
    covers = torch.zeros(1, 5, 4, 2, dtype=torch.bool)
    covers[0, :, 0, 1] = True  # query 0 over object 1 in all frames, query 1 in three of five, the third
    covers[0, :2, 1, 1] = covers[0, 4, 2, 1] = True  # of them after it has changed places with query 2
    covers[0, 0, 3, 0] = True
    found, stands, empty = objects_of_slots(order, covers)
    assert found[0, :2].tolist() == [1, 1]
    assert stands[0].tolist() == [True, True, False, False]
    assert empty[0].tolist() == [False, False, True, False]


def test_slots_are_empty_where_no_query_is_over_anything() -> None:
    """Also without any object."""
    covers = torch.zeros(1, 3, 3, 2, dtype=torch.bool)
    _, stands, empty = objects_of_slots(ORDER[0], covers)
    assert not stands.any()
    assert empty.all()
