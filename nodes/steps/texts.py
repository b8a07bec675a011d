"""Text features of the sentences that were used last."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["SentenceCache"]

T = TypeVar("T")


class SentenceCache(Generic[T]):
    """Keeps what was made of a sentence; the one that was not used for longest goes first.

    Args:
        encode: Makes it. What it raises is passed on, and nothing is kept.
        capacity: Sentences that are kept, at least 1.
    """

    def __init__(self, encode: Callable[[str], T], capacity: int = 256) -> None:
        self._encode = encode
        self._capacity = capacity
        self._kept: OrderedDict[str, T] = OrderedDict()

    def __getitem__(self, text: str) -> T:
        """What was made of the sentence, now or before."""
        if text not in self._kept:
            self._kept[text] = self._encode(text)
            if len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        self._kept.move_to_end(text)
        return self._kept[text]

    def __len__(self) -> int:
        return len(self._kept)
