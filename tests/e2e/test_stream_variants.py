"""Several qualities behind one address: one is read, and the others are not fetched."""

import functools
import http.server
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssa_stream.sources import open_source
from tests.support.video_files import write_video

pytestmark = pytest.mark.e2e

_SIZES = {"small": (48, 96), "large": (96, 192)}
_SEGMENTS = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A playlist of two playlists of twelve segments each."""
    path = tmp_path_factory.mktemp("hls")
    master = "#EXTM3U\n"
    for name, (height, width) in _SIZES.items():
        segments = {"hls_time": "1", "hls_list_size": "0", "hls_segment_filename": str(path / f"{name}%d.ts")}
        encoder = {"g": "10", "bf": "0", "sc_threshold": "0"}
        write_video(path / f"{name}.m3u8", 10 * _SEGMENTS, size=(height, width), muxer=segments, encoder=encoder)
        master += f"#EXT-X-STREAM-INF:BANDWIDTH={height * 1000},RESOLUTION={width}x{height}\n{name}.m3u8\n"
    (path / "master.m3u8").write_text(master)
    return path


@pytest.fixture
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of the folder, and what was asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(("number", "chosen", "other"), [(0, "small", "large"), (1, "large", "small")])
def test_chosen_variant_is_read_and_the_other_one_is_not(
    served: tuple[str, list[str]], number: int, chosen: str, other: str
) -> None:
    """FFmpeg looks at the start of each variant to know what it is; the rest of the others is left on the server."""
    address, asked = served
    with open_source(f"{address}/master.m3u8#stream={number}", live=False) as source:
        frames = list(source.frames())
    assert {frame.size for frame in frames} == {_SIZES[chosen]}
    assert len(frames) == 10 * _SEGMENTS
    segments = Counter(path.strip("/").rstrip("0123456789.ts") for path in asked if path.endswith(".ts"))
    assert segments[chosen] == _SEGMENTS
    assert segments[other] <= _SEGMENTS // 2
    assert not any("#" in path or "stream=" in path for path in asked)
