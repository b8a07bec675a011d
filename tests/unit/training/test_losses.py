"""Class, mask, dice and similarity losses against numpy."""

import numpy as np
import torch

from ssa_stream.training.config import LossConfig
from ssa_stream.training.objectives.losses import (
    class_labels,
    class_losses,
    dice_loss,
    mask_entropy,
    set_losses,
    similarity_loss,
)
from ssa_stream.training.objectives.matching import MaskTargets, Matches, SetPrediction, clip_targets, frame_targets

MATCHES = Matches(torch.tensor([[[1, 0]], [[2, 0]]]), torch.tensor([[[True, False]], [[True, True]]]))


def test_class_losses_are_the_weighted_mean() -> None:
    """Unmatched queries count a tenth, in sum and in weight; of two objects one may be there and not be meant."""
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 1, 3, 2)))
    log_p = logits.log_softmax(-1).numpy()
    first = -(log_p[0, 0, 1, 0] + 0.1 * (log_p[0, 0, 0, 1] + log_p[0, 0, 2, 1])) / 1.2
    second = -(log_p[1, 0, 2, 0] + log_p[1, 0, 0, 0] + 0.1 * log_p[1, 0, 1, 1]) / 2.1
    both = torch.tensor([[True, True]])
    found = class_losses(logits.float(), class_labels(MATCHES, both, 3), 0.1)
    np.testing.assert_allclose(found.numpy(), [first, second], rtol=1e-5)
    other = -(log_p[1, 0, 2, 0] + log_p[1, 0, 0, 1] + 0.1 * log_p[1, 0, 1, 1]) / 2.1
    one = torch.tensor([[True, False]])
    found = class_losses(logits.float(), class_labels(MATCHES, one, 3), 0.1)
    np.testing.assert_allclose(found.numpy(), [first, other], rtol=1e-5)


def test_classes_are_asked_of_some_items_only() -> None:
    """The others count neither in the sum nor in the weight; without any clear one there is no loss."""
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 2, 3, 2))).float()
    matches = Matches(torch.tensor([[[1], [2]]]), torch.ones(1, 2, 1, dtype=torch.bool))
    referred = torch.ones(2, 1, dtype=torch.bool)
    alone = class_labels(Matches(*(field[:, :1] for field in matches)), referred[:1], 3)
    labels = class_labels(matches, referred, 3)
    found = class_losses(logits, labels._replace(asked=torch.tensor([True, False])), 0.1)
    torch.testing.assert_close(found, class_losses(logits[:, :1], alone, 0.1))
    assert not class_losses(logits, labels._replace(asked=torch.tensor([False, False])), 0.1).any()


def test_mask_losses_equal_the_formulas() -> None:
    """Cross-entropy is a mean over points; dice has 1 added above and below."""
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(2, 5)), rng.uniform(size=(2, 5))
    p = 1 / (1 + np.exp(-logits))
    entropy = -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean(axis=1)
    dice = 1 - (2 * (p * labels).sum(1) + 1) / (p.sum(1) + labels.sum(1) + 1)
    tensors = torch.from_numpy(logits), torch.from_numpy(labels)
    np.testing.assert_allclose(mask_entropy(*tensors).numpy(), entropy)
    np.testing.assert_allclose(dice_loss(*tensors).numpy(), dice)


def _uniform(depths: int) -> tuple[SetPrediction, MaskTargets]:
    """Predictions and targets that are the same at every point, so that points do not matter."""
    prediction = SetPrediction(
        torch.zeros(depths, 1, 3, 2), torch.full((depths, 1, 3, 1), 0.5, requires_grad=True), torch.ones(1, 2, 1, 2, 2)
    )
    both = torch.tensor([[True, True]])
    return prediction, MaskTargets(torch.ones(1, 2, 2, 8, 8, dtype=torch.uint8), both, both)


def test_set_losses_sum_over_masks_and_divide_by_their_number() -> None:
    """Depth 0 has one matched mask of two, depth 1 both; sampled zeros beyond the border add a little."""
    prediction, targets = _uniform(2)
    torch.manual_seed(0)
    labels, config = class_labels(MATCHES, targets.referred, 3), LossConfig(num_points=2000)
    losses = set_losses(prediction, targets, MATCHES, labels, config, lambda value: value)
    assert losses.shape == (2, 3)
    np.testing.assert_allclose(losses[0, 1:].detach() * 2, losses[1, 1:].detach(), rtol=0.05)
    halved = set_losses(prediction, targets, MATCHES, labels, config, lambda value: value * 2)
    np.testing.assert_allclose(halved[1, 1:].detach() * 2, losses[1, 1:].detach(), rtol=0.05)


def test_set_losses_without_objects_keep_a_gradient_path() -> None:
    """A batch of sentences about nothing still trains the classes, and every device takes part in the reduction."""
    prediction, targets = _uniform(1)
    targets = targets._replace(valid=torch.zeros(1, 2, dtype=torch.bool))
    none = Matches(torch.zeros(1, 1, 2, dtype=torch.int64), torch.zeros(1, 1, 2, dtype=torch.bool))
    labels = class_labels(none, targets.referred, 3)
    losses = set_losses(prediction, targets, none, labels, LossConfig(num_points=4), lambda value: value)
    assert losses[0, 1:].tolist() == [0, 0]
    losses.sum().backward()
    assert prediction.embeddings.grad is not None


def test_frame_targets_drop_hidden_objects_clip_targets_keep_them() -> None:
    """An object that is hidden in one frame is no target there, but one of the clip; one never seen is none."""
    masks = torch.zeros(1, 3, 2, 4, 4, dtype=torch.uint8)
    masks[0, 0, :, 0, 0] = 1
    masks[0, 1, 1, 2, 2] = 1
    present = torch.tensor([[True, True, True]])
    referred = torch.tensor([[True, False, True]])
    assert frame_targets(masks, present, referred).valid.tolist() == [[True, False, False], [True, True, False]]
    assert frame_targets(masks, present, referred).masks.shape == (2, 3, 1, 4, 4)
    assert clip_targets(masks, present, referred).valid.tolist() == [[True, True, False]]
    assert frame_targets(masks, present, referred).referred.tolist() == referred.tolist() * 2


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
