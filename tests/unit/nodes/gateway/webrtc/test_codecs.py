"""Which codecs an offer names and which are accepted."""

import re

import pytest
from aiortc.exceptions import OperationError

from ssa_stream.nodes.gateway.webrtc.codecs import accepted_codecs, offered_codecs, refused_kind, refused_text

_OFFER = (
    "v=0\r\nm=audio 9 X 111\r\na=rtpmap:111 opus/48000/2\r\n"
    "m=video 9 X 98 99 100 101\r\na=rtpmap:98 VP9/90000\r\na=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=98\r\n"
    "a=rtpmap:100 AV1/90000\r\n"
    "a=rtpmap:101 H264/90000\r\na=fmtp:101 packetization-mode=0;profile-level-id=640C1F\r\n"
)


def test_codecs_of_an_offer_are_named_without_those_that_carry_nothing() -> None:
    """H264 with its profile, as many a camera has one that is not accepted."""
    video = ["VP9", "AV1", "H264 (profile-level-id=640c1f, packetization-mode=0)"]
    assert offered_codecs(_OFFER, "video") == video
    assert offered_codecs(_OFFER, "audio") == ["opus"]


def test_accepted_codecs_are_those_of_aiortc() -> None:
    """Named in the same way."""
    assert accepted_codecs("video")[0] == "VP8"
    assert all(one.startswith("H264 (profile-level-id=42") for one in accepted_codecs("video")[1:])


def test_refusal_names_both_sides() -> None:
    """What aiortc says names neither; an end-to-end test holds its words to the installed version."""
    error = OperationError("Failed to set remote video description send parameters")
    assert refused_kind(error) == "video"
    assert refused_kind(ValueError("else")) is None
    text = refused_text(_OFFER, "video")
    assert text.startswith("the video codecs of the offer are VP9, AV1, H264 (profile-level-id=640c1f")
    assert "; accepted are VP8, H264" in text


def test_codecs_of_a_flood_are_named_in_a_few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is searched once for each codec: that took seconds, in which nothing else went on."""
    maps = "".join(f"a=rtpmap:{number} x{number}/9\r\n" for number in range(3000))
    h264 = "a=rtpmap:96 H264/9\r\n" * 500 + "a=fmtp:96 " + "packetization-mode=;" * 500 + "\r\n"
    searched: list[str] = []
    monkeypatch.setattr(re, "search", lambda *args: searched.append(args[0]))
    names = offered_codecs("v=0\r\nm=video 9 X 1\r\n" + h264 + maps, "video")
    assert names == ["H264", *(f"x{number}" for number in range(15)), "2985 others"]
    assert searched == []
    assert offered_codecs(f"m=video 9 X 1\r\na=rtpmap:1 {'y' * 1000}/9\r\n", "video") == ["y" * 40]
