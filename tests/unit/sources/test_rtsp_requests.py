"""What the camera is asked, whatever address FFmpeg was given."""

import hashlib
import random

import pytest

from ssa_stream.sources.rtsp_requests import ClientRequests

RELAY = "rtsp://127.0.0.1:4711"
REPORT = b"$\1\0\x08RELAY!!!"
PROOF = b" c0de"
USER = "me:cam\xe9ras:p:w/\xe9"


def request(uri: str, *fields: str, method: str = "DESCRIBE") -> bytes:
    """A request."""
    return "\r\n".join([f"{method} {uri} RTSP/1.0", "CSeq: 2", *fields, "", ""]).encode("latin-1")


def passed(data: bytes, url: str = "rtsp://cam/live") -> bytes:
    """What the camera gets, however the data is cut in pieces."""
    requests, rng, out = ClientRequests(url, RELAY, PROOF), random.Random(1), b""
    while data:
        size = rng.randint(1, 40)
        out, data = out + requests.passed(data[:size]), data[size:]
    return out


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rtsp://cam/live?x=1", "rtsp://cam:554/live?x=1"),
        ("rtsp://me:pw@cam:8554/live?x=1", "rtsp://cam:8554/live?x=1"),
        ("rtsp://[fe80::1]:/live?x=1", "rtsp://[fe80::1]:554/live?x=1"),
    ],
    ids=["usual port", "other port", "IPv6"],
)
def test_request_has_the_address_of_the_camera(url: str, expected: str) -> None:
    """As FFmpeg says it; and reports between requests, and a basic authorisation, are as they were."""
    basic = "Authorization: Basic bWU6cHc="
    asked = [REPORT, request(f"{RELAY}/live?x=1", basic), REPORT, request("rtsp://other/track", method="SETUP")]
    assert passed(b"".join(asked), url) == b"".join([REPORT, request(expected, basic), *asked[2:]])


@pytest.mark.parametrize(
    "rest", ["", ', algorithm="MD5"', ', algorithm=SHA-256, qop="auth", nc=00000001, cnonce="c0ffee"'],
    ids=["plain", "MD5", "SHA-256 with a count"],
)  # fmt: skip
def test_digest_is_made_of_the_address_of_the_camera(rest: str) -> None:
    """With the password of the address, whose percent codes are taken off; text that is no UTF-8 stays as it is."""

    def digest(uri: str) -> str:
        def hashed(text: str) -> str:
            return hashlib.new("sha256" if "SHA" in rest else "md5", text.encode("latin-1")).hexdigest()

        middle = "n0nce:00000001:c0ffee:auth" if "qop" in rest else "n0nce"
        response = hashed(f"{hashed(USER)}:{middle}:{hashed(f'DESCRIBE:{uri}')}")
        fields = f'username="me", realm="cam\xe9ras", nonce="n0nce", uri="{uri}", response="{response}"'
        return f"Authorization: Digest {fields}{rest}"

    asked, expected = (request(uri, digest(uri)) for uri in (f"{RELAY}/live", "rtsp://cam:554/live"))
    assert passed(asked, "rtsp://me:p:w%2F%E9@cam/live") == expected
    assert passed(asked, "rtsp://me:other@cam/live") == asked, "it is not known how that digest is made"


def test_camera_does_not_see_what_the_client_shows_the_relay() -> None:
    """Whatever is asked, also where nothing is put in the place of the address."""
    shown = f"User-Agent: Lavf{PROOF.decode()}"
    asked = b"".join(request(uri, shown) for uri in (f"{RELAY}/live", "rtsp://other/track", "*"))
    assert passed(asked) == b"".join(
        request(uri, "User-Agent: Lavf") for uri in ("rtsp://cam:554/live", "rtsp://other/track", "*")
    )


@pytest.mark.parametrize(
    "data", [b"\0\1\2 RTSP", b"G" * 70_000, b"GET / HTTP/1.1\r\n\r\n"], ids=["bytes", "line", "http"]
)
def test_what_is_no_request_is_passed_on_as_it_is(data: bytes) -> None:
    """Whatever it is."""
    assert passed(data) == data
