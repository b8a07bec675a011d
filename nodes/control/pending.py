"""Requests that were passed on and wait for an answer."""

from dataclasses import dataclass

__all__ = ["Pending", "PendingRequests"]


@dataclass(frozen=True, slots=True)
class Pending:
    """A request on its way.

    Attributes:
        client: How the socket calls who asked.
        request_id: As the client wrote it.
        stream: Which stream it is about.
        kind: Type of the request, for people.
        deadline_ns: When it has waited long enough.
    """

    client: bytes
    request_id: str
    stream: str
    kind: str
    deadline_ns: int


class PendingRequests:
    """A bounded number of requests, each under a number of its own: clients may choose the same ids."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: dict[str, Pending] = {}
        self._last_number = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, request: Pending) -> str | None:
        """The id under which the request is passed on; None if too many wait already."""
        if len(self._waiting) >= self._capacity:
            return None
        self._last_number += 1
        number = f"r{self._last_number}"
        self._waiting[number] = request
        return number

    def take(self, number: str, stream: str | None = None) -> Pending | None:
        """Whose answer it is; None if nobody waits for it, or the request was about another stream."""
        request = self._waiting.get(number)
        if request is None or (stream is not None and request.stream != stream):
            return None
        return self._waiting.pop(number)

    def expired(self, now_ns: int) -> list[Pending]:
        """Take out what has waited long enough."""
        return self._take_all([number for number, item in self._waiting.items() if item.deadline_ns <= now_ns])

    def of_stream(self, stream: str) -> list[Pending]:
        """Take out all that wait for one stream."""
        return self._take_all([number for number, item in self._waiting.items() if item.stream == stream])

    def _take_all(self, numbers: list[str]) -> list[Pending]:
        return [self._waiting.pop(number) for number in numbers]
