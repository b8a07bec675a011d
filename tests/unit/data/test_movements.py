"""Claims about motion and place, judged on scenes built by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from ssa_stream.data.synthetic.motion import DIRECTIONS, Box, Leg, MotionProgram, Orbit, Pulse
from ssa_stream.data.synthetic.movements import (
    Circles,
    Crosses,
    Movement,
    Moving,
    Pauses,
    Resizes,
    Resting,
    Spins,
    Starts,
    Stops,
    Turns,
)
from ssa_stream.data.synthetic.predicates import Attributes, Predicate
from ssa_stream.data.synthetic.relations import Approaches, Beside, Extreme, Nearest, Overtakes
from ssa_stream.data.synthetic.scene import Scene
from ssa_stream.data.synthetic.truth import NO, UNSURE, YES, observe

SceneMaker = Callable[..., Scene]
BOX = Box(0.0, 0.0, 160 / 96, 1.0)
WIDE = Box(-0.2, -0.2, 160 / 96 + 0.2, 1.2)
NUM_FRAMES = 11  # one second


def _program(*legs: Leg, x: float = 0.8, y: float = 0.5) -> MotionProgram:
    return MotionProgram(x, y, BOX, legs=legs)


STILL = MotionProgram(0.8, 0.5, BOX)
LEFT = _program(Leg(-0.3, 0.0, 60.0))
UP_THEN_STOP = _program(Leg(0.0, -0.5, 0.5), Leg(0.0, 0.0, 60.0))
WAIT_THEN_RIGHT = _program(Leg(0.0, 0.0, 0.5), Leg(0.5, 0.0, 60.0))
PAUSE = _program(Leg(0.4, 0.0, 0.3), Leg(0.0, 0.0, 0.3), Leg(0.4, 0.0, 60.0))
UP_THEN_LEFT = _program(Leg(0.0, -0.4, 0.5), Leg(-0.4, 0.0, 60.0))
CLOCKWISE = MotionProgram(0.8, 0.5, BOX, orbit=Orbit(0.2, 5.0, 0.0))
SPIN = MotionProgram(0.8, 0.5, BOX, spin_rate=2.0)
GROW = MotionProgram(0.8, 0.5, BOX, pulse=Pulse(0.7, 1.4, 3.0, 0.0))
ENTER = MotionProgram(-0.15, 0.5, WIDE, "wrap", (Leg(0.5, 0.0, 60.0),))
BARELY = _program(Leg(-0.03, 0.0, 60.0))
SLANTED = _program(Leg(-0.3, 0.15, 60.0))

CASES: list[tuple[str, MotionProgram, Predicate, int]] = [
    ("still", STILL, Resting(), YES),
    ("still", STILL, Moving(), NO),
    ("left", LEFT, Moving("left"), YES),
    ("left", LEFT, Moving("up"), NO),
    ("left", LEFT, Moving("up-left"), UNSURE),
    ("left", LEFT, Moving("right"), NO),
    ("left", LEFT, Resting(), NO),
    ("left", LEFT, Stops("left"), NO),
    ("barely", BARELY, Moving("left"), UNSURE),
    ("barely", BARELY, Resting(), UNSURE),
    ("slanted", SLANTED, Moving("left"), UNSURE),
    ("up-stop", UP_THEN_STOP, Stops("up"), YES),
    ("up-stop", UP_THEN_STOP, Stops(), YES),
    ("up-stop", UP_THEN_STOP, Stops("left"), NO),
    ("up-stop", UP_THEN_STOP, Starts(), NO),
    ("up-stop", UP_THEN_STOP, Moving("up"), UNSURE),
    ("wait-right", WAIT_THEN_RIGHT, Starts("right"), YES),
    ("wait-right", WAIT_THEN_RIGHT, Stops(), NO),
    ("pause", PAUSE, Pauses(), YES),
    ("pause", PAUSE, Stops(), UNSURE),
    ("left", LEFT, Pauses(), NO),
    ("up-left", UP_THEN_LEFT, Turns("up", "left"), YES),
    ("up-left", UP_THEN_LEFT, Turns("left", "up"), NO),
    ("up-left", UP_THEN_LEFT, Moving("up"), UNSURE),
    ("circle", CLOCKWISE, Circles(), YES),
    ("circle", CLOCKWISE, Circles(clockwise=True), YES),
    ("circle", CLOCKWISE, Circles(clockwise=False), NO),
    ("left", LEFT, Circles(), NO),
    ("spin", SPIN, Spins(), YES),
    ("spin", SPIN, Spins(clockwise=False), NO),
    ("spin", SPIN, Resting(), UNSURE),
    ("grow", GROW, Resizes(grows=True), YES),
    ("grow", GROW, Resizes(grows=False), NO),
    ("left", LEFT, Resizes(grows=True), NO),
    ("enter", ENTER, Crosses(enters=True), YES),
    ("enter", ENTER, Crosses(enters=False), NO),
    ("left", LEFT, Crosses(enters=True), NO),
]


@pytest.mark.parametrize(
    ("program", "claim", "expected"), [c[1:] for c in CASES], ids=[f"{c[0]}-{c[2]}" for c in CASES]
)
def test_movement_of_one_object_is_judged_as_named(
    make_scene: SceneMaker, program: MotionProgram, claim: Predicate, expected: int
) -> None:
    """Clear cases are yes or no, borderline ones open."""
    truth = observe(make_scene(("red", "star", program)), 0, NUM_FRAMES).truth
    assert claim.judge(truth).tolist() == [expected]


@pytest.mark.parametrize("name", DIRECTIONS)
def test_moving_in_each_direction_is_told_from_the_others(make_scene: SceneMaker, name: str) -> None:
    """Only the neighbouring directions are too close to call."""
    x, y = DIRECTIONS[name]
    truth = observe(make_scene(("red", "star", _program(Leg(0.3 * x, 0.3 * y, 60.0)))), 0, NUM_FRAMES).truth
    judged = {other: int(Moving(other).judge(truth)[0]) for other in DIRECTIONS}
    assert [other for other, verdict in judged.items() if verdict == YES] == [name]
    assert sum(verdict == UNSURE for verdict in judged.values()) == 2  # the neighbours


def test_movement_judged_in_another_window_follows_what_it_shows(make_scene: SceneMaker) -> None:
    """The same object stops early on and rests later."""
    scene = make_scene(("red", "star", UP_THEN_STOP))
    assert Stops("up").judge(observe(scene, 0, NUM_FRAMES).truth).tolist() == [YES]
    assert Resting().judge(observe(scene, 20, NUM_FRAMES).truth).tolist() == [YES]


def test_movement_of_an_object_out_of_view_is_no(make_scene: SceneMaker) -> None:
    """Nobody sees what it does."""
    outside = MotionProgram(-0.8, 0.5, Box(-1.0, 0.0, 1.0, 1.0), legs=(Leg(-0.1, 0.0, 60.0),))
    truth = observe(make_scene(("red", "star", outside)), 0, NUM_FRAMES).truth
    claims: list[Predicate | Movement] = [Moving("left"), Resting(), Attributes("star")]
    assert [int(claim.judge(truth)[0]) for claim in claims] == [NO, NO, NO]


def test_movement_in_a_single_frame_is_open(make_scene: SceneMaker) -> None:
    """A picture shows no motion."""
    truth = observe(make_scene(("red", "star", LEFT)), 0, 1).truth
    assert Moving("left").judge(truth).tolist() == [UNSURE]


def test_relations_between_still_objects_are_judged_by_place(make_scene: SceneMaker) -> None:
    """Sides, distances and extremes; equal sizes stay open."""
    places = [("red", 0.3), ("blue", 0.7), ("green", 1.4)]
    scene = make_scene(*((colour, "star", MotionProgram(x, 0.5, BOX)) for colour, x in places))
    truth = observe(scene, 0, 5).truth
    blue, stars = Attributes(colour="blue"), Attributes("star")
    assert Beside("left", blue).judge(truth).tolist() == [YES, NO, NO]
    assert Beside("right", blue).judge(truth).tolist() == [NO, NO, YES]
    assert Nearest(stars, blue).judge(truth).tolist() == [YES, NO, NO]
    assert Nearest(stars, blue, farthest=True).judge(truth).tolist() == [NO, NO, YES]
    assert Extreme("rightmost", stars).judge(truth).tolist() == [NO, NO, YES]
    assert Extreme("biggest", stars).judge(truth).tolist() == [UNSURE] * 3


def test_relation_that_changes_within_the_clip_is_open(make_scene: SceneMaker) -> None:
    """It was left of the ring and then right of it."""
    passing = _program(Leg(0.8, 0.0, 60.0), x=0.3, y=0.3)
    scene = make_scene(("red", "star", passing), ("blue", "ring", MotionProgram(0.7, 0.6, BOX)))
    truth = observe(scene, 0, NUM_FRAMES).truth
    assert Beside("left", Attributes(colour="blue")).judge(truth).tolist() == [UNSURE, NO]


def test_overtaking_and_approaching_are_judged_by_the_paths(make_scene: SceneMaker) -> None:
    """To be overtaken is not to overtake."""
    fast = _program(Leg(0.6, 0.0, 60.0), x=0.3, y=0.3)
    slow = _program(Leg(0.2, 0.0, 60.0), x=0.5, y=0.6)
    wall = MotionProgram(1.5, 0.3, BOX)
    scene = make_scene(("red", "star", fast), ("blue", "ring", slow), ("green", "square", wall))
    truth = observe(scene, 0, NUM_FRAMES).truth
    assert Overtakes(Attributes(colour="blue")).judge(truth).tolist() == [YES, NO, NO]
    assert Overtakes(Attributes(colour="red")).judge(truth).tolist() == [NO, NO, NO]
    assert Approaches(Attributes(colour="green")).judge(truth)[0] == YES
    assert Extreme("fastest", Attributes()).judge(truth).tolist() == [YES, NO, NO]


def test_anchor_that_is_not_unique_leaves_the_relation_open(make_scene: SceneMaker) -> None:
    """There are two blue things."""
    scene = make_scene(
        ("red", "star", MotionProgram(0.3, 0.5, BOX)),
        ("blue", "star", MotionProgram(0.8, 0.5, BOX)),
        ("blue", "ring", MotionProgram(1.3, 0.5, BOX)),
    )
    verdicts = Beside("left", Attributes(colour="blue")).judge(observe(scene, 0, 3).truth)
    assert np.all(verdicts == UNSURE)
