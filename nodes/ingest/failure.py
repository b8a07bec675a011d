"""What is wrong with a source, and what is done about it."""

from dataclasses import dataclass
from typing import Self

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.sources import SourceStatus

__all__ = ["NO_FAILURE", "SourceFailure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFailure:
    """As `SourceStatus` tells it, and as it is told of a source that does not recover by itself.

    Attributes:
        text: For people; empty if nothing is wrong.
        code: For programs; None if nothing is wrong.
        attempt: Attempts to connect since the last frame.
        retry_in_s: From now to the next one; None if none is waited for.
    """

    text: str = ""
    code: SourceErrorCode | None = None
    attempt: int = 0
    retry_in_s: float | None = None

    @classmethod
    def of_status(cls, status: SourceStatus) -> Self:
        """Of a source that has just told how it fares."""
        return cls(text=status.text, code=status.code, attempt=status.attempt, retry_in_s=status.retry_in_s)

    @classmethod
    def of_error(cls, error: Exception, attempt: int, retry_in_s: float | None = None) -> Self:
        """Of a source that broke."""
        code = error.code if isinstance(error, SourceError) else SourceErrorCode.OTHER
        return cls(text=str(error), code=code, attempt=attempt, retry_in_s=retry_in_s)


NO_FAILURE = SourceFailure()
