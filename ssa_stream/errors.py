"""Every error that ssa_stream raises on purpose.

    SsaStreamError
    ├── ConfigError        (ValueError)    a configuration or an argument is wrong
    ├── CheckpointError    (ValueError)    a weight file does not fit what it is loaded into
    ├── ShapeError         (ValueError)    an array or tensor has the wrong shape, dtype or range
    ├── SessionStateError  (RuntimeError)  a call that the stream's present state does not allow
    ├── SourceError        (OSError)       a video source cannot be opened, broke or stalled
    ├── SinkError          (OSError)       an output cannot be written
    ├── MissingExtraError  (ImportError)   an optional part of the package is not installed
    ├── MessageError                       a message from the wire is malformed
    └── TransportError                     a peer cannot be reached or does not answer

Messages say what came, what was expected and what to do.
"""

__all__ = [
    "CheckpointError",
    "ConfigError",
    "MessageError",
    "MissingExtraError",
    "SessionStateError",
    "ShapeError",
    "SinkError",
    "SourceError",
    "SsaStreamError",
    "TransportError",
]


class SsaStreamError(Exception):
    """Base of all errors of this package."""


class ConfigError(SsaStreamError, ValueError):
    """A configuration value or an argument is wrong."""


class CheckpointError(SsaStreamError, ValueError):
    """A weight file is unreadable or does not fit the model it is loaded into."""


class ShapeError(SsaStreamError, ValueError):
    """An array or tensor has the wrong shape, dtype or value range."""


class SessionStateError(SsaStreamError, RuntimeError):
    """The session's present state does not allow this call."""


class SourceError(SsaStreamError, OSError):
    """A video source cannot be opened, has broken or has stalled."""


class SinkError(SsaStreamError, OSError):
    """An output cannot be created or written."""


class MissingExtraError(SsaStreamError, ImportError):
    """An optional part of the package is needed but not installed."""


class MessageError(SsaStreamError):
    """A message from the wire is malformed, too large or of an unknown version."""


class TransportError(SsaStreamError):
    """A peer cannot be reached or does not answer in time."""
