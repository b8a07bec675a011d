"""Orientation, pixel shape, colours and blank pictures, through the command line with the shipped weights and a graph.

What is looked for is the red circle of the demo scene; every picture shows the same place of it, differently stored.
"""

import json
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorTrc
from numpy.typing import NDArray
from PIL import Image

from ssa_stream.data import demo_scene, render
from ssa_stream.protocols import MaskMessage
from tests.support.command_line import run_command
from tests.support.graph_streams import answers_of_graph, answers_of_session, graph_of, make_material
from tests.support.graphs import watched
from tests.support.picture_files import add_orientation, encode_frames, hdr_frame, write_images

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

HEIGHT, WIDTH = 180, 320
PROMPT = "the red circle"
CIRCLE = (42, 33, 85, 76)
"""Its box in the first picture."""
_HDR10 = (
    "hdr10=1:repeat-headers=1:max-cll=1000,400:"
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
)


def _scene(count: int) -> list[NDArray[np.uint8]]:
    scene = demo_scene(WIDTH, HEIGHT, 30.0)
    return [render(scene, number).image for number in range(count)]


def _run(source: Path, *more: str) -> tuple[list[dict[str, Any]], str]:
    """The lines of a run, and what it told."""
    folder = source.parent
    done = run_command("run", source, "-p", PROMPT, "-o", "m.jsonl", "--device", "cpu", *more, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return [json.loads(line) for line in (folder / "m.jsonl").read_text().splitlines()], done.stderr


def _expect_circle(line: dict[str, Any], box: tuple[int, ...] = CIRCLE, *, within_px: int = 4) -> None:
    """The circle is found, at its place, as in the plain scene."""
    assert line["probability"] > 0.9
    (track,) = line["tracks"]
    assert np.abs(np.subtract(track["box_xyxy"], box)).max() <= within_px, track["box_xyxy"]


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_run_picture_with_exif_orientation_is_upright(tmp_path: Path, ending: str) -> None:
    """A photograph of a phone that was held upright: stored turned to the left, to be turned to the right."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"a{ending}"
    Image.fromarray(np.rot90(_scene(1)[0])).save(path, exif=exif, quality=95)
    (line,), _ = _run(path)
    assert line["size"] == [HEIGHT, WIDTH]
    _expect_circle(line)


def test_run_video_whose_orientation_comes_with_key_frames_keeps_it(tmp_path: Path) -> None:
    """One epoch, one size and one track over three groups of pictures."""
    stored = [np.ascontiguousarray(np.rot90(image, -1)) for image in _scene(24)]
    encoder = {"g": "8", "crf": "12", "x264-params": "pic-struct=1"}
    path = add_orientation(write_images(tmp_path / "raw.ts", stored, encoder=encoder), tmp_path / "a.ts", rotate=90)
    lines, _ = _run(path)
    assert {(line["epoch"], *line["size"]) for line in lines} == {(0, HEIGHT, WIDTH)}
    _expect_circle(lines[0])
    assert {line["tracks"][0]["id"] for line in lines} == {1}


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_run_video_with_wide_pixels_finds_what_the_square_one_shows(tmp_path: Path, ending: str) -> None:
    """Masks are in the stored pixels, and the overlay is shown as wide as the source."""
    stored = [np.asarray(Image.fromarray(image).resize((WIDTH // 2, HEIGHT))) for image in _scene(6)]
    path = write_images(tmp_path / f"a{ending}", stored, pixel_aspect=Fraction(2))
    lines, _ = _run(path, "-o", f"overlay{ending}")
    assert lines[0]["size"] == [HEIGHT, WIDTH // 2]
    left, top, right, bottom = CIRCLE
    _expect_circle(lines[0], (left // 2, top, right // 2, bottom))
    with av.open(str(tmp_path / f"overlay{ending}")) as container:
        stream = container.streams.video[0]
        assert (stream.sample_aspect_ratio, stream.width, stream.height) == (Fraction(2), WIDTH // 2, HEIGHT)


@pytest.mark.parametrize(
    ("transfer", "x265"),
    [(ColorTrc.SMPTE2084, ""), (ColorTrc.SMPTE2084, _HDR10), (ColorTrc.ARIB_STD_B67, "")],
    ids=["pq", "hdr10", "hlg"],
)
def test_run_hdr_video_finds_what_the_sdr_one_shows(tmp_path: Path, transfer: ColorTrc, x265: str) -> None:
    """Tone-mapped, without a word; also where the brightness of the mastering display is told."""
    frames = [hdr_frame(image, transfer) for image in _scene(3)]
    lines, told = _run(encode_frames(tmp_path / "a.mp4", frames, x265=x265), "-o", "overlay.mp4")
    _expect_circle(lines[0])
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        shown = next(container.decode(video=0)).to_ndarray(format="rgb24")
    brightness = shown[HEIGHT // 2 :].mean() / _scene(1)[0][HEIGHT // 2 :].mean()
    assert 0.8 < brightness < 1.25
    assert "cannot be brought" not in told


def test_run_video_with_an_unknown_colour_matrix_goes_on(tmp_path: Path) -> None:
    """YCgCo, as some screen recorders write it: FFmpeg's scaler refuses it."""
    encoder = {"crf": "12", "x264-params": "colormatrix=YCgCo"}
    lines, _ = _run(write_images(tmp_path / "a.mp4", _scene(2), encoder=encoder))
    assert len(lines) == 2


@pytest.mark.parametrize("level", [0, 255])
def test_run_video_with_blank_frames_finds_nothing_there_and_the_same_after(tmp_path: Path, level: int) -> None:
    """Twelve of them in the middle."""
    images = _scene(40)
    images[16:28] = [np.full_like(images[0], level)] * 12
    lines, _ = _run(write_images(tmp_path / "a.mp4", images))
    blank, others = lines[16:28], lines[:16] + lines[28:]
    assert {(line["probability"], len(line["tracks"])) for line in blank} == {(0.0, 0)}
    assert {track["id"] for line in others for track in line["tracks"]} == {1}
    assert all(line["tracks"] for line in others)


async def test_graph_with_wide_pixels_and_blank_frames_equals_session(tmp_path: Path) -> None:
    """Also with lookahead; subscribers are told the shape of the pixels, and the output keeps it."""
    images = _scene(14)
    images[5:9] = [np.zeros_like(images[0])] * 4
    stored = [np.ascontiguousarray(image[:, ::2]) for image in images]
    source = write_images(tmp_path / "a.mkv", stored, pixel_aspect=Fraction(64, 45))
    material, let_go, prompts = make_material(tmp_path, num_frames=1), threading.Event(), ["a dog", PROMPT]
    overlay = tmp_path / "overlay.mp4"
    stream = {"source": str(source), "prompts": prompts, "outputs": [str(overlay)]}
    session = {"lookahead": 2, "window": 4, "threshold": 0.0}
    graph = graph_of(material, "fused", {"cam0": stream}, let_go=let_go, session=session)
    async with watched(graph, let_go) as seen:
        await seen.ended()
    packets = seen.listener.masks()
    answers = answers_of_graph(packets)
    assert answers == answers_of_session(material, prompts, source=str(source), config=graph.config)
    presence = {index: (answer[2] > 0, bool(answer[-1])) for (index, _), answer in answers.items()}
    assert presence == {index: (index not in range(5, 9),) * 2 for index in range(14)}
    messages = [packet.message for packet in packets]
    assert {one.pixel_aspect for one in messages if isinstance(one, MaskMessage)} == {(64, 45)}
    with av.open(str(overlay)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(64, 45)
