"""Renaming loses no key and mixes none up."""

import random

import pytest

from ssa_stream.checkpoints.reference import reference_layout
from ssa_stream.checkpoints.reference_keys import CRITERION_KEYS, reference_order, to_our_key, to_reference_key
from ssa_stream.model import SsaConfig


def test_every_key_maps_there_and_back(config: SsaConfig) -> None:
    """One to one, for every tensor of the network and the loss buffers."""
    theirs = list(reference_layout(config))
    ours = [to_our_key(key) for key in theirs]
    assert None not in ours
    assert len(set(ours)) == len(ours)
    assert [to_reference_key(key) for key in ours if key is not None] == theirs


@pytest.mark.parametrize("key", ["vita_module.unknown.weight", "optimizer.state", "", "backbone.trunk.weight"])
def test_unknown_key_has_no_name(key: str) -> None:
    """No rule fits: None, and no guess."""
    assert to_our_key(key) is None


def test_reference_order_counts_numbers_as_numbers() -> None:
    """Layer 10 comes after layer 9; loss buffers stand where the reference builds its losses."""
    keys = [f"sem_seg_head.predictor.transformer_ffn_layers.{i}.norm.weight" for i in range(12)]
    keys += [CRITERION_KEYS[0], "vita_module.fusion.0.norm.weight", CRITERION_KEYS[1], "resizer.fc.weight"]
    shuffled = random.Random(0).sample(keys, len(keys))
    assert reference_order(shuffled) == keys
