"""Who may use the gateway over HTTP."""

import hmac
from collections.abc import Collection

from ssa_stream.errors import ConfigError
from ssa_stream.nodes.pipeline.hosts import host_of, is_loopback

__all__ = ["Access", "require_safe"]


def require_safe(host: str, *, token: str | None, has_tls: bool, insecure: bool) -> None:
    """Refuse to let others in without a token, or to let them send it in the clear.

    Raises:
        ConfigError: The gateway would be open to the network.
    """
    if is_loopback(host) or insecure:
        return
    if not token:
        raise ConfigError(
            f"--host {host} lets other machines in, so a token is needed: give --token-file, or --insecure"
        )
    if not has_tls:
        raise ConfigError(
            f"--host {host} lets other machines in, and without TLS they would send their token in the clear (and "
            f"browsers give no camera to such a page): give --tls-cert and --tls-key, or --insecure"
        )


class Access:
    """Decides about requests by their headers.

    Args:
        host: Where the gateway listens.
        token: What has to be known; None for nothing.
        hosts: Other names under which it may be asked for.
        origins: Other origins whose pages may use it.
    """

    def __init__(
        self, host: str, token: str | None, hosts: Collection[str] = (), origins: Collection[str] = ()
    ) -> None:
        self._token = token
        self._hosts = frozenset({host.strip("[]").lower(), *(one.lower() for one in hosts)})
        self._is_loopback = is_loopback(host)
        self._is_any = host in ("0.0.0.0", "::", "")
        self._origins = frozenset(origins)

    def is_known_host(self, header: str | None) -> bool:
        """Whether the gateway was asked for by a name of its own: a page elsewhere may have made a name point here.

        Args:
            header: `Host` of the request.
        """
        name = host_of(header or "")
        return name in self._hosts or self._is_any or (self._is_loopback and is_loopback(name))

    def is_own_page(self, origin: str | None, host: str | None, scheme: str) -> bool:
        """Whether a request comes from a page that may use the gateway, or from no page.

        Args:
            origin: `Origin` of the request; None for programs that are no browsers.
            host: `Host` of the request.
            scheme: `http` or `https`.
        """
        return origin is None or origin == f"{scheme}://{host}" or origin in self._origins

    def allowed_origin(self, origin: str | None) -> str | None:
        """The origin to allow in an answer; None if it is not one of the others."""
        return origin if origin in self._origins else None

    def is_authorised(self, authorization: str | None) -> bool:
        """Whether the token is right.

        Args:
            authorization: Header of the request.
        """
        if self._token is None:
            return True
        scheme, _, given = (authorization or "").partition(" ")
        came = given.strip().encode("utf-8", "surrogatepass")  # bytes that were no UTF-8 come as surrogates
        return scheme.lower() == "bearer" and hmac.compare_digest(came, self._token.encode())
