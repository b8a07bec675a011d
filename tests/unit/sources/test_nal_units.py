"""What the units of H.264 and HEVC say about where decoding may begin."""

import pytest

from ssa_stream.sources.nal_units import NAL_CODECS, START_CODE

RECOVERY = b"\6\1\x84"


@pytest.mark.parametrize(
    ("name", "unit", "expected"),
    [
        ("H264", b"\6" + RECOVERY + b"\x80", True),
        ("H264", b"\6\5\xff\2" + 257 * b"u" + RECOVERY + b"\x80", True),
        ("H264", b"\6\4\4\0\0\3\6\1" + RECOVERY + b"\x80", True),
        ("H264", b"\6\5\3" + RECOVERY + b"\x80", False),
        ("H264", b"\x67" + RECOVERY + b"\x80", False),
        ("H264", b"\6\xff", False),
        ("H265", b"\x4e\1" + RECOVERY + b"\x80", True),
        ("H265", b"\6\1" + RECOVERY + b"\x80", False),
    ],
    ids=[
        "alone",
        "behind a long one",
        "behind escaped bytes",
        "inside another",
        "no message",
        "cut off",
        "HEVC",
        "slice",
    ],
)
def test_recovery_point_is_found_among_messages(name: str, unit: bytes, expected: bool) -> None:
    """Wherever the unit stands."""
    assert NAL_CODECS[name].tells_recovery(START_CODE + b"\x09\x10" + START_CODE + unit) is expected
