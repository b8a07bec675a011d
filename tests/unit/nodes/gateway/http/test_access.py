"""Who may use the gateway: names, pages, tokens, and what it refuses to open to a network."""

import pytest

from ssa_stream.errors import ConfigError
from ssa_stream.nodes.gateway.http.access import Access, require_safe


@pytest.mark.parametrize(
    ("host", "token", "has_tls", "insecure"),
    [
        ("127.0.0.1", None, False, False),
        ("0.0.0.0", "secret", True, False),
        ("0.0.0.0", None, False, True),
    ],
    ids=["loopback", "token_and_tls", "insecure"],
)
def test_require_safe_allowed_passes(host: str, token: str | None, has_tls: bool, insecure: bool) -> None:
    """On this machine nothing is needed."""
    require_safe(host, token=token, has_tls=has_tls, insecure=insecure)


@pytest.mark.parametrize(
    ("token", "has_tls", "missing"), [(None, True, "token"), ("", True, "token"), ("secret", False, "TLS")]
)
def test_require_safe_open_to_network_raises(token: str | None, has_tls: bool, missing: str) -> None:
    """The text names what is missing and how to give it."""
    with pytest.raises(ConfigError, match=missing):
        require_safe("192.168.1.2", token=token, has_tls=has_tls, insecure=False)


@pytest.mark.parametrize(
    ("header", "known"),
    [
        ("127.0.0.1:8080", True),
        ("localhost:8080", True),
        ("[::1]:8080", True),
        ("robot.local", True),
        ("evil.example:8080", False),
        (None, False),
        ("127.0.0.1.evil.example", False),
    ],
)
def test_access_host_that_points_here_is_refused(header: str | None, known: bool) -> None:
    """A page elsewhere may let its own name point to 127.0.0.1 and so pass for the same origin."""
    assert Access("127.0.0.1", None, hosts=["robot.local"]).is_known_host(header) is known


def test_access_page_of_another_origin_is_refused() -> None:
    """Programs that are no browsers send no origin."""
    access = Access("127.0.0.1", None, origins=["https://ui.example"])
    host = "127.0.0.1:8080"
    assert access.is_own_page(None, host, "http")
    assert access.is_own_page("http://127.0.0.1:8080", host, "http")
    assert access.is_own_page("https://ui.example", host, "http")
    for origin in ("http://127.0.0.1:9090", "https://127.0.0.1:8080", "http://evil.example", "null"):
        assert not access.is_own_page(origin, host, "http")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic secret", "secret", "Bearer secret2"])
def test_access_wrong_token_is_refused(header: str | None) -> None:
    """Only the whole token, as a bearer token."""
    access = Access("127.0.0.1", "secret")
    assert not access.is_authorised(header)
    assert access.is_authorised("Bearer secret")
    assert access.is_authorised("bearer secret")


@pytest.mark.parametrize("header", ["Bearer \udcff\udcfe", "\udcff", "Bearer schl\u00fcssel", "Bearer \ud800"])
def test_access_token_of_odd_bytes_is_refused(header: str) -> None:
    """Bytes that are no UTF-8 come as surrogates."""
    assert not Access("127.0.0.1", "secret").is_authorised(header)


def test_access_token_beyond_ascii_is_taken() -> None:
    """Compared as UTF-8, for programs that run a gateway themselves: `--token-file` has ASCII."""
    assert Access("127.0.0.1", "schl\u00fcssel").is_authorised("Bearer schl\u00fcssel")
