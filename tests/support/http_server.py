"""A small web server for tests, on a free port of this machine."""

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["HttpRequest", "http_server", "recording"]


class HttpRequest(BaseHTTPRequestHandler):
    """A GET request, answered by the function that the server was made with; ends quietly when the client has gone."""

    answer: Callable[["HttpRequest"], None]

    def do_GET(self) -> None:
        """Answer, until the client has gone."""
        try:
            type(self).answer(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def send(self, status: int, body: bytes, content_type: str, **headers: str) -> None:
        """Send a whole answer; an underscore in the name of a header is a hyphen."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def http_server(
    answer: Callable[[HttpRequest], None], *, protocol: str = "HTTP/1.0", host: str = "127.0.0.1"
) -> Iterator[str]:
    """Serve in threads; the address, without a path.

    Args:
        answer: What each request is answered by.
        host: Address of this machine to listen on.
        protocol: With `HTTP/1.1`, a connection is closed when the request asks for that, and no header says so.
    """
    handler = type("Handler", (HttpRequest,), {"answer": staticmethod(answer), "protocol_version": protocol})
    server = ThreadingHTTPServer((host, 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def recording(
    data: bytes, *, ranges: bool = True, length: bool = True, cut_at: int | None = None, cuts: int = 10**6
) -> Callable[[HttpRequest], None]:
    """An answer to requests for a recording.

    Args:
        data: The file.
        ranges: Whether a part of it can be asked for.
        length: Whether its length is told.
        cut_at: Break the connection before this byte of the file.
        cuts: How many connections break.
    """
    left = [cuts]

    def answer(request: HttpRequest) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        begin = int(asked[1]) if ranges and asked else 0
        request.send_response(206 if ranges and asked else 200)
        if ranges:
            request.send_header("Accept-Ranges", "bytes")
            if asked:
                request.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        if length:
            request.send_header("Content-Length", str(len(data) - begin))
        request.end_headers()
        body = data[begin:]
        if cut_at is not None and left[0] > 0:
            left[0] -= 1
            body = data[begin:cut_at]
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            request.wfile.write(body)

    return answer
