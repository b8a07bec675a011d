"""To which hosts an address may lead: by a redirect, or by what a playlist names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

__all__ = ["NO_OTHER_HOSTS", "Hosts", "is_http", "joined"]

_PORTS = {"http": 80, "https": 443}
_USUAL_PORTS = {**_PORTS, "rtsp": 554}
_ANY = "any"
_CRYPTO = "crypto+"
_MOST_SHOWN = 5
_LONGEST_SHOWN = 80


def is_http(url: str) -> bool:
    """Whether it is an address of a web server."""
    return url.lower().startswith(("http://", "https://"))


def joined(base: str, name: str) -> str:
    """A name as a whole address; as it stands if it can be none, which `Hosts.allows` refuses."""
    try:
        return urljoin(base, name)
    except ValueError:
        return name


@dataclass(frozen=True, slots=True)
class Hosts:
    """What may be followed besides the host that was asked for.

    That host is name and port as they were given. To go over to https at its usual port is no other host. RTSP may lead
    to RTSP only, and nothing else leads there.

    Attributes:
        allowed: Names in small letters, with a port if it is not the usual one; `*.` stands for all names below;
            `any` allows every host.
    """

    allowed: tuple[str, ...] = ()

    @property
    def are_any(self) -> bool:
        """Whether every host is allowed."""
        return _ANY in self.allowed

    def allows(self, asked: str | None, url: str) -> bool:
        """Whether an address may be followed.

        Args:
            asked: The address that the user gave; None where that is a file of this machine.
            url: Where it leads. Data that the address holds itself leads nowhere.
        """
        url = url.removeprefix(_CRYPTO)
        if url.lower().startswith("data:"):
            return True
        target = _split(url)
        if target is None or target.scheme not in _followed(asked) or not target.hostname:
            return False
        return self.are_any or self.same(asked, url) or any(_fits(target, allowed) for allowed in self.allowed)

    @staticmethod
    def same(asked: str | None, url: str) -> bool:
        """Whether it is the host that was asked for: it may see what is secret."""
        origin, target = None if asked is None else _split(asked), _split(url.removeprefix(_CRYPTO))
        if origin is None or target is None or not target.hostname or _name(origin) != _name(target):
            return False
        is_upgrade = (origin.scheme, target.scheme) == ("http", "https") and _port(target) == _PORTS["https"]
        return is_upgrade or (origin.scheme, _port(origin)) == (target.scheme, _port(target))

    def refusals(self, servers: Iterable[str]) -> list[str]:
        """Say which servers a playlist on this machine names that are not asked; nothing if all are allowed."""
        parts = (_split(url) for url in servers if not self.allows(None, url))
        shown = sorted({_shown(part) for part in parts if part is not None})
        if not shown:
            return []
        more = f" and {len(shown) - _MOST_SHOWN} more" if len(shown) > _MOST_SHOWN else ""
        return [
            f"it names files on {', '.join(shown[:_MOST_SHOWN])}{more}, which were not asked. To allow it, add "
            f"#hosts={','.join(shown[:_MOST_SHOWN])} to its name, or #hosts=any"
        ]

    @staticmethod
    def refusal(what: str, asked: str | None, url: str) -> str:
        """Say that something was not followed, and how to allow it; holds no secrets.

        Args:
            what: The beginning of the sentence, such as "it redirects".
            asked: See `allows`.
            url: Where it leads.
        """
        target, followed = _split(url.removeprefix(_CRYPTO)), _followed(asked)
        if target is None or (target.scheme in followed and not target.hostname):
            kinds = "http(s)" if followed is _PORTS else "rtsp"
            return f"{what} to {_shortened(url)}, which is no address and was not followed: expected {kinds}://HOST[:PORT]/"
        if target.scheme not in followed:
            scheme = url.removeprefix(_CRYPTO).partition(":")[0][:20]
            return (
                f"{what} to an address of the kind {scheme!r}, which is not followed: expected {' or '.join(followed)}"
            )
        host = _shown(target)
        asked_for = "no server was asked for" if asked is None else f"{_shown(_split(asked))} was asked for"
        return (
            f"{what} to {target.scheme}://{host}, which was not followed: {asked_for}. To allow it, "
            f"add #hosts={host} to the address, or #hosts=any"
        )


NO_OTHER_HOSTS = Hosts()
"""Only the one that was asked for."""


def _shortened(url: str) -> str:
    """What came, without a user name, a password, a path or a query; either may hold a secret."""
    scheme, mark, rest = url.removeprefix(_CRYPTO).partition("//")
    host = re.split(r"[/?#\\]", rest)[0].rpartition("@")[2]
    return repr(f"{re.split('[/?#@]', scheme)[0][:20]}{mark}{host[:_LONGEST_SHOWN]}")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname  # what is no number is noticed here
    except ValueError:
        return None
    return parts


def _followed(asked: str | None) -> dict[str, int]:
    """Kinds of addresses that may be followed from there, with their usual ports."""
    is_rtsp = asked is not None and asked.lower().startswith("rtsp:")
    return {"rtsp": _USUAL_PORTS["rtsp"]} if is_rtsp else _PORTS


def _name(parts: SplitResult) -> str:
    return (parts.hostname or "").rstrip(".")


def _port(parts: SplitResult) -> int | None:
    return parts.port or _USUAL_PORTS.get(parts.scheme)


def _shown(parts: SplitResult | None) -> str:
    """Host and port, as the setting takes them."""
    if parts is None:
        return "another host"
    name = f"[{_name(parts)}]" if ":" in _name(parts) else _name(parts)
    return name if _port(parts) == _USUAL_PORTS.get(parts.scheme) else f"{name}:{_port(parts)}"


def _fits(target: SplitResult, allowed: str) -> bool:
    name, _, port = allowed.rpartition(":") if not allowed.endswith("]") and ":" in allowed else (allowed, "", "")
    if (int(port) if port else _USUAL_PORTS[target.scheme]) != _port(target):
        return False
    name = name.strip("[]").rstrip(".")
    return _name(target).endswith(name[1:]) if name.startswith("*.") else _name(target) == name
