"""The similarity loss."""

import numpy as np
import torch

from ssa_stream.training.objectives.matching import Matches
from ssa_stream.training.objectives.similarity import matched_rows, similarity_loss


def test_similarity_loss_is_the_mean_over_ordered_pairs() -> None:
    """All pairs of matched embeddings of one item, with itself too; what is not matched does not count."""
    rng = np.random.default_rng(0)
    frame, video = rng.normal(size=(1, 2, 2, 3)), rng.normal(size=(1, 2, 3))
    frame_matched = np.array([[[True, False], [True, True]]])
    video_matched = np.array([[True, True]])
    rows = [(frame[0, t, g], g) for t in range(2) for g in range(2) if frame_matched[0, t, g]]
    rows += [(video[0, g], g) for g in range(2)]
    terms = []
    for first, a in rows:
        for second, b in rows:
            p = 1 / (1 + np.exp(-first @ second))
            terms.append(-np.log(p if a == b else 1 - p))
    loss = similarity_loss(*(torch.from_numpy(array) for array in (frame, frame_matched, video, video_matched)))
    np.testing.assert_allclose(float(loss), np.mean(terms), rtol=1e-5)


def test_similarity_loss_without_objects_is_zero() -> None:
    """Nothing to compare."""
    none = torch.zeros(1, 1, 2, dtype=torch.bool)
    assert float(similarity_loss(torch.randn(1, 1, 2, 4), none, torch.randn(1, 2, 4), none[:, 0])) == 0


def test_matched_rows_takes_the_matched_queries() -> None:
    """Per item, in the objects' order."""
    values = torch.arange(6.0).view(1, 3, 2)
    matches = Matches(torch.tensor([[2, 0]]), torch.tensor([[True, True]]))
    assert matched_rows(values, matches).tolist() == [[[4, 5], [0, 1]]]
