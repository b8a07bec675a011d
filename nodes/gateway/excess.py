"""What a peer does too much of."""

from typing import NamedTuple

__all__ = ["Excess"]


class Excess(NamedTuple):
    """A limit that a peer has come to, which ends its session.

    Attributes:
        limit: Which one, as a keyword; metrics count it as `limit_<keyword>`.
        text: For people: what came, what is allowed.
    """

    limit: str
    text: str
