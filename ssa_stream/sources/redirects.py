"""Redirects of web servers, followed by us and not by FFmpeg, which would go to any host.

FFmpeg is told to follow none, and then says "input/output error" of an answer that is one. Only then the address is
asked once more, to learn where it leads.
"""

import base64
import contextlib
import errno
import http.client
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import av

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.sources.hosts import Hosts, is_http, joined

__all__ = ["MOST_REDIRECTS", "NOT_FOLLOWED", "follow", "options_for", "with_user"]

NOT_FOLLOWED = {"max_redirects": "0"}
"""FFmpeg's options."""
MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_AGENT = "Lavf/62"
# What a user gives for the host that was asked for, and no other one.
_SECRET_OPTIONS = frozenset({"headers", "cookies", "referer", "auth_type", "cert_file", "key_file", "key_password"})

_Opened = TypeVar("_Opened")


def options_for(url: str, asked: str | None, options: Mapping[str, str]) -> dict[str, str]:
    """FFmpeg's options for an address: what may be secret only for the host that was asked for."""
    if Hosts.same(asked, url):
        return dict(options)
    return {name: value for name, value in options.items() if name not in _SECRET_OPTIONS}


def follow(
    url: str,
    connect: Callable[[str], _Opened],
    *,
    asked: str | None,
    name: str,
    hosts: Hosts,
    options: Mapping[str, str],
    timeout_s: float,
) -> tuple[_Opened, str]:
    """Open an address where its redirects lead; returns what was opened, and the last address.

    Args:
        url: The address, credentials included.
        connect: Opens one address without following redirects.
        asked: What the user gave, see `Hosts.allows`.
        name: What to call it in messages, without credentials.
        hosts: Where redirects may lead.
        options: FFmpeg options of the protocol.
        timeout_s: Longest wait for one answer.
    Raises:
        SourceError: It leads where it may not be followed, or in circles.
        av.FFmpegError: The address, or the last one, cannot be opened.
    """
    for _ in range(MOST_REDIRECTS + 1):
        try:
            return connect(url), url
        except av.FFmpegError as error:
            # Not to be chained: its text has the address.
            location = (
                _location(url, options_for(url, asked, options), timeout_s) if _may_redirect(url, error) else None
            )
            if location is None:
                raise
        if not hosts.allows(asked, location):
            raise SourceError(
                f"cannot open {name}: {hosts.refusal('it redirects', asked, location)}", SourceErrorCode.ELSEWHERE
            )
        url = with_user(location, url) if Hosts.same(url, location) else location
    raise SourceError(
        f"cannot open {name}: it redirects more than {MOST_REDIRECTS} times", SourceErrorCode.SERVER_ERROR
    )


def _may_redirect(url: str, error: av.FFmpegError) -> bool:
    return is_http(url) and error.errno == errno.EIO


def with_user(location: str, url: str) -> str:
    """The new address with the log-in of the old one, if it has none itself."""
    new, old = urlsplit(location), urlsplit(url)
    user, mark, _ = old.netloc.rpartition("@")
    return urlunsplit(new._replace(netloc=user + mark + new.netloc)) if mark and "@" not in new.netloc else location


def _location(url: str, options: Mapping[str, str], timeout_s: float) -> str | None:
    """Where an address redirects; None if it does not, or does not answer."""
    try:
        parts = urlsplit(url)
        status, location, challenge = _ask(parts, options, timeout_s, None)
        if status == http.client.UNAUTHORIZED and challenge.lower().startswith("digest"):
            status, location, _ = _ask(parts, options, timeout_s, _digest(parts, challenge))
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return joined(_without_user(parts), location) if status in _REDIRECTS and location else None


def _ask(
    parts: SplitResult, options: Mapping[str, str], timeout_s: float, authorization: str | None
) -> tuple[int, str, str]:
    """Status, `Location` and `WWW-Authenticate` of the answer; its body is not read."""
    headers = {"User-Agent": options.get("user_agent", _AGENT), "Accept": "*/*", "Range": "bytes=0-"}
    headers |= dict(line.split(": ", 1) for line in options.get("headers", "").splitlines() if ": " in line)
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = authorization or f"Basic {base64.b64encode(pair.encode()).decode()}"
    target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    with contextlib.closing(_connection(parts, options, timeout_s)) as connection, _cut_off(connection, timeout_s):
        connection.request("GET", target, headers={**headers, "Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Location", ""), answer.getheader("WWW-Authenticate", "")


def _connection(parts: SplitResult, options: Mapping[str, str], timeout_s: float) -> http.client.HTTPConnection:
    host, port = parts.hostname or "", parts.port
    if parts.scheme != "https":
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    else:
        context = ssl.create_default_context(cafile=options.get("cafile") or options.get("ca_file"))
        if options.get("tls_verify", "0") == "0":  # as FFmpeg does: cameras have certificates of their own
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
    connection.connect()
    return connection


@contextlib.contextmanager
def _cut_off(connection: http.client.HTTPConnection, timeout_s: float) -> Iterator[None]:
    """End the connection after a time, also if the server sends a byte now and then."""
    descriptor: socket.socket = connection.sock

    def shut_down() -> None:
        with contextlib.suppress(OSError):
            descriptor.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(timeout_s, shut_down)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _digest(parts: SplitResult, challenge: str) -> str | None:
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    url = _without_user(parts)
    passwords.add_password(None, url, unquote(parts.username or ""), unquote(parts.password or ""))
    handler = urllib.request.HTTPDigestAuthHandler(passwords)
    fields = urllib.request.parse_keqv_list(urllib.request.parse_http_list(challenge.partition(" ")[2]))
    answer = handler.get_authorization(urllib.request.Request(url), fields)
    return f"Digest {answer}" if answer else None


def _without_user(parts: SplitResult) -> str:
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
