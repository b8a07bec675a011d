"""What a frame says about its own time and about the one before it."""

import dataclasses

import pytest

from tests.support.scripted_source import numbered_frame


@pytest.mark.parametrize(
    ("t_capture_ns", "t_camera_ns", "expected"),
    [(None, None, None), (5, None, "monotonic"), (5, 7, "monotonic"), (None, 7, "camera")],
)
def test_capture_clock_is_the_best_one_that_is_known(
    t_capture_ns: int | None, t_camera_ns: int | None, expected: str | None
) -> None:
    """The host's, else the camera's."""
    frame = dataclasses.replace(numbered_frame(0), t_capture_ns=t_capture_ns, t_camera_ns=t_camera_ns)
    assert frame.capture_clock == expected


def test_frame_continues_an_earlier_one_of_its_size_across_epochs() -> None:
    """Not one of another size, nor one that it is before."""
    earlier = numbered_frame(5, t=1.0)
    assert numbered_frame(0, t=3.0, epoch=1).continues(earlier)
    assert not numbered_frame(0, t=3.0, epoch=1, size=(4, 4)).continues(earlier)
    assert not numbered_frame(0, t=0.0, epoch=1).continues(earlier)
