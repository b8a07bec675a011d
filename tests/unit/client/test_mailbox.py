"""One slot for each key."""

import threading

from ssa_stream.client.mailbox import Mail, Mailbox


def test_newer_item_takes_the_place_of_the_older_one() -> None:
    """And tells how many it replaced."""
    box: Mailbox[str] = Mailbox(8)
    for item in ("old", "newer", "newest"):
        box.put("a", item)
    assert box.take() == Mail("newest", 2)
    assert box.take() is None


def test_busy_key_starves_no_other() -> None:
    """Keys are taken in turn, and replacing keeps the place."""
    box: Mailbox[int] = Mailbox(8)
    box.put("a", 1)
    box.put("b", 2)
    box.put("a", 3)
    first = box.take()
    box.put("a", 4)
    second = box.take()
    assert (first, second) == (Mail(3, 1), Mail(2, 0))


def test_more_keys_than_fit_push_out_the_oldest() -> None:
    """A flood of names takes no memory."""
    box: Mailbox[int] = Mailbox(3)
    for number in range(100):
        box.put(number, number)
    assert len(box) == 3
    assert box.take() == Mail(97, 0)


def test_take_wakes_when_something_is_put() -> None:
    """By another thread."""
    box: Mailbox[str] = Mailbox(1)
    thread = threading.Thread(target=box.put, args=("a", "item"))
    thread.start()
    assert box.take(20.0) == Mail("item", 0)
    thread.join()


def test_closed_mailbox_lets_nobody_wait() -> None:
    """However long the wait was to be."""
    box: Mailbox[str] = Mailbox(1)
    taken: list[Mail[str] | None] = []
    thread = threading.Thread(target=lambda: taken.append(box.take(None)))
    thread.start()
    box.close()
    thread.join(20.0)
    assert taken == [None]


def test_on_put_is_called_by_who_puts() -> None:
    """So that an event loop can be woken."""
    calls: list[str] = []
    box: Mailbox[str] = Mailbox(1, lambda: calls.append("put"))
    box.put("a", "item")
    assert calls == ["put"]
