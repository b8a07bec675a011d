"""Matching of queries to objects."""

import numpy as np
import torch

from ssa_stream.training.config import LossConfig
from ssa_stream.training.objectives.matching import (
    MaskTargets,
    Matches,
    SetPrediction,
    match,
    matched_rows,
    matching_costs,
)

CONFIG = LossConfig(num_points=64)


def test_costs_equal_the_formula() -> None:
    """Minus twice the probability of the object's class, and five times cross-entropy and dice, in numpy."""
    rng = np.random.default_rng(0)
    classes, logits = rng.normal(size=(1, 3, 2)), rng.normal(size=(1, 3, 7))
    masks = (rng.uniform(size=(1, 2, 7)) > 0.5).astype(float)
    expected = np.zeros((3, 2))
    for q in range(3):
        for g in range(2):
            p, t = 1 / (1 + np.exp(-logits[0, q])), masks[0, g]
            of_class = np.exp(classes[0, q, g]) / np.exp(classes[0, q]).sum()  # the second one is not referred to
            entropy = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
            dice = 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)
            expected[q, g] = -2 * of_class + 5 * entropy + 5 * dice
    referred = torch.tensor([[True, False]])
    predicted, at_points, wanted = (torch.from_numpy(values) for values in (classes, logits, masks))
    costs = matching_costs(predicted, at_points, wanted, referred, CONFIG)
    np.testing.assert_allclose(costs[0].numpy(), expected, rtol=1e-6)


def _squares() -> tuple[SetPrediction, MaskTargets]:
    """Two frames; query 2 covers the left half, query 0 the right one, the others nothing."""
    features = torch.zeros(1, 2, 2, 4, 4)
    features[:, :, 0, :, :2], features[:, :, 1, :, 2:] = 1, 1
    embeddings = torch.full((2, 1, 4, 2), -9.0)
    embeddings[:, 0, 2, 0], embeddings[:, 0, 0, 1] = 9.0, 9.0
    masks = torch.zeros(1, 3, 2, 16, 16, dtype=torch.uint8)
    masks[0, 0, ..., :8], masks[0, 1, ..., 8:] = 1, 1
    there = torch.tensor([[True, True, False]])
    return SetPrediction(torch.zeros(2, 1, 4, 2), embeddings, features), MaskTargets(masks, there, there)


def test_match_finds_the_query_of_each_object_at_every_depth() -> None:
    """The padding object stays unmatched."""
    prediction, targets = _squares()
    matches = match(prediction, targets, CONFIG)
    assert matches.query[..., :2].tolist() == [[[2, 0]], [[2, 0]]]
    assert matches.matched.tolist() == [[[True, True, False]], [[True, True, False]]]


def test_preference_outweighs_cost_where_it_is_large_enough() -> None:
    """Query 3 is preferred for the first object at one depth, by too little at the other."""
    prediction, targets = _squares()
    preference = torch.zeros(2, 1, 4, 3)
    preference[0, 0, 3, 0], preference[1, 0, 3, 0] = 1000.0, 0.1
    assert match(prediction, targets, CONFIG, preference).query[..., :2].tolist() == [[[3, 0]], [[2, 0]]]


def test_match_more_objects_than_queries_leaves_some_out() -> None:
    """Each query serves once."""
    prediction, targets = _squares()
    prediction = SetPrediction(prediction.class_logits[:, :, :1], prediction.embeddings[:, :, 2:3], prediction.features)
    matches = match(prediction, targets, CONFIG)
    assert matches.matched.tolist() == [[[True, False, False]]] * 2


def test_match_survives_numbers_that_are_none() -> None:
    """A diverged network is told by its loss, not by the solver."""
    prediction, targets = _squares()
    matches = match(prediction._replace(embeddings=prediction.embeddings * float("nan")), targets, CONFIG)
    assert int(matches.matched.sum()) == 4


def test_matched_rows_takes_the_matched_queries() -> None:
    """Per item, in the objects' order."""
    values = torch.arange(6.0).view(1, 3, 2)
    matches = Matches(torch.tensor([[2, 0]]), torch.tensor([[True, True]]))
    assert matched_rows(values, matches).tolist() == [[[4, 5], [0, 1]]]
