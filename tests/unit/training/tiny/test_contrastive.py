"""Contrastive loss."""

import math

import numpy as np
import torch

from ssa_stream.model import SSA
from ssa_stream.model.clip import tokenize, trunk_stages
from ssa_stream.training.data.batch import normalize
from ssa_stream.training.tiny.attributes import AttributeHeads, object_features
from ssa_stream.training.tiny.clip.captions import CaptionBatch
from ssa_stream.training.tiny.clip.contrastive import ContrastiveObjective, contrastive_loss, retrieval_accuracy

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


def _batch(tokens: torch.Tensor) -> CaptionBatch:
    """Two pictures, three objects."""
    masks = torch.zeros(3, 32, 64, dtype=torch.uint8)
    masks[0, 4:20, 4:20] = masks[1, 10:30, 40:60] = masks[2] = 1
    return CaptionBatch(
        images=torch.randint(0, 256, (2, 32, 64, 3), dtype=torch.uint8),
        masks=masks,
        picture=torch.tensor([0, 0, 1]),
        attributes=torch.tensor([[0, 1, 2], [3, 1, 0], [9, 9, 3]]),
        tokens=tokens,
        fits=torch.eye(3, dtype=torch.bool),
    )


def test_objective_trains_all_of_clip_and_cuts_captions_without_effect(model: SSA) -> None:
    """Every tensor that embeddings depend on gets a gradient; the embeddings are those of the whole context."""
    objective = ContrastiveObjective(model.clip)
    tokens = tokenize(["a red star", "two blue rings on a noisy background", "a dog"], 77)
    batch = _batch(tokens)
    torch.manual_seed(0)
    loss = objective(batch)
    loss.total.backward()
    without = {name for name, parameter in objective.named_parameters() if parameter.grad is None}
    assert without == set()
    padded = torch.cat([tokens, tokenize(["a " * 60], 77)])
    torch.manual_seed(0)
    longer = objective(batch._replace(tokens=padded[:3]))
    torch.testing.assert_close(loss.total, longer.total)


def test_features_of_an_object_are_means_within_its_mask(model: SSA) -> None:
    """A mask of everything gives the mean of the map; one of whole cells gives the mean of these cells."""
    model.clip.eval()
    batch = _batch(tokenize(["a"] * 3, 77))
    batch.masks[0] = 0
    batch.masks[0, :8, 8:24] = 1
    pixels = normalize(batch.images)
    features = object_features(model.clip, pixels, batch.masks, batch.picture)
    stem, stages = trunk_stages(model.clip)
    h = stem(pixels)
    for stage, feature in zip(stages, features, strict=True):
        h = stage(h)
        torch.testing.assert_close(feature[2], h[1].mean(dim=(1, 2)))
        if feature is features[1]:  # of stride 8
            torch.testing.assert_close(feature[0], h[0, :, :1, 1:3].mean(dim=(1, 2)))


def test_attributes_are_named_once_they_are_learned() -> None:
    """From the loss of knowing nothing, equal chances at all heads, to all right."""
    torch.manual_seed(0)
    heads = AttributeHeads((8, 16, 32))
    features = [torch.randn(6, width) for width in (8, 16, 32)]
    attributes = torch.stack([torch.randint(0, size, (6,)) for size in (10, 10, 4)], dim=1)
    loss, _ = heads(features, attributes)
    assert float(loss.detach()) > 0.9 * 3 * math.log(10 * 10 * 4)
    optimizer = torch.optim.Adam(heads.parameters(), lr=0.1)
    for _ in range(100):
        heads(features, attributes)[0].backward()
        optimizer.step()
        optimizer.zero_grad()
    assert heads(features, attributes)[1].tolist() == [1.0, 1.0, 1.0]
