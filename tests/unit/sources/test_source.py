"""What a frame says about its own time and about the one before it."""

import dataclasses

import pytest

from ssa_stream.sources.source import warnings_of
from ssa_stream.sources.status import SourceLosses, losses_of
from tests.support.scripted_source import ScriptedSource, numbered_frame


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


class _Plugin(ScriptedSource):
    """A source of somebody else, with whatever it has for `warnings` and `losses`."""

    def __init__(self, told: object) -> None:
        super().__init__([])
        self._told = told

    @property
    def warnings(self) -> object:
        """What it was given, raised if that can be raised."""
        if isinstance(self._told, Exception):
            raise self._told
        return self._told

    @property
    def losses(self) -> object:
        """The same."""
        return self.warnings


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (("one", "two"), ("one", "two")),
        ("a text", ("a text",)),
        (None, ()),
        (7, ()),
        (["one", None, 3], ("one",)),
        (KeyError("x"), ("its warnings could not be read: unexpected KeyError",)),
    ],
    ids=["tuple", "text", "none", "number", "mixed", "raises"],
)
def test_warnings_of_a_plugin_are_texts_whatever_it_gives(told: object, expected: tuple[str, ...]) -> None:
    """They end nothing."""
    assert warnings_of(_Plugin(told)) == expected


_NO_NUMBER = SourceLosses("many")  # type: ignore[arg-type]  # as a plug-in may do


@pytest.mark.parametrize("told", [None, "3", KeyError("x"), _NO_NUMBER], ids=["none", "text", "raises", "not-a-number"])
def test_losses_of_a_plugin_that_make_no_sense_are_none(told: object) -> None:
    """They cannot be added up."""
    assert losses_of(_Plugin(told)) == SourceLosses()
