"""A playlist that is a file is read whole and at once, with or without an end mark."""

import time
from pathlib import Path

import pytest

from ssa_stream.sources import FileSource
from tests.support.video_files import read_number, write_video

END = "#EXT-X-ENDLIST"


@pytest.fixture
def playlist(tmp_path: Path) -> Path:
    """Eight segments of a second."""
    segments = {"hls_time": "1", "hls_list_size": "0", "hls_segment_filename": str(tmp_path / "s%d.ts")}
    return write_video(tmp_path / "a.m3u8", 80, muxer=segments, encoder={"g": "10", "bf": "0", "crf": "10"})


def _without_end(playlist: Path) -> Path:
    playlist.write_text(playlist.read_text().replace(END, ""))
    return playlist


def _read(path: Path) -> tuple[list[int], tuple[str, ...]]:
    with FileSource(path) as source:
        return [read_number(frame.image) for frame in source.frames()], source.warnings


def test_playlist_with_an_end_mark_is_a_recording(playlist: Path) -> None:
    """Nothing to say about it."""
    assert _read(playlist) == (list(range(80)), ())


def test_playlist_without_an_end_mark_is_read_whole_without_waiting(playlist: Path) -> None:
    """FFmpeg alone takes the last three segments and waits for more."""
    began_s = time.monotonic()
    numbers, warnings = _read(_without_end(playlist))
    assert time.monotonic() - began_s < 10
    assert numbers == list(range(80))
    assert len(warnings) == 1
    assert "no end mark" in warnings[0]


def test_missing_segment_is_named(playlist: Path) -> None:
    """The others are read."""
    (playlist.parent / "s3.ts").unlink()
    numbers, warnings = _read(playlist)
    assert numbers == [*range(30), *range(40, 80)]
    assert any("1 of 8 segments of the playlist are missing: s3.ts" in warning for warning in warnings)


def test_playlist_of_playlists_without_end_marks_ends(playlist: Path) -> None:
    """It waits for one reload at most."""
    _without_end(playlist)
    master = playlist.with_name("master.m3u8")
    master.write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000\na.m3u8\n")
    began_s = time.monotonic()
    numbers, warnings = _read(master)
    assert time.monotonic() - began_s < 10
    assert numbers == list(range(80))
    assert any("playlist a.m3u8 has no end mark" in warning for warning in warnings)
