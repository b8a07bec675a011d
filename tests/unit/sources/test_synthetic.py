"""The address of synthetic scenes, and their two ways of playing."""

import numpy as np
import pytest

from ssa_stream.data import render
from ssa_stream.errors import SourceError
from ssa_stream.sources import SyntheticSource, SyntheticSpec


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("synthetic", SyntheticSpec()),
        ("synthetic:7", SyntheticSpec(seed=7)),
        ("synthetic@320x180", SyntheticSpec(width=320, height=180)),
        ("synthetic:7@640x360,12.5fps,300frames", SyntheticSpec(7, 640, 360, 12.5, 300)),
        ("synthetic@5frames, 64x48", SyntheticSpec(width=64, height=48, frame_count=5)),
    ],
)
def test_parse_reads_the_grammar(address: str, expected: SyntheticSpec) -> None:
    """Every part may be left out."""
    assert SyntheticSpec.parse(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        "synthetic:",
        "synthetic:x",
        "synthetic@",
        "synthetic@9",
        "synthetic@1fps,2fps",
        "synthetic7",
        "synthetic@64x48,\u0661fps",
        "synthetic:" + "9" * 5000,
    ],
)
def test_parse_refuses_the_rest(address: str) -> None:
    """The message shows the grammar."""
    with pytest.raises(SourceError, match="expected synthetic"):
        SyntheticSpec.parse(address)


def test_scene_out_of_range_raises_source_error() -> None:
    """The scene's own limits are told in the terms of the address."""
    with pytest.raises(SourceError, match="at least 16x16"):
        SyntheticSource(SyntheticSpec(width=4, height=4), live=False)


@pytest.mark.parametrize("seed", ["", ":7"])
@pytest.mark.parametrize("settings", ["0x0", "0x480", "1x1", "15x640", "0fps", "0.0fps", "0frames", "2000fps"])
def test_scene_that_cannot_be_drawn_is_refused(seed: str, settings: str) -> None:
    """With what was expected; the demo scene and the others alike."""
    with pytest.raises(SourceError, match="expected"):
        SyntheticSource(SyntheticSpec.parse(f"synthetic{seed}@{settings}"), live=False)


def test_unpaced_frames_are_those_of_the_scene() -> None:
    """Frame `seq` is `render(scene, seq)`, so that true masks are at hand."""
    with SyntheticSource(SyntheticSpec.parse("synthetic:3@64x48,10fps,4frames"), live=False) as source:
        frames = list(source.frames())
        assert source.info.frame_count == 4
        for frame in frames:
            np.testing.assert_array_equal(frame.image, render(source.scene, frame.seq).image)
    assert [frame.t for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_live_frames_skip_what_was_not_asked_for_in_time() -> None:
    """A slow reader sees gaps in `seq`, not a growing delay."""
    now_s = [0.0]

    def wait(seconds: float) -> bool:
        now_s[0] += seconds
        return False

    spec = SyntheticSpec.parse("synthetic@32x32,10fps")
    with SyntheticSource(spec, live=True, clock=lambda: now_s[0], wait=wait) as source:
        frames = source.frames()
        numbers = [next(frames).seq, next(frames).seq]
        now_s[0] += 0.55
        numbers += [next(frames).seq, next(frames).seq]
        assert now_s[0] == pytest.approx(0.7)
    assert numbers == [0, 1, 6, 7]
    assert list(frames) == []
