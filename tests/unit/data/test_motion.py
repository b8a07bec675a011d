"""Where the motion programs lead."""

import numpy as np
import pytest

from ssa_stream.data.synthetic.motion import DIRECTIONS, Box, Leg, MotionProgram, Orbit, Pulse, trajectory
from ssa_stream.data.synthetic.programs import Stage, overtaking_pair

BOX = Box(0.0, 0.0, 1.6, 1.0)
SECONDS = np.arange(16) / 10.0


@pytest.mark.parametrize("name", DIRECTIONS)
def test_leg_in_each_direction_moves_that_way(name: str) -> None:
    """Each of the eight names is a direction on the screen."""
    x, y = DIRECTIONS[name]
    poses = trajectory(MotionProgram(0.8, 0.5, BOX, legs=(Leg(0.2 * x, 0.2 * y, 60.0),)), SECONDS)
    moved = poses[-1, :2] - poses[0, :2]
    np.testing.assert_allclose(moved, [0.3 * x, 0.3 * y], atol=1e-5)


def test_legs_with_a_stop_move_then_rest_then_move_again() -> None:
    """Legs follow each other and repeat."""
    legs = (Leg(0.3, 0.0, 0.5), Leg(0.0, 0.0, 0.5))
    steps = np.diff(trajectory(MotionProgram(0.1, 0.5, BOX, legs=legs), SECONDS)[:, 0])
    np.testing.assert_allclose(steps, [0.03] * 5 + [0.0] * 5 + [0.03] * 5, atol=1e-5)


@pytest.mark.parametrize("border", ["bounce", "wrap"])
def test_border_after_a_long_time_keeps_the_object_in_its_box(border: str) -> None:
    """A live source can run for a day."""
    legs = (Leg(0.7, -0.45, 10.0), Leg(0.0, 0.3, 1.0))
    program = MotionProgram(0.8, 0.5, BOX, "bounce" if border == "bounce" else "wrap", legs)
    poses = trajectory(program, np.arange(0.0, 1e5, 137.3))
    assert poses[:, 0].min() >= 0.0
    assert poses[:, 0].max() <= 1.6
    assert poses[:, 1].min() >= 0.0
    assert poses[:, 1].max() <= 1.0


def test_bounce_at_the_border_reverses_without_a_jump() -> None:
    """The path is reflected."""
    poses = trajectory(MotionProgram(1.5, 0.5, BOX, legs=(Leg(0.5, 0.0, 60.0),)), SECONDS)
    steps = np.diff(poses[:, 0])
    assert steps[0] > 0.0 > steps[-1]
    assert np.abs(steps).max() <= 0.05 + 1e-6


def test_orbit_positive_rate_goes_clockwise_on_a_circle() -> None:
    """With y down, a growing angle is clockwise."""
    poses = trajectory(MotionProgram(0.8, 0.5, BOX, orbit=Orbit(0.2, 2.0, 0.0)), SECONDS)
    np.testing.assert_allclose(np.hypot(poses[:, 0] - 0.8, poses[:, 1] - 0.5), 0.2, atol=1e-5)
    assert poses[1, 1] > poses[0, 1]  # from the rightmost point downwards


def test_spin_and_pulse_change_angle_and_scale_only() -> None:
    """The centre stays."""
    poses = trajectory(MotionProgram(0.8, 0.5, BOX, spin_rate=1.0, pulse=Pulse(0.5, 1.5, 4.0, 0.0)), SECONDS)
    assert np.ptp(poses[:, :2]) == pytest.approx(0.3)  # x and y stay 0.8 and 0.5
    np.testing.assert_allclose(np.diff(poses[:, 2]), 0.1, atol=1e-5)
    assert (np.diff(poses[:, 3]) > 0.0).all()


def test_trajectory_at_one_time_equals_that_of_many() -> None:
    """Frames can be drawn in any order."""
    legs = (Leg(0.3, 0.1, 0.5), Leg(0.0, 0.0, 0.5))
    program = MotionProgram(0.1, 0.5, BOX, legs=legs)
    np.testing.assert_array_equal(trajectory(program, SECONDS)[7], trajectory(program, SECONDS[7:8])[0])


@pytest.mark.parametrize("seed", range(5))
def test_overtaking_pair_first_passes_second(seed: int) -> None:
    """From behind to ahead, within the clip."""
    rng = np.random.default_rng(seed)
    first, second = overtaking_pair(rng, Stage(1.6, 1.0, 1.5, 10.0), (0.1, 0.1))
    offset = trajectory(first, SECONDS)[:, :2] - trajectory(second, SECONDS)[:, :2]
    ahead = np.array([second.legs[0].velocity_x, second.legs[0].velocity_y])
    lead = offset @ (ahead / np.linalg.norm(ahead))
    assert lead[0] < -0.1
    assert lead[-1] > 0.1
