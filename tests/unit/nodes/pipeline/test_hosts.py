"""What is this machine only, however it is written."""

import pytest

from ssa_stream.nodes.pipeline.hosts import host_of, is_host, is_loopback, is_plain


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "LocalHost", "::1", "[::1]"])
def test_is_loopback_this_machine_yes(host: str) -> None:
    """All ways to write it."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "robot.local", "127.0.0.1.example.com"])
def test_is_loopback_others_no(host: str) -> None:
    """A name that only looks like it is none."""
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("127.0.0.1:8080", "127.0.0.1"),
        ("Robot.local", "robot.local"),
        ("[::1]:8080", "::1"),
        ("[::1]", "::1"),
    ],
)
def test_host_of_header_has_no_port(header: str, host: str) -> None:
    """Nor brackets, nor capital letters."""
    assert host_of(header) == host


@pytest.mark.parametrize(
    ("header", "plain"),
    [(None, True), ("127.0.0.1:8080", True), ("m\u00fcller", False), ("\udcff", False), ("a\tb", False)],
)
def test_is_plain_takes_visible_ascii_only(header: str | None, plain: bool) -> None:
    """Names of hosts and origins are no more than that."""
    assert is_plain(header) is plain


@pytest.mark.parametrize(
    ("header", "right"),
    [
        ("127.0.0.1:8080", True),
        ("robot_1.local", True),
        ("[::1]:8080", True),
        ("[::ffff:127.0.0.1]", True),
        ("[::1", False),
        ("[::1]x", False),
        ("[]", False),
        ("[127.0.0.1]", False),
        ("::1", False),
        ("localhost:", True),
        ("127.0.0.1:65535", True),
        ("127.0.0.1:65536", False),
        ("127.0.0.1:99999999", False),
        ("127.0.0.1:80:80", False),
        ("a b", False),
        ("", False),
    ],
)
def test_is_host_takes_whole_names_and_real_ports_only(header: str, right: bool) -> None:
    """What begins like this machine's name is not one for that."""
    assert is_host(header) is right
