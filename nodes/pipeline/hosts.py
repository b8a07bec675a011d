"""Which hosts are this machine only; what headers say of hosts."""

import ipaddress

__all__ = ["host_of", "is_loopback", "is_plain"]


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


def is_plain(header: str | None) -> bool:
    """Whether a header that names hosts or origins has nothing in it but visible ASCII; a missing one has not."""
    return header is None or (header.isascii() and header.isprintable())
