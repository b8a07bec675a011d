"""A slot for the newest item."""

from ssa_stream.nodes.gateway.pictures.slot import NewestSlot


async def test_slot_newer_item_replaces_and_counts() -> None:
    """Who takes gets the newest, and the end after it was closed."""
    slot: NewestSlot[int] = NewestSlot()
    for number in range(3):
        slot.put(number)
    assert (await slot.take(), slot.overtaken) == (2, 2)
    slot.put(7)
    slot.close()
    assert (await slot.take(), await slot.take()) == (7, None)
