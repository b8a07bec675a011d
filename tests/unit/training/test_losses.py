"""Class, mask and dice losses against numpy."""

import numpy as np
import torch

from ssa_stream.training.config.loss import LossConfig
from ssa_stream.training.objectives.losses import class_losses, dice_loss, mask_entropy, set_losses
from ssa_stream.training.objectives.matching import Matches, SetPrediction
from ssa_stream.training.objectives.targets import MaskTargets, clip_targets, frame_targets

MATCHES = Matches(torch.tensor([[[1, 0]], [[2, 0]]]), torch.tensor([[[True, False]], [[True, True]]]))


def test_class_losses_are_the_weighted_mean() -> None:
    """Unmatched queries count a tenth, in sum and in weight; of two objects one may be there and not be meant."""
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 1, 3, 2)))
    log_p = logits.log_softmax(-1).numpy()
    first = -(log_p[0, 0, 1, 0] + 0.1 * (log_p[0, 0, 0, 1] + log_p[0, 0, 2, 1])) / 1.2
    second = -(log_p[1, 0, 2, 0] + log_p[1, 0, 0, 0] + 0.1 * log_p[1, 0, 1, 1]) / 2.1
    both = torch.tensor([[True, True]])
    np.testing.assert_allclose(class_losses(logits.float(), MATCHES, both, 0.1).numpy(), [first, second], rtol=1e-5)
    other = -(log_p[1, 0, 2, 0] + log_p[1, 0, 0, 1] + 0.1 * log_p[1, 0, 1, 1]) / 2.1
    one = torch.tensor([[True, False]])
    np.testing.assert_allclose(class_losses(logits.float(), MATCHES, one, 0.1).numpy(), [first, other], rtol=1e-5)


def test_duplicates_have_the_class_of_their_object() -> None:
    """With a weight of 1, as its own query; the others are not referred to and weigh a tenth."""
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 1, 3, 2)))
    log_p = logits.log_softmax(-1).numpy()[0, 0]
    matches = Matches(MATCHES.query[:1], MATCHES.matched[:1])  # query 1 is the first object's
    referred = torch.tensor([[True, False]])
    for of_query_0, kind in ((0, 0), (1, 1)):
        doubles = torch.tensor([[[of_query_0, -1, -1]]])
        expected = -(log_p[1, 0] + log_p[0, kind] + 0.1 * log_p[2, 1]) / 2.1
        found = class_losses(logits.float(), matches, referred, 0.1, doubles)
        np.testing.assert_allclose(found.numpy(), [expected], rtol=1e-5)


def test_classes_are_asked_of_clear_items_only() -> None:
    """The others count neither in the sum nor in the weight; without any clear one there is no loss."""
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 2, 3, 2))).float()
    matches = Matches(torch.tensor([[[1], [2]]]), torch.ones(1, 2, 1, dtype=torch.bool))
    referred = torch.ones(2, 1, dtype=torch.bool)
    first = class_losses(logits[:, :1], Matches(*(field[:, :1] for field in matches)), referred[:1], 0.1)
    found = class_losses(logits, matches, referred, 0.1, clear=torch.tensor([True, False]))
    torch.testing.assert_close(found, first)
    assert not class_losses(logits, matches, referred, 0.1, clear=torch.tensor([False, False])).any()


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
    losses = set_losses(prediction, targets, MATCHES, LossConfig(num_points=2000), lambda value: value)
    assert losses.shape == (2, 3)
    np.testing.assert_allclose(losses[0, 1:].detach() * 2, losses[1, 1:].detach(), rtol=0.05)
    halved = set_losses(prediction, targets, MATCHES, LossConfig(num_points=2000), lambda value: value * 2)
    np.testing.assert_allclose(halved[1, 1:].detach() * 2, losses[1, 1:].detach(), rtol=0.05)


def test_set_losses_without_objects_keep_a_gradient_path() -> None:
    """A batch of sentences about nothing still trains the classes, and every device takes part in the reduction."""
    prediction, targets = _uniform(1)
    targets = targets._replace(valid=torch.zeros(1, 2, dtype=torch.bool))
    none = Matches(torch.zeros(1, 1, 2, dtype=torch.int64), torch.zeros(1, 1, 2, dtype=torch.bool))
    losses = set_losses(prediction, targets, none, LossConfig(num_points=4), lambda value: value)
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
