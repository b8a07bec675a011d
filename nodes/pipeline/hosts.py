"""Which hosts are this machine only; what headers say of hosts."""

import ipaddress
import re

__all__ = ["host_of", "is_host", "is_loopback", "is_plain"]

_HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]{2,45})\]|[^\[\]:/@\s]+)(?::(?P<port>[0-9]{0,5}))?")


def is_loopback(host: str) -> bool:
    """Whether an address or name, with or without brackets, is this machine only."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def host_of(header: str) -> str:
    """The host in a `Host` header, without its port, in small letters."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def is_host(header: str) -> bool:
    """Whether a `Host` header names a host: a name or an address, one of IPv6 in brackets, and perhaps a port."""
    found = _HOST.fullmatch(header)
    if found is None or int(found["port"] or 0) > 65_535:
        return False
    try:
        return found["address"] is None or ipaddress.ip_address(found["address"]).version == 6
    except ValueError:
        return False


def is_plain(header: str | None) -> bool:
    """Whether a header that names hosts or origins has nothing in it but visible ASCII; a missing one has not."""
    return header is None or (header.isascii() and header.isprintable())
