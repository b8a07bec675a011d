"""Decoding on a device: what happens where there is none, where it fails, and where it works."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.codec import CodecContext

from ssa_stream.errors import ConfigError
from ssa_stream.sources import open_source
from ssa_stream.sources.source import warnings_of
from tests.support.video_files import write_video

FRAMES = 24


class Device:
    """A decoder of a device that is a processor's, and fails at a packet.

    Attributes:
        packets: That it was given.
    """

    is_hwaccel = True
    own: Any
    fails_at: int
    packets: int

    def __init__(self, codec: str, fails_at: int) -> None:
        self.__dict__.update(own=CodecContext.create(codec, "r"), fails_at=fails_at, packets=0)

    def __setattr__(self, name: str, value: Any) -> None:
        """Settings are the decoder's."""
        if name == "packets":
            self.__dict__[name] = value
        else:
            setattr(self.own, name, value)

    def decode(self, packet: "av.Packet[Any]") -> list[Any]:
        """Decode, or fail as a driver does."""
        self.packets += 1
        if self.packets == self.fails_at:
            raise av.error.ExternalError(1, "no decoder surfaces left")
        return list(self.own.decode(packet))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with B-frames and two groups of pictures; each frame has its own grey."""
    path = tmp_path_factory.mktemp("hardware") / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "12", "bf": "3"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), i * 10, np.uint8), "rgb24")))
        container.mux(stream.encode())
    return path


def pictures(address: str) -> tuple[list[tuple[float, int]], tuple[str, ...], str | None]:
    """Times and greys of all frames, what the source says in the end, and what decoded at first."""
    with open_source(address) as source:
        frames = [(frame.t, round(float(frame.image.mean()))) for frame in source.frames()]
        return frames, tuple(warnings_of(source)), source.info.decoded_by


@pytest.mark.parametrize("fails_at", [0, 1, 2, 7, 13, 14, 20, 25], ids=lambda at: f"packet {at}" if at else "never")
def test_device_that_fails_loses_no_frame(monkeypatch: pytest.MonkeyPatch, video: Path, fails_at: int) -> None:
    """Whenever it fails, every picture comes once and in order; the source says that the processor went on."""
    monkeypatch.setattr("ssa_stream.sources.hardware.open_device", lambda codec, _: (Device(codec, fails_at), ""))
    expected, _, by_processor = pictures(f"{video}#hwaccel=none")
    found, warnings, device = pictures(f"{video}#hwaccel=cuda")
    assert len(expected) == FRAMES
    assert found == expected
    if fails_at in (0, 1) or fails_at > 12:  # else it depends on how many packets come before the first picture
        assert (by_processor, device) == (None, "cuda" if fails_at != 1 else None)
    assert [("cuda failed" in line, "surfaces" in line) for line in warnings] == [(True, True)] * (fails_at > 0)


def test_device_that_fails_in_a_long_group_waits_for_a_key_frame(monkeypatch: pytest.MonkeyPatch, video: Path) -> None:
    """What is kept for the processor is limited; beyond that pictures are missing up to the next key frame."""
    monkeypatch.setattr("ssa_stream.sources.hardware.open_device", lambda codec, _: (Device(codec, 8), ""))
    monkeypatch.setattr("ssa_stream.sources.hardware._MOST_KEPT_PACKETS", 4)
    frames, _, _ = pictures(f"{video}#hwaccel=cuda")
    greys = [grey for _, grey in frames]
    whole = [grey for _, grey in pictures(f"{video}#hwaccel=none")[0]]
    assert greys[-12:] == whole[12:]
    assert greys[:-12] == whole[: len(greys) - 12]
    assert len(greys) < FRAMES


def test_device_is_looked_for_only_where_it_may_be_used(monkeypatch: pytest.MonkeyPatch, video: Path) -> None:
    """H.264 is tried on the usual devices by itself; other codecs are not, nor is anything that is told not to."""
    asked = list[tuple[str, str]]()

    def none_here(codec: str, device: str) -> tuple[None, str]:
        """Take note."""
        asked.append((codec, device))
        return None, f"there is no {device}"

    monkeypatch.setattr("ssa_stream.sources.hardware.open_device", none_here)
    assert pictures(str(video))[1] == ()
    assert ("h264", "cuda") in asked
    del asked[:]
    other = write_video(video.with_name("other.mkv"), 2, codec="mpeg4")
    assert pictures(str(other))[1:] == ((), None)
    assert pictures(f"{video}#hwaccel=none")[1:] == ((), None)
    assert asked == []


def test_device_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, video: Path) -> None:
    """One that was asked for by name and is not there costs a warning, not the source."""
    monkeypatch.setattr("ssa_stream.sources.hardware.hwdevices_available", lambda: ["cuda"])
    monkeypatch.setattr("ssa_stream.sources.hardware._problem", lambda codec, device: f"this FFmpeg has no {device}")
    frames, (warning,), device = pictures(f"{video}#hwaccel=vaapi")
    assert (len(frames), device) == (FRAMES, None)
    assert warning.startswith("this FFmpeg has no vaapi; the processor decodes: leave hwaccel out")


def test_device_of_an_unknown_kind_is_an_error(video: Path) -> None:
    """A wrong name is refused before anything is opened, with those that are right."""
    with pytest.raises(ConfigError, match=r"hwaccel is 'gpu'; expected one of auto, none, cuda"):
        open_source(f"{video}#hwaccel=gpu")
