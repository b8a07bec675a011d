"""One slot for each key."""

import threading

from ssa_stream.client.newest import NewestPerKey, Taken


def test_newer_item_takes_the_place_of_the_older_one() -> None:
    """And tells how many it replaced."""
    box: NewestPerKey[str] = NewestPerKey(8)
    for item in ("old", "newer", "newest"):
        box.put("a", item)
    assert box.take() == Taken("newest", 2)
    assert box.take() is None


def test_busy_key_starves_no_other() -> None:
    """Keys are taken in turn, and replacing keeps the place."""
    box: NewestPerKey[int] = NewestPerKey(8)
    box.put("a", 1)
    box.put("b", 2)
    box.put("a", 3)
    first = box.take()
    box.put("a", 4)
    second = box.take()
    assert (first, second) == (Taken(3, 1), Taken(2, 0))


def test_more_keys_than_fit_push_out_the_oldest() -> None:
    """A flood of names takes no memory."""
    box: NewestPerKey[int] = NewestPerKey(3)
    for number in range(100):
        box.put(number, number)
    assert len(box) == 3
    assert box.take() == Taken(97, 0)


def test_take_wakes_when_something_is_put() -> None:
    """By another thread."""
    box: NewestPerKey[str] = NewestPerKey(1)
    thread = threading.Thread(target=box.put, args=("a", "item"))
    thread.start()
    assert box.take(20.0) == Taken("item", 0)
    thread.join()


def test_closed_one_lets_nobody_wait() -> None:
    """However long the wait was to be."""
    box: NewestPerKey[str] = NewestPerKey(1)
    taken: list[Taken[str] | None] = []
    thread = threading.Thread(target=lambda: taken.append(box.take(None)))
    thread.start()
    box.close()
    thread.join(20.0)
    assert taken == [None]


def test_on_put_is_called_by_who_puts() -> None:
    """So that an event loop can be woken."""
    calls: list[str] = []
    box: NewestPerKey[str] = NewestPerKey(1, lambda: calls.append("put"))
    box.put("a", "item")
    assert calls == ["put"]
