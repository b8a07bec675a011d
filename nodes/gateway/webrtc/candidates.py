"""Where a peer may be looked for: which candidates of its offer are used.

The gateway sends datagrams to the candidates of an offer before it knows whether anybody is there who wants them. So a
stranger could let it send to somebody else, or into the network that the gateway itself is in. What is refused here
costs an honest peer nothing: whoever reaches the gateway is found by the datagrams that come from there.
"""

import ipaddress
import re
from typing import NamedTuple

from ssa_stream.errors import MessageError

__all__ = ["Filtered", "filter_candidates"]

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_LINE = "a=candidate:"
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
_MDNS = re.compile(r"[0-9A-Za-z-]{1,63}\.local")
_MAX_MDNS = 4
"""Each is looked up with a multicast, for up to a second."""
_FIRST_PORT = 1024
_CODEC_LINES = ("a=rtpmap:", "a=fmtp:", "a=rtcp-fb:")
_MOST_CODEC_LINES = 1000
"""A browser has some 200. aiortc compares each with each, and nothing else goes on meanwhile."""


class Filtered(NamedTuple):
    """An offer with the candidates that are used.

    Attributes:
        offer: The rest of it is as it came.
        refused: How many candidates are not in it any more.
    """

    offer: str
    refused: int


def filter_candidates(
    offer: str, peer_address: str | None, *, limit: int, max_sections: int, loopback: bool
) -> Filtered:
    """Leave those candidates in an offer at which its peer may be.

    These are UDP addresses with a port from 1024 on: public ones; private ones if the peer itself has a private address
    or comes through a proxy on this machine; names of multicast DNS under the same condition. Candidates for TCP go
    without being counted: they are not used anyway.

    Args:
        offer: Session description.
        peer_address: From where it came.
        limit: Most candidates; of the same address and port only the first counts.
        max_sections: Most media sections.
        loopback: Take loopback addresses.
    Raises:
        MessageError: It has more media sections than that, or describes too many codecs.
    """
    lines = offer.splitlines()
    sections = sum(line.startswith("m=") for line in lines)
    if sections > max_sections:
        raise MessageError(f"the offer has {sections} media sections; at most {max_sections} are taken")
    about_codecs = sum(line.startswith(_CODEC_LINES) for line in lines)
    if about_codecs > _MOST_CODEC_LINES:
        raise MessageError(
            f"the offer has {about_codecs} lines about codecs; at most {_MOST_CODEC_LINES} are taken; offer fewer"
        )
    near = _is_near(peer_address)
    kept: list[str] = []
    used: set[tuple[str, int]] = set()
    refused = 0
    for line in lines:
        if not line.startswith(_LINE):
            kept.append(line)
            continue
        place = _place_of(line)
        if place is None:
            continue
        if place in used or (len(used) < limit and _is_allowed(*place, near=near, loopback=loopback, used=used)):
            used.add(place)
            kept.append(line)
        else:
            refused += 1
    return Filtered("".join(line + "\r\n" for line in kept), refused)


def _place_of(line: str) -> tuple[str, int] | None:
    """Host and port of a candidate; None for one that is not for UDP. What cannot be read has port 0."""
    parts = line.removeprefix(_LINE).split()
    if len(parts) > 2 and parts[2].lower() == "tcp":
        return None
    try:
        return parts[4], int(parts[5])
    except (IndexError, ValueError):
        return "", 0


def _is_allowed(host: str, port: int, *, near: bool, loopback: bool, used: set[tuple[str, int]]) -> bool:
    if not _FIRST_PORT <= port <= 65_535:
        return False
    address = _address_of(host)
    if address is None:
        return near and _MDNS.fullmatch(host) is not None and sum(".local" in one for one, _ in used) < _MAX_MDNS
    if address.is_loopback:
        return loopback
    if address.is_multicast or address.is_unspecified or address.is_reserved or address in _THIS_NETWORK:
        return False
    return address.is_global or near


def _is_near(peer_address: str | None) -> bool:
    """Whether a peer is in a network of ours, or comes through something that is."""
    address = _address_of(peer_address or "")
    return address is None or not address.is_global


def _address_of(text: str) -> _Address | None:
    """The address; None if it is none. An IPv6 address that stands for an IPv4 one is that."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    inner = address.ipv4_mapped or address.sixtofour if isinstance(address, ipaddress.IPv6Address) else None
    return inner or address
