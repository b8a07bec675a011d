"""What an RTSP client sends through a relay, with the address of the camera in place of that of the relay."""

import hashlib
import re
from urllib.parse import unquote_to_bytes, urlsplit

from ssa_stream.sources.interleaved import FRAME_HEAD, message_size

__all__ = ["ClientRequests"]

_FIELDS = re.compile(r'([A-Za-z]+)=(?:"([^"]*)"|([^",\s]+))')
_AUTHORIZATION = re.compile(rb"(?im)^authorization:[ \t]*digest[ \t]+([^\r\n]*)")
_PORT = 554
_HASHES = {"MD5": "md5", "MD5-SESS": "md5", "SHA-256": "sha256", "SHA-256-SESS": "sha256"}


class ClientRequests:
    """Requests and, between them, reports with a head of four bytes.

    The camera sees the address that it has, as if nothing were between. The address is part of what a digest (RFC 7616)
    is made of, so that is made anew.

    Args:
        url: Of the camera, user and password included.
        relay: How addresses of the relay begin, such as `rtsp://127.0.0.1:4711`.
        proof: What the requests of the one client hold that may connect, and the camera is not to see.

    Attributes:
        has_played: Whether the stream was asked to begin.
    """

    def __init__(self, url: str, relay: str, proof: bytes) -> None:
        parts = urlsplit(url)
        user_info, _, host = parts.netloc.rpartition("@")
        # Names and passwords are bytes of whatever encoding; as Latin-1 each byte is a character.
        self._password = unquote_to_bytes(user_info).decode("latin-1").partition(":")[2]
        port = "" if parts.port else f":{_PORT}"  # as FFmpeg says it
        self._camera = f"{parts.scheme}://{host.removesuffix(':')}{port}"
        self._relay, self._proof = relay, proof
        self.has_played = False
        self._data = bytearray()
        self._is_understood = True

    def passed(self, data: bytes) -> bytes:
        """What is to be passed on of what came; what is not understood is passed on as it is."""
        self._data += data
        out = bytearray()
        while self._is_understood and self._data:
            try:
                sizes = self._sizes()
            except ValueError:
                self._is_understood = False
                break
            if sizes is None:
                return bytes(out)
            head, whole = sizes
            out += self._addressed(bytes(self._data[:head])) + self._data[head:whole]
            del self._data[:whole]
        out += self._data
        self._data.clear()
        return bytes(out)

    def _sizes(self) -> tuple[int, int] | None:
        if self._data[:1] == b"$":
            size = FRAME_HEAD + int.from_bytes(self._data[2:4], "big")
            return (0, size) if FRAME_HEAD <= len(self._data) >= size else None
        return message_size(self._data)

    def _addressed(self, head: bytes) -> bytes:
        """The head of a request with the camera's address, unless its digest cannot be made anew; without the proof."""
        head = head.replace(self._proof, b"")
        request, space, rest = head.partition(b" ")
        self.has_played = self.has_played or request == b"PLAY"
        if not rest.startswith(self._relay.encode()):
            return head
        digest = _AUTHORIZATION.search(head)
        addressed = request + space + self._camera.encode() + rest.removeprefix(self._relay.encode())
        if digest is None:
            return addressed
        old = digest[1].decode("latin-1")
        new = self._digest(request.decode("latin-1"), old)
        return head if new is None else addressed.replace(digest[1], new.encode("latin-1"), 1)

    def _digest(self, method: str, text: str) -> str | None:
        fields = {name.lower(): quoted or plain for name, quoted, plain in _FIELDS.findall(text)}
        uri, response = fields.get("uri", ""), fields.get("response", "")
        if not uri.startswith(self._relay) or _response(method, uri, self._password, fields) != response:
            return None
        true_uri = self._camera + uri.removeprefix(self._relay)
        true_response = _response(method, true_uri, self._password, fields)
        return text.replace(f'uri="{uri}"', f'uri="{true_uri}"').replace(response, true_response or "")


def _response(method: str, uri: str, password: str, fields: dict[str, str]) -> str | None:
    """What proves that the password is known, by RFC 7616; None if it is made in a way that is not known here."""
    algorithm = fields.get("algorithm", "MD5").upper()
    name, qop = _HASHES.get(algorithm), fields.get("qop")
    if name is None or qop not in (None, "auth"):
        return None

    def hashed(*parts: str) -> str:
        return hashlib.new(name, ":".join(parts).encode("latin-1"), usedforsecurity=False).hexdigest()

    nonce, cnonce = fields.get("nonce", ""), fields.get("cnonce", "")
    secret = hashed(fields.get("username", ""), fields.get("realm", ""), password)
    if algorithm.endswith("-SESS"):
        secret = hashed(secret, nonce, cnonce)
    middle = (nonce,) if qop is None else (nonce, fields.get("nc", ""), cnonce, qop)
    return hashed(secret, *middle, hashed(method, uri))
