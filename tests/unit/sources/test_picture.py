"""Decoded frames become upright SDR RGB pictures, whatever comes with them."""

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorTrc, VideoReformatter
from av.video.stream import VideoStream
from PIL import Image, ImageOps

from ssa_stream.sources.picture import PictureConverter, RgbConverter, StoredAspect
from tests.support.picture_files import four_colours, hdr_frame

_ORIENTATION_TAG = 0x0112


def _write_still(path: Path, orientation: int) -> Path:
    """A still image with an EXIF orientation."""
    image, exif = Image.fromarray(four_colours()), Image.Exif()
    exif[_ORIENTATION_TAG] = orientation
    match path.suffix:
        case ".tif":
            image.save(path, tiffinfo={_ORIENTATION_TAG: orientation})
        case ".jpg":
            image.save(path, exif=exif, quality=95, subsampling=0)
        case _:
            image.save(path, exif=exif, lossless=True)
    return path


def _decoded(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def _scaled_by_ffmpeg(frame: av.VideoFrame, arguments: str = "flags=bilinear") -> np.ndarray:
    """What FFmpeg's own `scale` filter makes of a frame."""
    graph = av.filter.Graph()
    source = graph.add(
        "buffer", video_size=f"{frame.width}x{frame.height}", pix_fmt=frame.format.name, time_base="1/1000",
        pixel_aspect="1/1", colorspace=str(int(frame.colorspace)), range=str(int(frame.color_range)),
    )  # fmt: skip
    graph.link_nodes(source, graph.add("scale", arguments), graph.add("format", "rgb24"), graph.add("buffersink"))
    graph.configure()
    graph.push(frame)
    return cast(av.VideoFrame, graph.pull()).to_ndarray().astype(int)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif", ".webp"])
def test_convert_still_image_is_upright_as_exif_says(tmp_path: Path, ending: str, orientation: int) -> None:
    """As PIL turns it; PyAV cannot even name this kind of side data."""
    path = _write_still(tmp_path / f"a{ending}", orientation)
    frame = _decoded(path)
    with pytest.raises(ValueError, match="is not a valid Type"):
        _ = frame.side_data
    converter = PictureConverter()
    first, again = (converter.convert(frame, Fraction(2)) for _ in range(2))
    upright = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB")).astype(int)
    assert first.image.shape == upright.shape
    assert np.abs(first.image - upright).max() <= (6 if ending == ".jpg" else 0)
    np.testing.assert_array_equal(again.image, first.image)
    assert first.image.flags.c_contiguous
    assert first.pixel_aspect == (2 if orientation < 5 else Fraction(1, 2))


@pytest.mark.parametrize("format_name", ["yuv420p", "yuvj420p", "yuv420p10le", "nv12", "gray", "gray16le", "rgb48le",
                                         "rgba", "gbrp", "ya8", "yuva420p", "monow"])  # fmt: skip
def test_rgb_of_sdr_frame_is_that_of_ffmpeg(format_name: str) -> None:
    """Depth, range, grey and alpha make no difference to what FFmpeg's scaler gives by itself."""
    frame = VideoReformatter().reformat(av.VideoFrame.from_ndarray(four_colours(), format="rgb24"), format=format_name)
    converter = RgbConverter()
    np.testing.assert_array_equal(converter.rgb(frame), _scaled_by_ffmpeg(frame))
    assert converter.warnings == ()


@pytest.mark.parametrize("matrix", [0, 1, 2, 4, 5, 6, 7, 9])
@pytest.mark.parametrize("colour_range", [1, 2])
def test_rgb_follows_matrix_and_range(matrix: int, colour_range: int) -> None:
    """Unspecified is BT.601, as in FFmpeg."""
    frame = VideoReformatter().reformat(av.VideoFrame.from_ndarray(four_colours(), format="rgb24"), format="yuv444p")
    frame.colorspace, frame.color_range = matrix, colour_range
    np.testing.assert_array_equal(RgbConverter().rgb(frame), _scaled_by_ffmpeg(frame))


@pytest.mark.parametrize("matrix", [3, 8, 10, 14, 15])
def test_rgb_of_refused_matrix_takes_the_nearest_and_warns_once(matrix: int) -> None:
    """YCgCo, ICtCp and others: a picture with somewhat wrong colours, and one sentence."""
    frame = VideoReformatter().reformat(av.VideoFrame.from_ndarray(four_colours(), format="rgb24"), format="yuv444p")
    frame.colorspace, frame.color_range = matrix, 1
    converter = RgbConverter()
    first = converter.rgb(frame)
    np.testing.assert_array_equal(converter.rgb(frame), first)
    assert len(converter.warnings) == 1
    assert f"number {matrix}" in converter.warnings[0]


def test_rgb_of_colours_that_cannot_be_converted_is_plain_with_a_warning() -> None:
    """BT.2020 with a reserved transfer."""
    frame = VideoReformatter().reformat(av.VideoFrame.from_ndarray(four_colours(), format="rgb24"), format="yuv420p")
    plain = RgbConverter().rgb(frame)
    frame.color_trc, frame.color_primaries = 0, ColorPrimaries.BT2020
    converter = RgbConverter()
    np.testing.assert_array_equal(converter.rgb(frame), plain)
    assert "cannot be brought to SDR" in converter.warnings[0]
    assert len(converter.warnings) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("transfer", "share"), [(ColorTrc.SMPTE2084, 0.3), (ColorTrc.ARIB_STD_B67, 0.75)], ids=["pq", "hlg"]
)
def test_rgb_of_hdr_frame_looks_like_its_sdr_original(transfer: ColorTrc, share: float) -> None:
    """Tone-mapped as FFmpeg's own filter does it, and far nearer to the original than the plain numbers are."""
    sdr = four_colours(48, 80)
    frame, converter = hdr_frame(sdr, transfer), RgbConverter()
    made = converter.rgb(frame).astype(int)
    own = _scaled_by_ffmpeg(frame, "flags=bilinear:out_transfer=bt709:out_primaries=bt709")
    plain = VideoReformatter().reformat(frame, format="rgb24").to_ndarray().astype(int)
    assert np.abs(made - own).mean() < 1
    assert np.abs(made - sdr).mean() < share * np.abs(plain - sdr).mean()
    assert converter.warnings == ()


def _stream(declared: Fraction | None, coded: Fraction | None) -> VideoStream:
    """What `StoredAspect` looks at."""
    context = SimpleNamespace(sample_aspect_ratio=coded)
    return cast(VideoStream, SimpleNamespace(sample_aspect_ratio=declared, codec_context=context))


@pytest.mark.parametrize(
    ("declared", "coded", "expected"),
    [
        (None, None, 1),
        (Fraction(0), Fraction(0), 1),
        (Fraction(16, 11), Fraction(12, 11), Fraction(16, 11)),
        (None, Fraction(12, 11), Fraction(12, 11)),
        (Fraction(100), None, 1),
        (Fraction(1, 100), None, 1),
        (Fraction(16), None, 16),
    ],
    ids=["none", "zero", "container-first", "codec", "too-wide", "too-narrow", "widest"],
)
def test_stored_aspect_is_the_containers_or_the_codecs(
    declared: Fraction | None, coded: Fraction | None, expected: Fraction
) -> None:
    """What is unknown or absurd is square."""
    assert StoredAspect(_stream(declared, coded)).now == expected


def test_stored_aspect_follows_a_change_of_the_codec_and_back(tmp_path: Path) -> None:
    """A broadcast between 4:3 and 16:9; the container knows only how it began."""
    stream = _stream(Fraction(12, 11), Fraction(12, 11))
    aspect, seen = StoredAspect(stream), []
    key_frame = _decoded(_write_still(tmp_path / "a.png", 1))
    for coded in (Fraction(12, 11), Fraction(16, 11), Fraction(12, 11)):
        stream.codec_context.sample_aspect_ratio = coded
        aspect.take(key_frame)
        seen.append(aspect.now)
    assert seen == [Fraction(12, 11), Fraction(16, 11), Fraction(12, 11)]
