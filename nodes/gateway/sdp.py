"""What is said about bitrate in an answer; aiortc says nothing."""

import re

__all__ = ["with_bitrate"]

_START_KBPS = 1200
_VP8 = re.compile(r"a=rtpmap:(\d+) VP8/90000\r\n")


def with_bitrate(answer: str, kbps: int) -> str:
    """Limit what the peer sends in each video section, and let Chromium begin with more than a quarter of a megabit.

    Without the latter it begins with a quarter or less of the camera's pixels, and each step up is a new size.

    Args:
        answer: Session description.
        kbps: The limit.
    """
    head, *sections = re.split(r"(?m)^(?=m=)", answer)
    return head + "".join(_limited(one, kbps) if one.startswith("m=video") else one for one in sections)


def _limited(section: str, kbps: int) -> str:
    first, _, rest = section.partition("\r\n")
    lines = rest.split("\r\n", 1)
    if lines[0].startswith("c="):
        first, rest = f"{first}\r\n{lines[0]}", lines[1]
    rest = _VP8.sub(
        lambda match: f"{match[0]}a=fmtp:{match[1]} x-google-start-bitrate={min(_START_KBPS, kbps)}\r\n", rest
    )
    return f"{first}\r\nb=AS:{kbps}\r\nb=TIAS:{kbps * 1000}\r\n{rest}"
