"""Which hosts an address may lead to."""

import pytest

from ssa_stream.addresses import parse_address
from ssa_stream.errors import ConfigError
from ssa_stream.sources.hosts import NO_OTHER_HOSTS, Hosts, joined
from ssa_stream.sources.redirects import options_for


@pytest.mark.parametrize(
    ("asked", "url"),
    [
        ("http://cam/a", "http://cam/b"),
        ("http://cam/a", "http://u:p@CAM.:80/b"),
        ("http://cam:8080/a", "http://cam:8080/b"),
        ("http://cam/a", "https://cam/a"),
        ("http://cam:8080/a", "https://cam/a"),
        ("http://[::1]:81/a", "crypto+http://[::1]:81/b"),
        ("http://cam/a", "data:text/plain;base64,AAAA"),
        ("rtsp://u:p@cam/a", "rtsp://cam:554/b"),
    ],
)
def test_host_that_was_asked_for_is_followed(asked: str, url: str) -> None:
    """However it is written; to https at its usual port as well."""
    assert NO_OTHER_HOSTS.allows(asked, url)


@pytest.mark.parametrize(
    ("asked", "url"),
    [
        ("http://cam/a", "http://other/a"),
        ("http://cam/a", "http://cam:8080/a"),
        ("http://cam/a", "https://cam:8443/a"),
        ("https://cam/a", "http://cam/a"),
        ("http://cam/a", "http://cam.evil.example/a"),
        ("http://cam/a", "http://cam@evil.example/a"),
        ("http://cam/a", "http://169.254.169.254/latest/meta-data"),
        ("http://cam/a", "file:///etc/passwd"),
        ("http://cam/a", "crypto+file:///etc/passwd"),
        ("http://cam/a", "concat:http://cam/a|http://other/b"),
        ("http://cam/a", "http://cam:99999/a"),
        ("http://cam/a", "http:///a"),
        ("rtsp://cam/a", "rtsp://cam:8554/a"),
        ("rtsp://cam/a", "http://cam/a"),
        ("rtsp://cam/a", "rtsp:///a"),
        ("http://cam/a", "rtsp://cam/a"),
        (None, "http://cam/a"),
        (None, "file:///etc/passwd"),
    ],
)
def test_other_host_is_not_followed(asked: str | None, url: str) -> None:
    """Nor another port, another kind of address, or any server from a file of this machine."""
    assert not NO_OTHER_HOSTS.allows(asked, url)
    assert "not followed" in NO_OTHER_HOSTS.refusal("it leads", asked, url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://cam:99999/x?t0ken", "'http://cam:99999'"),
        ("http://u:p4ss@cam:x/t0ken", "'http://cam:x'"),
        ("http://[bad", "'http://[bad'"),
        ("//u:p4ss@[bad/t0ken", "'//[bad'"),
        ("http:///t0ken", "'http://'"),
        ("crypto+http://[bad\n", r"'http://[bad\n'"),
    ],
)
def test_what_is_no_address_is_called_that(url: str, shown: str) -> None:
    """With what came, but for what may be secret, and what was expected."""
    told = NO_OTHER_HOSTS.refusal("it redirects", "http://cam/a", url)
    assert f"to {shown}, which is no address" in told
    assert "expected http(s)://HOST[:PORT]/" in told
    assert "p4ss" not in told
    assert "t0ken" not in told


def test_name_that_is_no_address_stays_as_it_is() -> None:
    """Which is refused later."""
    assert joined("http://cam/a/", "b.ts") == "http://cam/a/b.ts"
    assert joined("http://cam/a/", "http://[bad") == "http://[bad"


@pytest.mark.parametrize(
    ("setting", "url", "allowed"),
    [
        ("cdn.example", "https://cdn.example/a", True),
        ("cdn.example", "http://cdn.example:8080/a", False),
        ("cdn.example:8080,b", "http://cdn.example:8080/a", True),
        ("*.example", "http://a.b.example/a", True),
        ("*.example", "http://example/a", False),
        ("*.example", "http://anexample/a", False),
        ("[::1]:8080", "http://[::1]:8080/a", True),
        ("any", "http://10.0.0.1:99/a", True),
        ("any", "file:///etc/passwd", False),
    ],
)
def test_hosts_of_the_setting_are_followed(setting: str, url: str, allowed: bool) -> None:
    """By name and port; what is no web server never is."""
    hosts = Hosts(parse_address(f"http://cam/a#hosts={setting}").hosts)
    assert hosts.allows("http://cam/a", url) is allowed


@pytest.mark.parametrize("setting", ["", "http://x", "a,,b", "a:b", "*"])
def test_setting_that_names_no_host_is_refused(setting: str) -> None:
    """With what is expected."""
    with pytest.raises(ConfigError, match="expected names of hosts"):
        parse_address(f"http://cam/a#hosts={setting}")


def test_secret_options_are_for_the_host_that_was_asked_for() -> None:
    """The others are for all."""
    options = {"headers": "Authorization: Bearer x", "cookies": "a=b", "timeout": "5"}
    assert options_for("http://cam/b", "http://cam/a", options) == options
    assert options_for("http://other/b", "http://cam/a", options) == {"timeout": "5"}


def test_refusal_holds_no_secrets() -> None:
    """Neither of the address nor of where it leads."""
    text = Hosts.refusal("it redirects", "http://cam:s3cret@cam/a", "https://u:p4ss@other:9/a?token=t0ken")
    assert text.startswith("it redirects to https://other:9, which was not followed: cam was asked for")
    assert not {"s3cret", "p4ss", "t0ken"} & set(text.replace("@", " ").split())
