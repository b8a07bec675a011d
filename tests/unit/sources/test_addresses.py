"""No address keeps its credentials, and each says what it is of."""

import pytest

from ssa_stream.sources import redact
from ssa_stream.sources.addresses import is_live_address


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
