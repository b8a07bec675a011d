"""Exceptions that nobody foresaw, of decoders and plug-ins: they end a frame or a connection, and nothing else."""

from ssa_stream.addresses import redact
from ssa_stream.errors import SourceError, SsaStreamError

__all__ = ["describe", "foreseen"]


def describe(error: BaseException) -> str:
    """Return the type and the text of an exception, without credentials."""
    text = redact(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def foreseen(name: str, error: BaseException) -> SsaStreamError:
    """Return an error of ours as it is, anything else as a `SourceError` with the code `other`.

    Args:
        name: Of the source, without secrets.
        error: What a decoder or a plug-in raised.
    """
    if isinstance(error, SsaStreamError):
        return error
    return SourceError(f"{name} failed: {describe(error)}")
