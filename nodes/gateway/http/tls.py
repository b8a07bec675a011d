"""The certificate of the page: it is tried before a graph starts, and used by the gateway."""

import ssl
from typing import NoReturn

from ssa_stream.errors import ConfigError
from ssa_stream.files import is_stream, read_limited

__all__ = ["tls_context"]

_MOST_BYTES = 2**20


def tls_context(cert: str, key: str) -> ssl.SSLContext:
    """What a server needs for TLS.

    Args:
        cert: Certificate file, with those above it (PEM).
        key: Its key (PEM), not encrypted.
    Raises:
        ConfigError: They cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        for file in (cert, key):  # OpenSSL would wait at a pipe and read a device for ever
            if is_stream(file):
                raise OSError(f"{file} is a pipe or a device; expected an ordinary file")
            read_limited(file, most_bytes=_MOST_BYTES)
        context.load_cert_chain(cert, key, password=_no_password)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"cannot use the certificate {cert} with its key {key}: {error}") from error
    return context


def _no_password() -> NoReturn:
    """OpenSSL would ask for it at the terminal, and wait."""
    raise ConfigError(
        "--tls-key: the key is encrypted; give one that is not, such as of: openssl pkey -in KEY -out PLAIN"
    )
