"""No address keeps its credentials, and each says what it is of."""

from fractions import Fraction
from pathlib import Path

import pytest

from ssa_stream.addresses import descriptor_of, file_of_url, is_device, is_live_address, parse_address
from ssa_stream.errors import ConfigError, SourceError
from ssa_stream.sources import redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rtsp://cam:s3cret@10.0.0.1:554/a", "rtsp://***@10.0.0.1:554/a"),
        ("rtsp://cam:p@ss@10.0.0.1/a", "rtsp://***@10.0.0.1/a"),
        ("cannot open 'http://u@h/x' twice", "cannot open 'http://***@h/x' twice"),
        ("http://h/v?token=abc&fps=5", "http://h/v?token=***&fps=5"),
        ("rtsp://h/user=admin&password=123/ch1", "rtsp://h/user=***&password=***/ch1"),
        ("street.mp4", "street.mp4"),
        ("rtsp://cam:pa/ss?w#rd@10.0.0.1/a", "rtsp://***@10.0.0.1/a"),
        ("lost rtsp://cam:a@h/x, then http://u:b@h/y", "lost rtsp://***@h/x, then http://***@h/y"),
        ("rtsp://[fe80::1]:554/a", "rtsp://[fe80::1]:554/a"),
        ("http://h:80/v?x=1", "http://h:80/v?x=1"),
    ],
    ids=["user", "at-sign", "sentence", "query", "path", "file", "slash", "two", "ipv6", "port"],
)
def test_redact_replaces_credentials_only(text: str, expected: str) -> None:
    """User, password and token go; the rest stays readable."""
    assert redact(text) == expected


@pytest.mark.parametrize(
    ("address", "live", "expected"),
    [
        ("0", None, True),
        ("/dev/video2", None, True),
        ("rtsp://host/1", None, True),
        ("RTSP://host/1", None, True),
        ("http://host/a.mp4", False, False),
        ("clip.mp4", None, False),
        ("clip.mp4", True, True),
        ("file:clip.mp4", None, False),
        ("synthetic:3@30fps", None, False),
        ("C:\\clip.mp4", None, False),
        ("webrtc:cam@/run/cameras.sock", None, True),
        ("rtsp://host/" + "x" * 300, None, True),
    ],
)
def test_address_tells_whether_its_source_may_come_back(address: str, live: bool | None, expected: bool) -> None:
    """What the pipeline says comes first."""
    assert is_live_address(address, live) is expected


@pytest.mark.parametrize(
    ("text", "target", "stream", "rate_hz"),
    [
        ("two.mkv#stream=1", "two.mkv", 1, None),
        ("two.mkv?stream=1", "two.mkv", 1, None),
        ("f/%03d.png#fps=12.5&stream=0", "f/%03d.png", 0, Fraction(25, 2)),
        ("f/%d.png#fps=30000/1001", "f/%d.png", None, Fraction(30000, 1001)),
        ("rtsp://cam/x?channel=2#stream=1", "rtsp://cam/x?channel=2", 1, None),
        ("http://h/v?stream=1", "http://h/v?stream=1", None, None),
        ("rtsp://h/v?stream=1", "rtsp://h/v?stream=1", None, None),
        ("http://h/v#t=10", "http://h/v#t=10", None, None),
        ("rtsp://u:pa#stream=1@h/v", "rtsp://u:pa#stream=1@h/v", None, None),
        ("0", "0", None, None),
        ("-", "-", None, None),
    ],
)
def test_settings_are_taken_off_an_address(
    text: str, target: str, stream: int | None, rate_hz: Fraction | None
) -> None:
    """Those of ours only; a server's query is its own. The name shows what was given."""
    address = parse_address(text)
    assert (address.target, address.stream, address.rate_hz) == (target, stream, rate_hz)
    assert address.name == redact(text)


def test_address_with_a_setting_is_as_live_as_without() -> None:
    """For the ingest node, which asks before it opens."""
    assert is_live_address("rtsp://host/1#stream=1", None)
    assert not is_live_address("clip.mp4#stream=1", None)


def test_file_address_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Percent codes once; a name that holds one literally is found as well; patterns keep theirs."""
    for name in ("a b.mp4", "c%20d.mp4", "Ü#?.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "e%20f").mkdir()
    for url, path in (
        (f"file://{tmp_path}/a%20b.mp4", tmp_path / "a b.mp4"),
        (f"file://localhost{tmp_path}/a%20b.mp4", tmp_path / "a b.mp4"),
        (f"file:{tmp_path}/a%20b.mp4", tmp_path / "a b.mp4"),
        (f"file://{tmp_path}/c%2520d.mp4", tmp_path / "c%20d.mp4"),
        (f"file://{tmp_path}/c%20d.mp4", tmp_path / "c%20d.mp4"),
        (f"file://{tmp_path}/%C3%9C%23%3F.mp4", tmp_path / "Ü#?.mp4"),
        (f"file://{tmp_path}/f%03d.png", tmp_path / "f%03d.png"),
        (f"file://{tmp_path}/my%20frames/p%20d%d.jpg", tmp_path / "my frames" / "p d%d.jpg"),
        (f"file://{tmp_path}/my%20dogs%5d/%5d.jpg", tmp_path / "my dogs]" / "%5d.jpg"),
        (f"file://{tmp_path}/e%20f/%25d.jpg", tmp_path / "e%20f" / "%d.jpg"),
    ):
        assert file_of_url(url) == str(path)
    monkeypatch.chdir(tmp_path)
    assert file_of_url("file:a%20b.mp4") == "a b.mp4"
    with pytest.raises(SourceError, match="of the machine 'other'"):
        file_of_url("file://other/a.mp4")


def test_file_that_has_a_number_as_its_name_is_no_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that exists is always the file of that name; `camera:0` is the camera."""
    monkeypatch.chdir(tmp_path)
    assert is_device("0")
    assert is_live_address("0", None)
    (tmp_path / "0").touch()
    assert not is_device("0")
    assert not is_live_address("0", None)
    assert is_device("1")
    assert is_live_address("camera:0", None)


def test_interval_of_an_address_is_its_own_and_never_sent() -> None:
    """Also beside other settings; a password may hold the same mark."""
    parsed = parse_address("http://u:p#1@cam/snap.jpg?ch=2#interval=0.5&stream=0")
    assert (parsed.target, parsed.interval_s, parsed.stream) == ("http://u:p#1@cam/snap.jpg?ch=2", 0.5, 0)
    assert parse_address("http://u:p#interval=1@cam/a").interval_s is None
    assert parse_address("http://me:pa#ss@cam/a#top").target == "http://me:pa#ss@cam/a"
    for wrong in ("0", "-1", "x", "inf", ""):
        with pytest.raises(ConfigError, match="give seconds above 0"):
            parse_address(f"http://cam/a#interval={wrong}")


def test_only_plain_digits_are_numbers() -> None:
    """Not those of other scripts, which would stand for another camera, descriptor or port than they look like."""
    assert is_device("1")
    assert not is_device("\u0661")
    assert descriptor_of("pipe:\u0661") is None
    with pytest.raises(ConfigError, match="expected names of hosts"):
        parse_address("http://cam/a#hosts=b:\u0661")


def test_markers_are_trusted_if_the_address_says_so() -> None:
    """And in no other way."""
    assert parse_address("rtsp://cam/a#markers=trusted").trusts_markers
    assert not parse_address("rtsp://cam/a").trusts_markers
    with pytest.raises(ConfigError, match="expected markers=trusted"):
        parse_address("rtsp://cam/a#markers=1")
