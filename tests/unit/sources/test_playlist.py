"""What a playlist says, what was read of it before, and the pace of its pictures."""

from fractions import Fraction

import pytest
from av.packet import Packet
from av.video.stream import VideoStream

from ssa_stream.sources.playlist import Growth, Playlist, PlaylistMemory, PlaylistReading

_TEXT = """#EXTM3U
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:17
#EXTINF:4.000,
a.ts
#EXTINF:3.900,
b.ts
"""
_TEN = Fraction(1, 10)


def test_playlist_tells_segment_length_and_last_number() -> None:
    """And with it which silence is usual."""
    assert Playlist.parse(_TEXT) == Playlist(4.0, 18, False, 3.95)
    assert Playlist.parse(_TEXT + "#EXT-X-ENDLIST").is_finished
    assert Playlist.parse(_TEXT).usual_silence_s == 12


@pytest.mark.parametrize("text", ["", "nonsense", "#EXTM3U\n#EXT-X-TARGETDURATION:x\n#EXT-X-MEDIA-SEQUENCE:\n"])
def test_playlist_that_says_nothing_is_a_usual_one(text: str) -> None:
    """Lines that make no sense are passed over."""
    assert Playlist.parse(text).target_s == 6.0


def _packet(number: int, content: bytes = b"picture") -> "Packet[VideoStream]":
    packet: Packet[VideoStream] = Packet(content + bytes([number % 256]))  # type: ignore[assignment]  # of no stream
    packet.pts = packet.dts = number
    packet.time_base = _TEN
    return packet


def _new(reading: PlaylistReading, numbers: range, content: bytes = b"picture") -> list[int]:
    """Which of these packets are not repeated."""
    new = []
    for number in numbers:
        reading.note(_packet(number, content))
        if not reading.is_repeated(number):
            new.append(number)
    return new


def test_last_segment_that_is_served_again_is_known() -> None:
    """What comes after it is new."""
    memory, playlist = PlaylistMemory(), Playlist(2.0, 5)
    assert _new(PlaylistReading(playlist, memory), range(100, 160)) == list(range(100, 160))
    again = PlaylistReading(playlist, memory)
    assert _new(again, range(140, 180)) == list(range(160, 180))
    assert again.has_new


def test_playlist_that_grows_is_new_whatever_it_holds() -> None:
    """An encoder that is started anew may send the very same bytes."""
    memory = PlaylistMemory()
    assert len(_new(PlaylistReading(Playlist(1.0, 5), memory), range(50))) == 50
    new = _new(PlaylistReading(Playlist(1.0, 5), memory), range(30, 80))
    assert new[-1] == 79
    assert len(new) >= 35


@pytest.mark.parametrize(
    ("playlist", "content"), [(Playlist(2.0, 0), b"picture"), (Playlist(2.0, 5), b"another")], ids=["number", "bytes"]
)
def test_new_start_is_new_at_once(playlist: Playlist, content: bytes) -> None:
    """By the number of its segments, or by what is in them."""
    memory = PlaylistMemory()
    _new(PlaylistReading(Playlist(2.0, 5), memory), range(20))
    assert _new(PlaylistReading(playlist, memory), range(20), content) == list(range(20))


def test_pictures_of_a_segment_are_spread_over_its_time() -> None:
    """A little faster than written; after a silence and after a jump the next one is due at once."""
    now_s = 100.0
    reading = PlaylistReading(Playlist(2.0), PlaylistMemory(), clock=lambda: now_s)
    assert reading.due_in_s(0, _TEN) == 0
    assert reading.due_in_s(1, _TEN) == pytest.approx(0.1 / 1.05)
    assert reading.due_in_s(2, _TEN) == pytest.approx(0.2 / 1.05)
    now_s += 2.0
    assert reading.due_in_s(20, _TEN) == 0
    assert reading.due_in_s(5000, _TEN) == 0
    assert reading.due_in_s(5001, _TEN) == pytest.approx(0.1 / 1.05)
    assert reading.due_in_s(None, None) == 0


def test_who_is_segments_behind_hurries() -> None:
    """Twice as fast until the newest segment is near."""
    now_s = 0.0
    reading = PlaylistReading(Playlist(1.0), PlaylistMemory(), clock=lambda: now_s)
    reading.due_in_s(0, _TEN)
    now_s = 10.0
    assert reading.due_in_s(1, _TEN) == 0
    assert reading.due_in_s(2, _TEN) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("last", "seconds", "expected"),
    [
        (9, 5, Growth.STANDS),  # 5 to 9 came
        (14, 5, Growth.GROWS),
        (5, 1, Growth.STANDS),
        (9, 0, Growth.GROWS),
        (None, 5, Growth.UNKNOWN),
        (1004, 1002, Growth.UNKNOWN),  # lengths of a thousand segments add up to something else
        (1100, 1000, Growth.GROWS),
    ],
)
def test_playlist_grows_if_it_names_more_than_came(last: int | None, seconds: int, expected: Growth) -> None:
    """Its first connection began at segment 5."""
    reading = PlaylistReading(Playlist(1.0, 5), PlaylistMemory(), fetch=lambda: Playlist(1.0, last, usual_s=1.0))
    for number in range(seconds * 10 + (seconds > 0)):
        reading.note(_packet(number))
    assert reading.growth() is expected
