"""Every error that ssa_stream raises on purpose.

    SsaStreamError
    ├── ConfigError        (ValueError)    a configuration or an argument is wrong
    ├── CheckpointError    (ValueError)    a weight file does not fit what it is loaded into
    ├── ShapeError         (ValueError)    an array or tensor has the wrong shape, dtype or range
    ├── SessionStateError  (RuntimeError)  a call that the stream's present state does not allow
    ├── SourceError        (OSError)       a video source cannot be opened, broke or stalled
    ├── SinkError          (OSError)       an output cannot be written
    ├── IncompleteInputError               a source, prompt or data set is incomplete, and that was not allowed
    ├── MissingExtraError  (ImportError)   an optional part of the package is not installed
    ├── MessageError                       a message from the wire is malformed
    └── TransportError                     a peer cannot be reached or does not answer

Messages say what came, what was expected and what to do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TypeVar

__all__ = [
    "CheckpointError",
    "ConfigError",
    "IncompleteInputError",
    "MessageError",
    "MissingExtraError",
    "SessionStateError",
    "ShapeError",
    "SinkError",
    "SourceError",
    "SourceErrorCode",
    "SsaStreamError",
    "TransportError",
    "content_errors",
    "is_of_missing_file",
    "misnamed",
]


class SsaStreamError(Exception):
    """Base of all errors of this package.

    Attributes:
        is_misnamed: It is about a name that somebody gave: there is nothing of that name, or nobody understands it. For
            a command line that is wrong use.
        is_of_content: It is about what is in a file that is there, such as one of a data set. For a command line that
            is work that failed, whatever the class of the error stands for otherwise.
    """

    is_misnamed = False
    is_of_content = False


_Error = TypeVar("_Error", bound=SsaStreamError)


def misnamed(error: _Error) -> _Error:
    """Mark an error as one about a name that somebody gave; see `SsaStreamError.is_misnamed`."""
    error.is_misnamed = True
    return error


@contextmanager
def content_errors() -> Iterator[None]:
    """Mark errors of the body that are about no name as errors about content; see `SsaStreamError.is_of_content`."""
    try:
        yield
    except SsaStreamError as error:
        error.is_of_content = not error.is_misnamed
        raise


def is_of_missing_file(error: BaseException | None) -> bool:
    """Whether an error comes from a file that is not there."""
    while error is not None:
        if isinstance(error, FileNotFoundError):
            return True
        error = error.__cause__ or error.__context__
    return False


class ConfigError(SsaStreamError, ValueError):
    """A configuration value or an argument is wrong."""


class CheckpointError(SsaStreamError, ValueError):
    """A weight file is unreadable or does not fit the model it is loaded into."""


class ShapeError(SsaStreamError, ValueError):
    """An array or tensor has the wrong shape, dtype or value range."""


class SessionStateError(SsaStreamError, RuntimeError):
    """The session's present state does not allow this call."""


class SourceErrorCode(StrEnum):
    """What is wrong with a source, for programs and dashboards. Open: others may come."""

    REFUSED = "refused"
    """Nothing listens at that host and port."""
    UNREACHABLE = "unreachable"
    """The host is unknown, or no way leads to it."""
    TIMEOUT = "timeout"
    """It was reached, or not even that, but did not answer in time."""
    AUTH_FAILED = "auth_failed"
    """User name or password are wrong or missing, or this user may not read it."""
    NOT_FOUND = "not_found"
    """The server, the camera or the file has no such stream."""
    SERVER_ERROR = "server_error"
    """The server failed to start the stream."""
    TLS = "tls"
    """No secure connection could be made: no TLS there, or its certificate is not trusted."""
    UNSUPPORTED_CODEC = "unsupported_codec"
    """There is no video in it, or none that can be decoded here."""
    UNREADABLE = "unreadable"
    """What it sends makes no sense."""
    TOO_LARGE = "too_large"
    """Its pictures are larger than is allowed."""
    ELSEWHERE = "elsewhere"
    """It leads to another host, which was not allowed."""
    NO_FRAME = "no_frame"
    """It is connected, but no picture came out in time."""
    STALLED = "stalled"
    """It was live and went silent, its connection still open."""
    LOST = "lost"
    """It was live and its connection ended."""
    OTHER = "other"


class SourceError(SsaStreamError, OSError):
    """A video source cannot be opened, has broken or has stalled.

    Attributes:
        code: What is wrong, for programs.
    """

    def __init__(self, message: str, code: SourceErrorCode = SourceErrorCode.OTHER) -> None:
        super().__init__(message)
        self.code = code


class SinkError(SsaStreamError, OSError):
    """An output cannot be created or written."""


class IncompleteInputError(SsaStreamError):
    """What came in was incomplete, and the user asked for that to be an error."""


class MissingExtraError(SsaStreamError, ImportError):
    """An optional part of the package is needed but not installed."""


class MessageError(SsaStreamError):
    """A message from the wire is malformed, too large or of an unknown version."""


class TransportError(SsaStreamError):
    """A peer cannot be reached or does not answer in time."""
