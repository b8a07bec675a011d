"""Contrastive loss."""

import math

import numpy as np
import torch

from ssa_stream.model import SSA
from ssa_stream.model.clip import tokenize
from ssa_stream.training.batch import ImageBatch
from ssa_stream.training.contrastive import ContrastiveObjective, contrastive_loss, retrieval_accuracy

FITS = torch.tensor([[1, 1, 0], [0, 1, 0], [1, 1, 1]], dtype=torch.bool)
"""Rows are images, columns captions: the second caption is true of all."""


def test_contrastive_loss_equals_the_formula() -> None:
    """Cross-entropy both ways; the target is spread over all that fits."""
    rng = np.random.default_rng(0)
    image, text = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    logits = 2.0 * image @ text.T
    forth = np.array([[1 / 2, 1 / 2, 0], [0, 1, 0], [1 / 3, 1 / 3, 1 / 3]])
    back = np.array([[1 / 2, 0, 1 / 2], [1 / 3, 1 / 3, 1 / 3], [0, 0, 1]])

    def entropy(values: np.ndarray, target: np.ndarray) -> float:
        return float(-(target * (values - np.log(np.exp(values).sum(1, keepdims=True)))).sum(1).mean())

    loss = contrastive_loss(torch.from_numpy(image), torch.from_numpy(text), torch.tensor(2.0), FITS)
    np.testing.assert_allclose(float(loss), (entropy(logits, forth) + entropy(logits.T, back)) / 2, rtol=1e-6)


def test_retrieval_counts_whatever_fits_as_right() -> None:
    """Image 0 finds caption 1, which fits; 1 finds 0, which does not; 2 finds 0, the first of equals, which does."""
    image, text = torch.eye(3), torch.eye(3)[[1, 0, 0]]
    to_text, to_image = retrieval_accuracy(image, text, FITS)
    assert math.isclose(float(to_text), 2 / 3, rel_tol=1e-5)
    assert math.isclose(float(to_image), 1 / 3, rel_tol=1e-5)


def test_objective_trains_all_of_clip_and_cuts_captions_without_effect(model: SSA) -> None:
    """Every tensor that embeddings depend on gets a gradient; the embeddings are those of the whole context."""
    objective = ContrastiveObjective(model.clip)
    tokens = tokenize(["a red star", "two blue rings on a noisy background", "a dog"], 77)
    images = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8)
    torch.manual_seed(0)
    loss = objective(ImageBatch(images, tokens, torch.eye(3, dtype=torch.bool)))
    loss.total.backward()
    without = {name for name, parameter in model.clip.named_parameters() if parameter.grad is None}
    assert without == set()
    padded = torch.cat([tokens, tokenize(["a " * 60], 77)])
    torch.manual_seed(0)
    longer = objective(ImageBatch(images, padded[:3], torch.eye(3, dtype=torch.bool)))
    torch.testing.assert_close(loss.total, longer.total)
