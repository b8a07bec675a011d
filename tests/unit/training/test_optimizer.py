"""Parameter groups and schedule."""

import pytest
import torch

from ssa_stream.model import SSA
from ssa_stream.training.config import OptimizerConfig
from ssa_stream.training.loop.optimizer import build_optimizer, parameter_groups, set_learning_rate

PUBLISHED = OptimizerConfig(lr=5e-5, adapter_lr_factor=0.1, schedule="steps", milestones=(55, 70))


def test_groups_follow_the_published_rule(model: SSA) -> None:
    """Adapters a tenth of the rate; norms and embedding tables do not decay, biases and gammas do; no CLIP."""
    where = {
        name: (group["lr"], group["weight_decay"])
        for group in parameter_groups(model, PUBLISHED)
        for name in group["names"]
    }
    assert set(where) == {name for name, _ in model.named_parameters() if not name.startswith("clip.")}
    assert where["adapters.0.attention.in_proj_weight"] == pytest.approx((5e-6, 0.05))
    assert where["adapters.0.norm.weight"] == pytest.approx((5e-6, 0))
    assert where["frame_decoder.query_position.weight"] == (5e-5, 0)
    assert where["frame_decoder.layers.0.feed_forward.norm.bias"] == (5e-5, 0)
    assert where["pixel_decoder.input_proj.0.1.weight"] == (5e-5, 0)
    assert where["pixel_decoder.level_embed"] == (5e-5, 0.05)
    assert where["pixel_decoder.layers.0.fusion.gamma_visual"] == (5e-5, 0.05)
    assert where["video_decoder.classifier.bias"] == (5e-5, 0.05)


def test_groups_of_clip_leave_vectors_out_of_decay(model: SSA) -> None:
    """As CLIP is trained."""
    model.clip.requires_grad_(True)
    groups = parameter_groups(model.clip, PUBLISHED, decay_vectors=False)
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    assert all((id(p) in decayed) <= (p.dim() >= 2) for p in model.clip.parameters())
    assert decayed


def test_step_schedule_falls_at_the_milestones(model: SSA) -> None:
    """By a factor of ten, for each group from its own rate."""
    optimizer = build_optimizer(model, PUBLISHED)
    rates = []
    for step in (0, 54, 55, 70):
        set_learning_rate(optimizer, PUBLISHED, step, 75)
        rates.append(sorted({group["lr"] for group in optimizer.param_groups}))
    assert rates == [pytest.approx([5e-6 * f, 5e-5 * f]) for f in (1, 1, 0.1, 0.01)]


@pytest.mark.parametrize(
    ("step", "factor"), [(0, 0.1), (4, 0.5), (10, 0.9 * 0.976 + 0.1), (100, 0.1)], ids=["first", "warm", "high", "end"]
)
def test_cosine_schedule_warms_up_and_falls(step: int, factor: float) -> None:
    """Linear up, cosine down to the final factor."""
    config = OptimizerConfig(lr=1.0, warmup_steps=10, schedule="cosine", final_factor=0.1)
    assert config.lr_factor(step, 100) == pytest.approx(factor, abs=0.01)


def test_optimizer_steps_all_groups(model: SSA) -> None:
    """A step with gradients moves every learnable tensor."""
    optimizer = build_optimizer(model, OptimizerConfig(lr=1e-3))
    before = {name: parameter.clone() for name, parameter in model.named_parameters() if parameter.requires_grad}
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    moved = dict(model.named_parameters())
    assert [name for name, old in before.items() if torch.equal(old, moved[name])] == []
