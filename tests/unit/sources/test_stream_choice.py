"""A video stream that FFmpeg has no decoder for is never read: another one is, or one sentence says why none is."""

from pathlib import Path
from typing import cast

import av
import pytest
from av.stream import Disposition
from av.video.stream import VideoStream

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.sources import open_source
from tests.support.video_files import numbered_image, write_video


def _without_decoder(path: Path, tag: bytes = b"avc1") -> Path:
    """Give the video of an .mp4 file a codec that nobody knows."""
    path.write_bytes(path.read_bytes().replace(tag, b"zzzz"))
    return path


def _two_streams(path: Path) -> Path:
    """MPEG-4 without a mark, and H.264 as default of another size."""
    with av.open(str(path), "w") as container:
        for codec, size, disposition in (
            ("mpeg4", (48, 96), Disposition(0)),
            ("libx264", (64, 128), Disposition.default),
        ):
            stream = cast(VideoStream, container.add_stream(codec, rate=10))
            stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
            stream.disposition = disposition
        for stream in container.streams.video:
            for number in range(5):
                image = numbered_image(number, stream.height, stream.width)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
    return path


def test_video_without_a_decoder_raises_one_clear_error(tmp_path: Path) -> None:
    """For a recording."""
    path = _without_decoder(write_video(tmp_path / "a.mp4", 5))
    with pytest.raises(SourceError, match=r"the video of .* cannot be decoded: FFmpeg has no decoder") as caught:
        open_source(path)
    assert caught.value.code is SourceErrorCode.UNSUPPORTED_CODEC


def test_chosen_stream_without_a_decoder_raises_one_clear_error(tmp_path: Path) -> None:
    """Another stream is not taken for the one that was asked for."""
    path = _without_decoder(_two_streams(tmp_path / "a.mp4"))
    with pytest.raises(SourceError, match=r"video stream 1 of .* cannot be decoded: FFmpeg has no decoder"):
        open_source(f"{path}#stream=1")


def test_stream_that_is_not_there_is_told_beside_one_without_a_decoder(tmp_path: Path) -> None:
    """The list of what is there holds it."""
    path = _without_decoder(_two_streams(tmp_path / "a.mp4"))
    with pytest.raises(SourceError, match="has no video stream 5; it has 0: mpeg4, 96x48; 1: unknown codec, default"):
        open_source(f"{path}#stream=5")


def test_default_stream_without_a_decoder_is_passed_over(tmp_path: Path) -> None:
    """The other one is read."""
    path = _two_streams(tmp_path / "a.mp4")
    with open_source(path) as source:
        assert source.info.size == (64, 128)
    with open_source(_without_decoder(path)) as source:
        assert source.info.size == (48, 96)
        assert len(list(source.frames())) == 5
