"""A playlist that is a file is read whole and at once, with or without an end mark."""

import time
from pathlib import Path

import pytest

from ssa_stream.errors import SourceError
from ssa_stream.sources import FileSource
from tests.support.video_files import read_number, write_video

END = "#EXT-X-ENDLIST"


@pytest.fixture
def playlist(tmp_path: Path) -> Path:
    """Eight segments of a second."""
    segments = {"hls_time": "1", "hls_list_size": "0", "hls_segment_filename": str(tmp_path / "s%d.ts")}
    encoder = {"g": "10", "bf": "0", "crf": "10", "sc_threshold": "0"}
    return write_video(tmp_path / "a.m3u8", 80, muxer=segments, encoder=encoder)


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


def _list(playlist: Path, names: list[str], *, head: str = "") -> Path:
    """Write another playlist of segments of a second beside it."""
    lines = "".join(f"#EXTINF:1.000,\n{name}\n" if not name.startswith("#") else f"{name}\n" for name in names)
    path = playlist.with_name("list.m3u8")
    path.write_text(f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n{head}{lines}{END}\n")
    return path


@pytest.mark.parametrize(
    ("written", "called"),
    [
        ("s%20b.ts", "s b.ts"),
        ("s1.ts?x=1", "s1.ts"),
        ("s%41.ts", "s%41.ts"),
        ("s:1.ts", "s:1.ts"),
        ("s1", "s1"),
        ("s1.bin", "s1.bin"),
        ("we?ird#1.ts", "we?ird#1.ts"),
    ],
)
def test_segment_is_found_however_its_name_is_written(playlist: Path, written: str, called: str) -> None:
    """Alone, beside others, and in a playlist that a playlist names; FFmpeg takes names as they stand there."""
    (playlist.parent / "s1.ts").rename(playlist.parent / called)
    assert _read(_list(playlist, ["s0.ts", written, "s2.ts"])) == (list(range(30)), ())
    master = playlist.with_name("master.m3u8")
    master.write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000\nlist.m3u8\n")
    assert _read(master) == (list(range(30)), ())
    assert _read(_list(playlist, [written])) == (list(range(10, 20)), ())


def test_byte_order_mark_is_no_part_of_a_playlist(playlist: Path) -> None:
    """Editors on Windows write one."""
    playlist.write_bytes(b"\xef\xbb\xbf" + playlist.read_bytes())
    assert _read(playlist) == (list(range(80)), ())


def test_empty_segment_is_missing(playlist: Path) -> None:
    """The last one, too, after which no pause shows it."""
    (playlist.parent / "s7.ts").write_bytes(b"")
    numbers, warnings = _read(playlist)
    assert numbers == list(range(70))
    assert "1 of 8 segments of the playlist are missing: s7.ts (1.00 s)" in warnings


def test_what_a_server_does_not_deliver_is_missed(playlist: Path) -> None:
    """A segment in the middle, and the last one: both are refused at a port that nobody listens on."""
    gone = "http://127.0.0.1:1/s.ts"
    numbers, warnings = _read(_list(playlist, ["s0.ts", gone, "s2.ts", gone]))
    assert numbers == [*range(10), *range(20, 30)]
    assert any("2.00 of 4.00 s that the playlist lists did not come" in warning for warning in warnings)


def test_segment_that_is_no_video_is_missed(playlist: Path) -> None:
    """What a server that answers with a page of its own leaves behind."""
    (playlist.parent / "s3.ts").write_bytes(b"<html>not found</html>" * 100)
    numbers, warnings = _read(playlist)
    assert numbers == [*range(30), *range(40, 80)]
    assert any("1.00 of 8.00 s that the playlist lists did not come" in warning for warning in warnings)


def test_few_pictures_are_no_loss(tmp_path: Path) -> None:
    """One picture a segment, at times that say no rate."""
    muxer = {"hls_time": "1", "hls_list_size": "0", "hls_segment_filename": str(tmp_path / "s%d.ts")}
    times_ms = [0, 2000, 4000, 7000, 9000, 12000]
    write_video(tmp_path / "a.m3u8", 6, times_ms=times_ms, muxer=muxer, encoder={"g": "1", "bf": "0", "crf": "10"})
    assert _read(tmp_path / "a.m3u8") == (list(range(6)), ())


def test_playlist_whose_segments_are_all_missing_says_so(playlist: Path) -> None:
    """Rather than that it is no video."""
    with pytest.raises(SourceError, match=r"2 of 2 segments of the playlist are missing: x0\.ts, x1\.ts"):
        FileSource(_list(playlist, ["x0.ts", "x1.ts"]))


def test_missing_first_part_of_fragmented_mp4_is_named(tmp_path: Path) -> None:
    """No segment can be read without it."""
    muxer = {"hls_segment_type": "fmp4", "hls_time": "1", "hls_segment_filename": str(tmp_path / "s%d.m4f")}
    path = write_video(tmp_path / "a.m3u8", 20, muxer={**muxer, "hls_list_size": "0"}, encoder={"g": "10"})
    assert _read(path)[0] == list(range(20))
    (tmp_path / "init.mp4").unlink()
    with pytest.raises(SourceError, match=r"init\.mp4, which the playlist needs to read its segments, is missing"):
        FileSource(path)


def test_key_is_found_however_its_name_is_written_and_is_named_when_missing(tmp_path: Path) -> None:
    """Segments are encrypted with it."""
    key = tmp_path / "my key"
    muxer = {
        "hls_time": "1",
        "hls_list_size": "0",
        "hls_enc": "1",
        "hls_enc_key": "k" * 16,
        "hls_enc_key_url": str(key),
    }
    path = write_video(tmp_path / "a.m3u8", 20, muxer=muxer, encoder={"g": "10", "bf": "0", "crf": "10"})
    path.write_text(path.read_text().replace(str(key), "my%20key"))
    assert _read(path) == (list(range(20)), ())
    key.unlink()
    with pytest.raises(SourceError, match="my key, which the playlist needs to read its segments, is missing"):
        FileSource(path)


@pytest.mark.parametrize("offset_s", [0, 9000], ids=["back", "ahead"])
def test_discontinuity_is_no_pause(tmp_path: Path, offset_s: int) -> None:
    """The second part begins with times of its own; nothing is missing, and nothing was repaired."""
    write_video(tmp_path / "s0.ts", 10, encoder={"bf": "0", "crf": "10"})
    muxer = {"output_ts_offset": str(offset_s)}
    write_video(tmp_path / "s1.ts", range(10, 20), muxer=muxer, encoder={"bf": "0", "crf": "10"})
    with FileSource(_list(tmp_path / "a", ["s0.ts", "#EXT-X-DISCONTINUITY", "s1.ts"])) as source:
        frames = list(source.frames())
        assert [read_number(frame.image) for frame in frames] == list(range(20))
        assert [frame.t for frame in frames] == pytest.approx([number / 10 for number in range(20)])
        assert source.warnings == ()
