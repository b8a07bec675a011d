"""Sentences: their targets, their words, and what is kept from training."""

import re
from collections import Counter
from itertools import pairwise
from typing import Final

import numpy as np
import pytest

from ssa_stream.data import DEMO_SENTENCES, HELD_OUT_PAIRS, HELD_OUT_PHRASES, SceneConfig, sample_clip
from ssa_stream.data.synthetic.demo import demo_scene
from ssa_stream.data.synthetic.expressions import EXPRESSION_TYPES, Expression, describe, expressions, find_expressions
from ssa_stream.data.synthetic.motion import DIRECTIONS
from ssa_stream.data.synthetic.movements import Circles, Moving, Spins
from ssa_stream.data.synthetic.predicates import Attributes, Described, Predicate
from ssa_stream.data.synthetic.sampling import sample_scene
from ssa_stream.data.synthetic.seeds import SEEDS_PER_SPLIT, SPLITS, Split, generator, scene_seed
from ssa_stream.data.synthetic.truth import NO, YES, ObservedClip, observe
from ssa_stream.errors import ConfigError
from tests.unit.data.bystander import Bystander

PHRASES = re.compile(r"\b(" + "|".join(map(re.escape, HELD_OUT_PHRASES)) + r")(s|es)?\b")
NUM_SCENES: Final = 110
SMALL: Final = SceneConfig(size=(72, 126), num_frames=9)


def _clips(split: Split) -> list[tuple[ObservedClip, list[Expression]]]:
    found = []
    for seed in range(NUM_SCENES):
        scene = sample_scene(seed, split=split, config=SMALL)
        clip = observe(scene, 7 * (seed % 3), 9)
        found.append((clip, find_expressions(clip.truth, generator(scene.seed, 99))))
    return found


@pytest.fixture(scope="module")
def train() -> list[tuple[ObservedClip, list[Expression]]]:
    """Clips of the training split with sentences of all types."""
    return _clips("train")


@pytest.fixture(scope="module")
def val() -> list[tuple[ObservedClip, list[Expression]]]:
    """Clips of the validation split with sentences of all types."""
    return _clips("val")


@pytest.mark.slow
def test_targets_agree_with_a_second_plain_judge(
    train: list[tuple[ObservedClip, list[Expression]]], val: list[tuple[ObservedClip, list[Expression]]]
) -> None:
    """Hundreds of scenes: whatever the margins let through, common sense says the same."""
    checked: Counter[str] = Counter()
    for clip, found in (*train, *val):
        bystander = Bystander(clip.truth.scene, clip.truth.t0, clip.masks)
        for expression in found:
            told = bystander.targets(expression.described)
            assert told == set(expression.target_ids), (clip.truth.scene.seed, expression)
            checked[expression.type] += 1
    assert min(checked[kind] for kind in EXPRESSION_TYPES) > 100, checked


@pytest.mark.slow
def test_number_of_targets_and_wording_fit_the_type(train: list[tuple[ObservedClip, list[Expression]]]) -> None:
    """One target, several, or none; targets are visible."""
    for clip, found in train:
        assert len({expression.text for expression in found}) == len(found)
        for expression in found:
            count = len(expression.target_ids)
            fits = {"several": count >= 2, "no_target": count == 0}.get(expression.type, count == 1)
            assert fits, expression
            rows = [clip.truth.scene.ids.index(number) for number in expression.target_ids]
            assert clip.masks[rows].any(axis=(1, 2, 3)).all()


@pytest.mark.slow
def test_training_never_shows_or_says_what_is_held_out(train: list[tuple[ObservedClip, list[Expression]]]) -> None:
    """Neither as an object, nor by name, nor in its phrases."""
    for clip, found in train:
        for thing in clip.truth.scene.objects:
            assert (thing.appearance.colour, thing.appearance.shape) not in HELD_OUT_PAIRS
        for expression in found:
            assert not expression.held_out_pair
            assert not expression.held_out_phrasing
            assert PHRASES.search(expression.text) is None, expression.text
    for seed in range(2000):
        assert not any(thing.appearance.is_held_out for thing in sample_scene(seed).objects)


@pytest.mark.slow
def test_validation_flags_what_is_held_out(val: list[tuple[ObservedClip, list[Expression]]]) -> None:
    """The phrasing flag is set exactly where a held-out phrase is in the text."""
    every = [(clip, expression) for clip, found in val for expression in found]
    for clip, expression in every:
        assert expression.held_out_phrasing == (PHRASES.search(expression.text) is not None), expression.text
        shown = [thing for thing in clip.truth.scene.objects if thing.object_id in expression.target_ids]
        if any(thing.appearance.is_held_out for thing in shown):
            assert expression.held_out_pair
    assert 0.15 < sum(expression.held_out_phrasing for _, expression in every) / len(every) < 0.6
    assert 0.15 < sum(expression.held_out_pair for _, expression in every) / len(every) < 0.7


def test_expressions_of_one_frame_say_nothing_of_motion() -> None:
    """A picture cannot show it."""
    for seed in range(30):
        found = expressions(sample_scene(seed, config=SMALL), 0, 1, generator(seed, 1))
        assert {expression.type for expression in found} <= {"appearance", "relation", "several", "no_target"}
        for expression in found:
            assert re.search(r"\b(mov|go|head|travel|spin|rotat|grow|shrink|stop)\w*", expression.text) is None


def test_seeds_of_two_splits_never_meet() -> None:
    """Each split has a range of its own."""
    ranges = [(scene_seed(split, 0), scene_seed(split, SEEDS_PER_SPLIT - 1)) for split in SPLITS]
    for (_, last), (first, _) in pairwise(ranges):
        assert last < first


@pytest.mark.parametrize("seed", [-1, SEEDS_PER_SPLIT])
def test_seed_out_of_range_is_refused(seed: int) -> None:
    """It would fall into another split."""
    with pytest.raises(ConfigError, match="out of range"):
        sample_clip(seed, 4)


@pytest.mark.parametrize("t0", [0, 100, 1000])
def test_demo_sentences_hold_whenever_one_looks(t0: int) -> None:
    """The objects they name are there, once, and do what is said."""
    truth = observe(demo_scene(320, 180, 12.0), t0, 24).truth
    unique: list[Predicate] = [
        Attributes("circle", "red"),
        Attributes("star", "green"),
        Attributes("triangle", "yellow", "striped"),
        Attributes("ring", "purple"),
        Described(Attributes(), (Circles(),)),
        Described(Attributes("star"), (Spins(),)),
    ]
    matches = [np.flatnonzero(claim.judge(truth) == YES).tolist() for claim in unique]
    assert matches == [[0], [2], [3], [4], [4], [2]]
    lefts = Moving("left").judge(truth)
    assert lefts[1] != NO  # it may be outside for a part of the window
    assert lefts[6] == NO


def test_describe_gives_sentences_for_any_scene() -> None:
    """The demo's own, or what the generator finds."""
    assert describe(demo_scene()) == list(DEMO_SENTENCES)
    assert all(len(describe(sample_scene(seed))) >= 2 for seed in range(5))
    assert describe(sample_scene(3)) == describe(sample_scene(3))


def test_directions_are_eight_and_unit_length() -> None:
    """Their names are used as words."""
    assert len(DIRECTIONS) == 8
    assert all(abs(x * x + y * y - 1.0) < 1e-12 for x, y in DIRECTIONS.values())
