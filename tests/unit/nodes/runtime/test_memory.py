"""Memory of what has ended goes back to the system."""

import asyncio
import ctypes
import gc
import weakref
from collections.abc import Iterator

import pytest

from ssa_stream.nodes.runtime import memory


class _Circle:
    """An object that refers to itself."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture
def collector_off() -> Iterator[None]:
    """The collector does not run by itself, and looks at everything again afterwards."""
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


@pytest.mark.usefixtures("collector_off")
def test_settled_objects_are_not_looked_at_and_later_circles_are_found() -> None:
    """So that looking costs nothing however large the process is."""
    before = len(gc.get_objects())
    memory.settle()
    assert len(gc.get_objects()) < 1000 < before
    circle = weakref.ref(_Circle())
    assert circle() is not None
    memory.reclaim()
    assert circle() is None


@pytest.mark.usefixtures("collector_off")
async def test_free_pages_are_given_back_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the loop runs, not only when a session has ended."""
    trims, often = list[None](), asyncio.Event()

    def trim() -> None:
        """One more time."""
        trims.append(None)
        if len(trims) == 4:
            often.set()

    monkeypatch.setattr(memory, "_trim", trim)
    monkeypatch.setattr(memory, "TRIM_S", 0.0)
    memory.settle()
    assert len(trims) == 1
    async with asyncio.timeout(10):
        await often.wait()


def test_where_the_allocator_cannot_give_pages_back_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on systems without glibc."""

    def no_library(_: object) -> object:
        """As musl answers, which lacks the function."""
        return object()

    monkeypatch.setattr(ctypes, "CDLL", no_library)
    assert memory._allocator_trim()() is None
