"""What is in a video while it grows, whatever its rate."""

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from ssa_stream.sinks import OverlayVideoSink
from ssa_stream.sinks.last_picture import matroska_cluster, mp4_fragment
from ssa_stream.sources import Frame

_INTERVALS_S = {
    "an hour": [3600.0] * 4,
    "five seconds": [5.0] * 40,
    "half a second": [0.5] * 40,
    "at 120 fps": [1 / 120] * 200,
    "sometimes": [0.01, 3.0, 0.4, 0.4, 0.6, 0.1, 7.0, 0.49, 0.01, 1.0, 0.5, 0.5, 60.0, 0.2] * 3,
}


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("intervals", _INTERVALS_S.values(), ids=_INTERVALS_S)
def test_growing_video_lacks_less_than_a_second_of_stream_time(
    tmp_path: Path, intervals: list[float], ending: str
) -> None:
    """After every single picture; what is counted as in the file is in it; closed, it has all of them, unchanged."""
    times = [0.0]
    for interval in intervals:
        times.append(times[-1] + interval)
    sink = OverlayVideoSink(tmp_path / f"a.{ending}", fps=30)
    for number, t in enumerate(times):
        image = np.full((48, 64, 3), number % 200, np.uint8)
        sink.write(Frame(image, number, 0, t, t_receive_ns=0), [])
        if number % max(1, len(times) // 20) == 0:
            played = _times(tmp_path / f"a.partial.{ending}")
            assert t - played[-1] < 1.0
            assert sink.frames_in_file <= len(played)
            assert played == pytest.approx(times[: len(played)], abs=2e-3)
    sink.close()
    assert _times(tmp_path / f"a.{ending}") == pytest.approx(times, abs=2e-3)
    assert sink.frames_in_file == len(times)


def _times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert all(before < after for before, after in pairwise(times))
    return times


def test_start_codes_become_lengths() -> None:
    """Of three and of four bytes; what has none, such as MPEG-4 Part 2, stays."""
    units = b"\x00\x00\x00\x01\x67abc\x00\x00\x01\x65d"
    assert mp4_fragment(units, 0, 1, is_key=True).endswith(b"mdat\x00\x00\x00\x04\x67abc\x00\x00\x00\x02\x65d")
    other = b"\x00\x00\x02\xb6rest"
    assert mp4_fragment(other, 0, 1, is_key=True).endswith(b"mdat" + other)
    assert matroska_cluster(b"x" * 200, 70_000, is_key=False).startswith(
        b"\x1f\x43\xb6\x75\x40\xd4\xe7\x83\x01\x11\x70"
    )
