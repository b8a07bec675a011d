"""Field types of headers, each with the limits that every reader enforces."""

from typing import Annotated

from msgspec import Meta

__all__ = [
    "MAX_HISTORY",
    "MAX_LAYERS",
    "MAX_LISTED",
    "MAX_PROMPTS",
    "MAX_PROMPT_CHARACTERS",
    "MAX_SIDE_PX",
    "MAX_TRACKS",
    "BufferIndex",
    "ClockName",
    "Edge",
    "Keyword",
    "Name",
    "Nanoseconds",
    "Note",
    "PixelAspect",
    "Positive",
    "PromptText",
    "Seconds",
    "Share",
    "Side",
    "Size",
    "Whole",
]

_INT64_MAX = 2**63 - 1
MAX_SIDE_PX = 32_768
MAX_TRACKS = 512
"""Tracks in one mask message."""
MAX_LAYERS = 32
"""Label maps in one mask message."""
MAX_PROMPTS = 64
"""Prompts of one stream."""
MAX_PROMPT_CHARACTERS = 1000
"""Characters of a sentence."""
MAX_HISTORY = 200
"""Earlier pictures in one message, and rows in one message of mask features; each is a buffer of its own."""
MAX_LISTED = 256
"""Entries of any other list or map."""

Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]*\Z", max_length=64)]
"""Name of a stream, prompt, node, model or request; fits into a topic."""
Keyword = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]*\Z", max_length=32)]
"""Value of an open enumeration: later versions may bring others, which a reader must accept."""
ClockName = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]*:[A-Za-z0-9_.-]+\Z", max_length=97)]
"""Kind of clock and whose it is. Two times may be subtracted only if their clocks have the same name."""
Note = Annotated[str, Meta(max_length=1000)]
"""Text for people."""
PromptText = Annotated[str, Meta(min_length=1, max_length=MAX_PROMPT_CHARACTERS)]
"""A sentence; `expect_plain_text` of `identity.py` says what may not be in it."""
Whole = Annotated[int, Meta(ge=0, le=_INT64_MAX)]
Positive = Annotated[int, Meta(ge=1, le=_INT64_MAX)]
Nanoseconds = Annotated[int, Meta(ge=-_INT64_MAX, le=_INT64_MAX)]
Seconds = Annotated[float, Meta(ge=-1e12, le=1e12)]
"""Finite by its limits."""
Share = Annotated[float, Meta(ge=0, le=1)]
BufferIndex = Annotated[int, Meta(ge=0, le=4095)]
"""Which of the buffers behind the header; 0 is the first one."""
Side = Annotated[int, Meta(ge=1, le=MAX_SIDE_PX)]
Edge = Annotated[int, Meta(ge=0, le=MAX_SIDE_PX)]
Size = tuple[Side, Side]
"""Height and width in pixels."""
PixelAspect = tuple[Annotated[int, Meta(ge=1, le=2**31 - 1)], Annotated[int, Meta(ge=1, le=2**31 - 1)]]
"""Width of a pixel and its height, as whole numbers."""
