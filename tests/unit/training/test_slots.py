"""Which slots objects are in, by hand."""

import torch

from ssa_stream.training.matching import Matches
from ssa_stream.training.slots import share_of_frames, slots_of

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
