"""The stand-in weights: what is drawn depends on key and shape alone. Hashes are in tests/contract."""

import numpy as np
import pytest

from ssa_stream.checkpoints.seeded import seeded_array, seeded_state


def test_seeded_array_depends_on_its_key_and_shape_only() -> None:
    """Whatever was drawn before."""
    first = seeded_array("a.weight", (3, 4))
    seeded_array("b.weight", (5,))
    assert np.array_equal(seeded_array("a.weight", (3, 4)), first)
    assert not np.array_equal(seeded_array("c.weight", (3, 4)), first)
    assert first.dtype == np.float32


@pytest.mark.parametrize(
    ("key", "shape", "mean", "deviation"),
    [
        ("x.gamma_v", (4096,), 0.2, 0.05),
        ("x.norm.weight", (4096,), 1.0, 0.1),
        ("x.fc.bias", (4096,), 0.0, 0.05),
        ("x.sampling_offsets.bias", (4096,), 0.0, 2.0),
        ("x.query_embed.weight", (64, 64), 0.0, 6.0),
        ("x.level_embed", (64, 64), 0.0, 0.5),
        ("x.fc.weight", (64, 64), 0.0, 1 / 8),
        ("x.self_attn.in_proj_weight", (64, 64), 0.0, 1.5 / 8),
        ("backbone.x.attn.in_proj_weight", (64, 64), 0.0, 1 / 8),
        ("x.transformer_cross_attention_layers.0.multihead_attn.out_proj.weight", (64, 64), 0.0, 2 / 8),
        ("x.linear2.weight", (64, 64), 0.0, 0.25 / 8),
        ("x.conv.weight", (64, 16, 2, 2), 0.0, 1 / 8),
    ],
)
def test_seeded_array_has_the_spread_of_its_kind(
    key: str, shape: tuple[int, ...], mean: float, deviation: float
) -> None:
    """Each kind of parameter has its own scale."""
    drawn = seeded_array(key, shape)
    assert drawn.mean() == pytest.approx(mean, abs=5 * deviation / 64)
    assert drawn.std() == pytest.approx(deviation, rel=0.05)


def test_seeded_scalar_and_loss_buffers_have_fixed_values() -> None:
    """CLIP's temperature and the class weights of the losses."""
    state = seeded_state({"clip.logit_scale": (), "criterion.empty_weight": (2,)})
    assert state["clip.logit_scale"].item() == pytest.approx(np.log(100))
    assert state["criterion.empty_weight"].tolist() == pytest.approx([1.0, 0.1])
