"""Pictures that are too large, or unpack to too much: refused before memory is taken for them."""

import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from io import BytesIO
from itertools import count, islice
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.sources import Frame, Recovering, RecoveryPolicy, SourceStatus, open_source
from ssa_stream.sources.source import warnings_of
from tests.support.command_line import run_command, write_tiny_config
from tests.support.http_server import HttpRequest, http_server
from tests.support.multipart_camera import jpeg
from tests.support.video_files import write_video

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

_QUICK = RecoveryPolicy(connect_s=3, first_frame_s=3, stall_s=0.5, lost_s=1, slow_retry_s=0.1, slow_retry_max_s=0.1)
_MOST_MIB = 400
"""A Python with PyAV, numpy and Pillow takes 90; decoding 16000x9000 pixels takes 700 and more."""
_READ = r"""
import re, sys
from pathlib import Path
from ssa_stream.sources import open_source
try:
    with open_source(sys.argv[1], recovery=None) as source:
        print([frame.size for frame in source.frames()])
except Exception as error:
    print(type(error).__name__, getattr(error, "code", ""), error)
print(int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def _huge_jpeg(width: int = 16_000, height: int = 9_000) -> bytes:
    """A small picture that declares another size."""
    data = jpeg(1)
    at = data.index(b"\xff\xc0")
    return data[: at + 5] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[at + 9 :]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def _png(width: int, height: int, before: bytes = b"") -> bytes:
    """A small picture that declares any size, with some chunks before its data."""
    head = _chunk(b"IHDR", width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0]))
    data = _chunk(b"IDAT", zlib.compress(bytes(1 + 3 * 64) * 64))
    return b"\x89PNG\r\n\x1a\n" + head + before + data + _chunk(b"IEND", b"")


def _with_text() -> bytes:
    """A small picture with 400 MB of text, packed to 1 MB."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    return _png(64, 64, 2 * _chunk(b"zTXt", b"Comment\0\0" + packed))


def _tiff() -> bytes:
    """A picture of one colour, which packs well, but for its size."""
    out = BytesIO()
    Image.new("1", (16_385, 100)).save(out, "TIFF", compression="group4")
    return out.getvalue()


def _gif() -> bytes:
    """An animation whose screen is large."""
    out = BytesIO()
    first, second = (Image.fromarray(np.full((48, 64), level, np.uint8)) for level in (10, 200))
    first.save(out, "GIF", save_all=True, append_images=[second])
    data = out.getvalue()
    return data[:6] + (30_000).to_bytes(2, "little") + (30_000).to_bytes(2, "little") + data[10:]


_FILES: dict[str, Callable[[], bytes]] = {
    "a.jpg": _huge_jpeg,
    "edge.jpg": lambda: _huge_jpeg(65_500, 16),
    "a.png": lambda: _png(16_000, 9_000),
    "beyond.png": lambda: _png(60_000, 60_000),
    "thin.png": lambda: _png(1, 60_000_000),
    "text.png": _with_text,
    "profile.png": lambda: _png(64, 64, _chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(200 << 20), 9))),
    "a.tif": _tiff,
    "a.gif": _gif,
}


def _read_apart(address: str | Path) -> tuple[str, int]:
    """Read an address in a process of its own: what it printed, and the most memory that it took, in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(address)], capture_output=True, text=True, timeout=50, check=True
    )
    text, peak = done.stdout.strip().rsplit("\n", 1)
    return text, int(peak)


@pytest.mark.parametrize("name", _FILES)
def test_picture_that_is_too_large_takes_no_memory_and_is_a_clear_error(tmp_path: Path, name: str) -> None:
    """Of a file by itself; the text says what to do."""
    (tmp_path / name).write_bytes(_FILES[name]())
    text, peak_mib = _read_apart(tmp_path / name)
    assert text.startswith("SourceError too_large"), text
    assert "#max_area=" in text or "without its text" in text
    assert peak_mib < _MOST_MIB


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.h264", "a.avi", "a.flv"])
def test_video_that_is_too_large_is_refused(tmp_path: Path, name: str) -> None:
    """In any container; the limit is a setting of the address."""
    path = write_video(tmp_path / name, 3, size=(240, 320), codec="mjpeg" if name == "a.avi" else "libx264")
    for setting in ("max_area=60000", "max_edge=300"):
        with pytest.raises(SourceError, match=r"has 320x240 pixels; at most|has more pixels than allowed") as caught:
            open_source(f"{path}#{setting}")
        assert caught.value.code is SourceErrorCode.TOO_LARGE
    with open_source(f"{path}#max_area=76800&max_edge=320") as source:
        assert len(list(source.frames())) == 3


def test_recording_whose_pictures_grow_too_large_ends_with_an_error(tmp_path: Path) -> None:
    """What came before is delivered."""
    small = write_video(tmp_path / "a.ts", 10).read_bytes()
    large = write_video(tmp_path / "b.ts", 10, size=(480, 640)).read_bytes()
    (tmp_path / "c.ts").write_bytes(small + large)
    frames: list[Frame] = []
    with pytest.raises(SourceError, match=r"c\.ts.* has (640x480 pixels|more pixels than allowed)") as caught:
        with open_source(f"{tmp_path / 'c.ts'}#max_area=100000") as source:
            frames += source.frames()
    assert caught.value.code is SourceErrorCode.TOO_LARGE
    assert 5 <= len(frames) <= 10


def test_sequence_passes_over_a_picture_that_is_too_large_and_names_it(tmp_path: Path) -> None:
    """The others come."""
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(_huge_jpeg() if number == 2 else jpeg(number))
    with open_source(f"{tmp_path}/%d.jpg") as source:
        assert [frame.t for frame in source.frames()] == pytest.approx([0, 0.04, 0.12])
        told = " ".join(warnings_of(source))
    assert "1 of 4 pictures are too large (at most 16,384 in each direction and 64,000,000 in all): 2.jpg" in told


def test_live_camera_goes_on_behind_a_picture_that_is_too_large() -> None:
    """On the same connection; the picture is counted, and a warning says why."""

    def answer(request: HttpRequest) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        for number in range(3000):
            picture = _huge_jpeg() if number % 10 == 5 else jpeg(number % 4000)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            request.wfile.write(head.encode() + picture + b"\r\n")
            time.sleep(0.02)  # it must not end before 60 pictures were taken, however slow this machine is

    with http_server(answer) as url, open_source(f"{url}/video", recovery=_QUICK) as source:
        assert isinstance(source, Recovering)
        assert len({frame.size for frame in islice(source.frames(), 60)}) == 1
        assert source.status.connections == 1
        assert source.status.losses.failed_frames > 0
        assert "16000x9000 pixels; at most 16,384" in " ".join(warnings_of(source))


def test_picture_address_that_answers_with_a_large_one_is_lost_with_the_reason_and_comes_back() -> None:
    """A request that fails, as any other."""
    numbers = count()
    states: list[SourceStatus] = []

    def answer(request: HttpRequest) -> None:
        number = next(numbers)
        request.send(200, _huge_jpeg() if 5 <= number < 25 else jpeg(number), "image/jpeg")

    with (
        http_server(answer) as url,
        open_source(f"{url}/snap.jpg#interval=0.1", recovery=_QUICK, on_state=states.append) as source,
    ):
        assert any(frame.epoch == 1 for frame in source.frames())
    texts = [state.text for state in states if state.code is SourceErrorCode.TOO_LARGE]
    assert any("16000x9000 pixels" in text for text in texts), states


def test_picture_address_whose_first_picture_is_too_large_is_asked_once() -> None:
    """It will not be smaller the next time."""
    asked: list[str] = []

    def answer(request: HttpRequest) -> None:
        asked.append(request.path)
        request.send(200, _huge_jpeg(), "image/jpeg")

    with (
        http_server(answer) as url,
        open_source(f"{url}/snap.jpg#interval=0.1", recovery=None) as source,
        pytest.raises(SourceError, match="16000x9000 pixels") as caught,
    ):
        next(iter(source.frames()))
    assert caught.value.code is SourceErrorCode.TOO_LARGE
    assert len(asked) == 1


def test_drawn_scene_has_the_same_limits() -> None:
    """Nothing is drawn."""
    with pytest.raises(SourceError, match="has 60000x60000 pixels"):
        open_source("synthetic@60000x60000")


def test_pipe_has_the_same_limits(tmp_path: Path) -> None:
    """What another program writes."""
    path = write_video(tmp_path / "a.ts", 3, size=(240, 320))
    script = _READ.replace("sys.argv[1]", '"-#max_area=60000"')
    with path.open("rb") as file:
        done = subprocess.run([sys.executable, "-c", script], stdin=file, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("SourceError too_large"), done.stdout


def test_picture_of_the_largest_size_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """64 megapixels, as planes of YUV and as RGB."""
    with av.open(str(tmp_path / "a.jpg"), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width = stream.height = 8_000
        stream.pix_fmt = "yuvj420p"
        frame = av.VideoFrame(8_000, 8_000, "yuvj420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    text, peak_mib = _read_apart(tmp_path / "a.jpg")
    assert text == "[(8000, 8000)]"
    assert peak_mib < 700


@pytest.mark.usefixtures("warm_python")
def test_run_with_a_picture_that_is_too_large_says_what_to_do(tmp_path: Path) -> None:
    """Through the command line. The last test, as those before measure memory of processes that start as usual."""
    (tmp_path / "a.jpg").write_bytes(_huge_jpeg())
    model = ["--random-weights", "--model", str(write_tiny_config(tmp_path)), "--device", "cpu"]
    done = run_command("run", "a.jpg", "-p", "the red circle", *model, cwd=tmp_path)
    assert done.returncode == 1
    assert "16000x9000 pixels; at most 16,384 in each direction" in " ".join(done.stderr.split())
    assert "#max_area=" in done.stderr
