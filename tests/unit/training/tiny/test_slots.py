"""Which slots and queries stand for which objects, by hand."""

import numpy as np
import torch

from ssa_stream.training.objectives.losses import class_labels, class_losses
from ssa_stream.training.objectives.matching import MaskTargets, Matches, SetPrediction
from ssa_stream.training.tiny.config import TinyLoss
from ssa_stream.training.tiny.slots import duplicates, label_duplicates, objects_of_slots, share_of_frames, slots_of

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


def test_duplicates_are_found_by_their_masks() -> None:
    """Query 1 covers the left half too at one depth, and both halves at the other: neither of them by enough."""
    features = torch.zeros(1, 2, 2, 4, 4)  # query 2 covers the left half, query 0 the right one, query 3 nothing
    features[:, :, 0, :, :2], features[:, :, 1, :, 2:] = 1, 1
    embeddings = torch.full((2, 1, 4, 2), -9.0)
    embeddings[:, 0, 2, 0], embeddings[:, 0, 0, 1] = 9.0, 9.0
    embeddings[0, 0, 1, 0] = 9.0
    embeddings[1, 0, 1] = 9.0
    masks = torch.zeros(1, 3, 2, 16, 16, dtype=torch.uint8)
    masks[0, 0, ..., :8], masks[0, 1, ..., 8:] = 1, 1
    there = torch.tensor([[True, True, False]])
    prediction = SetPrediction(torch.zeros(2, 1, 4, 2), embeddings, features)
    config = TinyLoss(num_points=256, duplicate_iou=0.7)
    found = duplicates(prediction, MaskTargets(masks, there, there), config)
    assert found.tolist() == [[[1, 0, 0, -1]], [[1, -1, 0, -1]]]


def test_duplicates_have_the_class_of_their_object() -> None:
    """With a weight of 1, as its own query; the others are not referred to and weigh a tenth."""
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 1, 3, 2)))
    log_p = logits.log_softmax(-1).numpy()[0, 0]
    matches = Matches(torch.tensor([[[1, 0]]]), torch.tensor([[[True, False]]]))  # query 1 is the first object's
    referred = torch.tensor([[True, False]])
    labels = class_labels(matches, referred, 3)
    for of_query_0, kind in ((0, 0), (1, 1)):
        numbers = torch.tensor([[[of_query_0, -1, -1]]])
        expected = -(log_p[1, 0] + log_p[0, kind] + 0.1 * log_p[2, 1]) / 2.1
        found = class_losses(logits.float(), label_duplicates(labels, numbers, referred), 0.1)
        np.testing.assert_allclose(found.numpy(), [expected], rtol=1e-5)


def test_a_matched_query_keeps_its_object() -> None:
    """Whatever else its mask overlaps more."""
    matches = Matches(torch.tensor([[[1, 0]]]), torch.tensor([[[True, False]]]))
    referred = torch.tensor([[True, False]])
    labels = class_labels(matches, referred, 3)
    found = label_duplicates(labels, torch.tensor([[[-1, 1, -1]]]), referred)
    assert torch.equal(found.is_referred, labels.is_referred)
    assert torch.equal(found.is_matched, labels.is_matched)
