"""Which candidates of an offer are used."""

import pytest

from ssa_stream.errors import MessageError
from ssa_stream.nodes.gateway.webrtc.candidates import filter_candidates

_HEAD = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n"


def _candidate(host: str, port: int | str = 5000, transport: str = "udp") -> str:
    return f"a=candidate:1 1 {transport} 2130706431 {host} {port} typ host\r\n"


def _kept(
    *candidates: str, peer: str | None = "192.168.1.7", limit: int = 16, loopback: bool = False
) -> tuple[list[bool], int]:
    """Which of them are left, and how many were counted as refused."""
    offer = _HEAD + "".join(candidates) + "a=end-of-candidates\r\n"
    found, refused = filter_candidates(offer, peer, limit=limit, max_sections=4, loopback=loopback)
    assert found.startswith(_HEAD)
    assert found.endswith("a=end-of-candidates\r\n")
    return [one in found for one in candidates], refused


@pytest.mark.parametrize(
    "host",
    ["192.168.1.7", "10.0.0.1", "fe80::1", "fd00::1", "100.64.0.1", "93.184.216.34", "2a00:1450::1", "a-b.local"],
)
def test_filter_candidates_of_a_peer_in_the_same_network_stay(host: str) -> None:
    """Also what a browser calls by a name of multicast DNS."""
    assert _kept(_candidate(host)) == ([True], 0)


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0", "0.0.0.5", "224.0.0.251", "255.255.255.255", "240.0.0.1", "::", "ff02::1", "127.0.0.1", "::1",
        "::ffff:127.0.0.1", "victim.example", "a.b.local", "", "not an address", "192.168.1.300",
    ],
)  # fmt: skip
def test_filter_candidates_where_no_peer_is_go(host: str) -> None:
    """Names that would be looked up, and addresses of everybody or nobody."""
    assert _kept(_candidate(host)) == ([False], 1)


@pytest.mark.parametrize("port", [0, 22, 53, 1023, 65_536, -1, "x", "9" * 5000])
def test_filter_candidates_odd_or_privileged_port_goes(port: int | str) -> None:
    """Media come from free ports; services that could be hit have others."""
    assert _kept(_candidate("192.168.1.7", port)) == ([False], 1)


@pytest.mark.parametrize("host", ["192.168.1.7", "10.0.0.1", "fd00::1", "a.local", "169.254.1.1"])
def test_filter_candidates_private_of_a_public_peer_go(host: str) -> None:
    """A stranger from elsewhere must not let the gateway look around in its own network."""
    assert _kept(_candidate(host), _candidate("93.184.216.34"), peer="93.184.216.34") == ([False, True], 1)


def test_filter_candidates_loopback_stays_where_media_are_on_loopback() -> None:
    """And only there."""
    assert _kept(_candidate("127.0.0.1"), peer="127.0.0.1", loopback=True) == ([True], 0)


def test_filter_candidates_limit_counts_places_not_lines() -> None:
    """The same place in several sections is one; what is for TCP is not used anyway, and not counted."""
    lines = [_candidate(f"192.168.1.{number}") for number in range(1, 6)]
    tcp = _candidate("192.168.1.9", 9, "tcp")
    assert _kept(*lines, lines[0], tcp, limit=3) == ([True, True, True, False, False, True, False], 2)


def test_filter_candidates_unusual_ends_of_lines_hide_nothing() -> None:
    """Lines are split as the reader of the offer splits them."""
    offer = _HEAD.replace("\r\n", "\u2028") + _candidate("224.0.0.1").replace("\r\n", "\x0b")
    assert filter_candidates(offer, None, limit=16, max_sections=4, loopback=False).refused == 1


def test_filter_candidates_many_sections_raise() -> None:
    """Each may need sockets of its own."""
    with pytest.raises(MessageError, match="5 media sections; at most 4"):
        filter_candidates(_HEAD * 5, None, limit=16, max_sections=4, loopback=False)


@pytest.mark.parametrize("line", ["a=rtpmap:96 x/9", "a=fmtp:96 a=1", "a=rtcp-fb:* nack"])
def test_filter_candidates_of_offer_with_a_flood_of_codecs_raises(line: str) -> None:
    """They are compared with each other; a browser's few hundred are taken."""
    filter_candidates(_HEAD + f"{line}\r\n" * 1000, None, limit=16, max_sections=4, loopback=False)
    with pytest.raises(MessageError, match="1001 lines about codecs; at most 1000"):
        filter_candidates(_HEAD + f"{line}\r\n" * 1001, None, limit=16, max_sections=4, loopback=False)
