"""What the tests of the stream share: settings of property tests, recording of steps, comparison of results."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from ssa_stream.streaming import MaskResult, ReferSession, TrackMask, decoding
from ssa_stream.streaming.window import WindowStep, advance_windows

__all__ = ["assert_same_results", "prompt_view", "property_test", "recorded_steps", "saved"]


def property_test(max_examples: int) -> settings:
    """The same examples in every run, none kept on disk, no limit of time on a busy machine."""
    return settings(
        max_examples=max_examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@contextmanager
def recorded_steps() -> Iterator[list[list[WindowStep]]]:
    """Every outcome of the video decoder within the block: one list per push, one entry per prompt."""
    steps: list[list[WindowStep]] = []

    def recording(*args: object, **kwargs: object) -> list[WindowStep]:
        steps.append(advance_windows(*args, **kwargs))  # type: ignore[arg-type]
        return steps[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "advance_windows", recording)
        yield steps


def _plain(value: MaskResult | TrackMask) -> dict[str, object]:
    return {field.name: getattr(value, field.name) for field in fields(value) if field.name not in ("tracks", "mask")}


def assert_same_results(found: Sequence[MaskResult], expected: Sequence[MaskResult]) -> None:
    """Hold that two streams of results agree to the bit."""
    assert [_plain(one) for one in found] == [_plain(one) for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert [_plain(track) for track in one.tracks] == [_plain(track) for track in other.tracks]
        for track, twin in zip(one.tracks, other.tracks, strict=True):
            np.testing.assert_array_equal(track.mask, twin.mask)


def prompt_view(results: Sequence[MaskResult], prompt_id: str) -> list[tuple[int, list[tuple[int, int]]]]:
    """Per frame of one prompt: its number, and id and area of its tracks by ascending id."""
    return [
        (one.frame_index, sorted((track.track_id, track.area_px) for track in one.tracks))
        for one in results
        if one.prompt_id == prompt_id
    ]


def saved(session: ReferSession) -> bytes:
    """All that the session knows; equal bytes are equal states."""
    return session.state().to_bytes()
