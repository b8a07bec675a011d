"""The sender's slots: what is in use is never touched, what is lost comes back, sizes are found."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ssa_stream.errors import ConfigError, MessageError, TransportError
from ssa_stream.nodes.runtime.transport.segments import HEADER_BYTES
from ssa_stream.nodes.runtime.transport.shared_ring import NoRoomError, RingReader, SharedRing, Slot

KIB, MIB = 2**10, 2**20


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[SharedRing]:
    """With room for four slots of a quarter of a mebibyte."""
    ring = SharedRing("ssa-test-a-0-", MIB, folder=tmp_path)
    yield ring
    ring.close()
    assert list(tmp_path.iterdir()) == []


def _taken(ring: SharedRing, num_bytes: int = 256 * KIB, stream: str = "cam0", epoch: int = 0) -> Slot:
    slot = ring.take(num_bytes, stream, epoch)
    assert slot is not None
    return slot


def _name(slot: Slot) -> str:
    return slot.segment.path.name


def test_slot_given_back_is_used_again(ring: SharedRing, tmp_path: Path) -> None:
    """One slot is enough for one message at a time, and is mapped once."""
    reader = RingReader(tmp_path)
    for _ in range(10):
        slot = _taken(ring)
        segment, _ = reader.views(_name(slot), slot.generation, [(0, 8)])
        assert not slot.is_free
        segment.release(slot.generation)
        assert slot.is_free
    assert (ring.num_slots, ring.depth, len(reader)) == (1, 0, 1)


def test_ring_full_gives_nothing_until_one_is_given_back(ring: SharedRing) -> None:
    """Slots in use are left alone."""
    slots = [_taken(ring) for _ in range(4)]
    assert len({_name(slot) for slot in slots}) == 4
    assert ring.take(256 * KIB, "cam0", 0) is None
    slots[2].segment.release(slots[2].generation)
    assert _taken(ring) is slots[2]
    assert ring.take(1, "cam0", 0) is None


def test_newer_epoch_takes_lost_slots_back_when_needed(ring: SharedRing, tmp_path: Path) -> None:
    """Its reader may be dead, or wake up and notice."""
    reader = RingReader(tmp_path)
    lost = [_taken(ring, epoch=1) for _ in range(3)]
    views = [reader.views(_name(slot), slot.generation, [(0, 8)]) for slot in lost]
    generations = [slot.generation for slot in lost]
    assert _taken(ring, epoch=2) not in lost  # there was room for one more
    again = _taken(ring, epoch=2)
    assert again in lost
    woken = views[lost.index(again)][0]
    assert woken.generation != generations[lost.index(again)]
    woken.release(generations[lost.index(again)])
    assert not again.is_free


def test_newer_epoch_leaves_other_streams_alone(ring: SharedRing) -> None:
    """Their receivers live."""
    for _ in range(4):
        _taken(ring, stream="cam1", epoch=1)
    assert ring.take(256 * KIB, "cam0", 5) is None


def test_older_epoch_does_not_take_from_a_newer_one(ring: SharedRing) -> None:
    """A message that was late in its node is not newer."""
    for _ in range(4):
        _taken(ring, epoch=2)
    assert ring.take(256 * KIB, "cam0", 1) is None


def test_message_that_waits_for_a_lost_slot_cannot_be_read(ring: SharedRing, tmp_path: Path) -> None:
    """It lay in a queue while its memory was used again."""
    slots = [_taken(ring, epoch=0) for _ in range(4)]
    generation = slots[0].generation
    _taken(ring, epoch=1)
    with pytest.raises(MessageError, match="was used again before its message came"):
        RingReader(tmp_path).views(_name(slots[0]), generation, [(0, 8)])


def test_larger_message_replaces_small_slots(ring: SharedRing, tmp_path: Path) -> None:
    """The ring finds the sizes that are needed and keeps within its limit; readers let old files go."""
    reader = RingReader(tmp_path)
    for slot in [_taken(ring) for _ in range(4)]:
        reader.views(_name(slot), slot.generation, [(0, 8)])
        slot.abandon()
    large = _taken(ring, 700 * KIB)
    reader.views(_name(large), large.generation, [(0, 700 * KIB)])
    assert ring.num_bytes <= MIB
    assert {path.name for path in tmp_path.iterdir()} == {_name(slot) for slot in ring._slots}
    assert len(reader) == ring.num_slots
    large.abandon()
    assert _taken(ring, 700 * KIB) is large


def test_larger_message_waits_while_small_slots_are_in_use(ring: SharedRing) -> None:
    """It does not push them out."""
    for _ in range(4):
        _taken(ring)
    assert ring.take(700 * KIB, "cam0", 0) is None
    assert ring.take(700 * KIB, "cam0", 1) is not None  # of a newer epoch: they are lost


def test_message_larger_than_the_ring_never_fits(ring: SharedRing) -> None:
    """Waiting would be for ever."""
    with pytest.raises(NoRoomError, match=r"does not fit into the ring of 1048576: raise flow\.ring_mib"):
        ring.take(2 * MIB, "cam0", 0)


def test_folder_without_room_is_said(tmp_path: Path) -> None:
    """A container has 64 MiB unless told; later a lack of memory would end the process."""
    room = 9 * MIB
    ring = SharedRing("ssa-test-a-0-", 100 * MIB, folder=tmp_path, free=lambda _: room)
    slot = _taken(ring, 512 * KIB)
    room = 8 * MIB
    with pytest.raises(NoRoomError, match="has 8388608 bytes left; a slot of 524288 bytes does not fit"):
        ring.take(512 * KIB, "cam0", 0)
    slot.abandon()
    assert _taken(ring, 512 * KIB) is slot
    ring.close()


def test_folder_without_room_free_slots_make_some(tmp_path: Path) -> None:
    """Small ones that nobody uses give their memory to the large one."""

    def free(folder: Path) -> int:
        used = sum(path.stat().st_size for path in folder.iterdir())
        return 9 * MIB - used

    ring = SharedRing("ssa-test-a-0-", 100 * MIB, folder=tmp_path, free=free)
    for slot in [_taken(ring, 256 * KIB) for _ in range(3)]:
        slot.abandon()
    assert _taken(ring, 700 * KIB).segment.capacity >= 700 * KIB
    assert ring.num_slots == 1
    ring.close()


def test_folder_that_refuses_a_file_is_said(tmp_path: Path) -> None:
    """Whatever the system's reason."""
    ring = SharedRing("ssa-test-a-0-", MIB, folder=tmp_path / "gone", free=lambda _: 2**40)
    with pytest.raises(NoRoomError, match="cannot be made"):
        ring.take(100, "cam0", 0)


@pytest.mark.parametrize("place", [(-64, 64), (1, 8), (0, 2**40), (2**62, 1), (0, -1)], ids=str)
def test_place_outside_of_the_memory_is_refused(ring: SharedRing, tmp_path: Path, place: tuple[int, int]) -> None:
    """A damaged message reads nothing that is not there."""
    slot = _taken(ring)
    with pytest.raises(MessageError, match="expected it within, at a multiple of 64"):
        RingReader(tmp_path).views(_name(slot), slot.generation, [place])


def test_ring_closed_leaves_no_file_and_sends_no_more(ring: SharedRing, tmp_path: Path) -> None:
    """Readers may finish what they read."""
    slot = _taken(ring)
    slot.segment.view(0, 1)[:] = b"x"
    segment, (view,) = RingReader(tmp_path).views(_name(slot), slot.generation, [(0, 1)])
    ring.close()
    ring.close()
    assert list(tmp_path.iterdir()) == []
    assert (bytes(view), segment.generation) == (b"x", slot.generation)
    with pytest.raises(TransportError, match="closed"):
        ring.take(1, "cam0", 0)


def test_ring_and_reader_let_go_of_all_memory(tmp_path: Path) -> None:
    """No map and no file descriptor stays."""

    def held() -> tuple[int, int]:
        maps = Path("/proc/self/maps").read_text()
        return maps.count(str(tmp_path)), len(list(Path("/proc/self/fd").iterdir()))

    before = held()
    ring, reader = SharedRing("ssa-test-a-0-", MIB, folder=tmp_path), RingReader(tmp_path)
    for _ in range(3):
        slots = [_taken(ring, size * KIB) for size in (100, 200, 600)]
        for slot in slots:
            reader.views(_name(slot), slot.generation, [(0, 8)])
            slot.abandon()
    assert held() > before
    ring.close()
    reader.close()
    del slots, slot
    assert held() == before


def test_ring_without_room_for_anything_is_refused(tmp_path: Path) -> None:
    """A mistake of units."""
    with pytest.raises(ConfigError, match="ring of 256 bytes"):
        SharedRing("ssa-test-a-0-", 256, folder=tmp_path)


class RingMachine(RuleBasedStateMachine):
    """Any order of taking, giving back, dying and going on: the content of a live slot stays."""

    @initialize(folder=st.just(None))
    def begin(self, folder: None) -> None:
        """An empty ring."""
        import tempfile

        self.holder = tempfile.TemporaryDirectory()
        self.folder = Path(self.holder.name)
        self.ring = SharedRing("ssa-test-a-0-", MIB, folder=self.folder)
        self.epochs = {"a": 0, "b": 0}
        self.live: list[tuple[Slot, int, str, int, bytes]] = []
        self.count = 0

    @rule(stream=st.sampled_from("ab"), num_bytes=st.integers(1, 1100 * KIB))
    def send(self, stream: str, num_bytes: int) -> None:
        """Take a slot and fill it."""
        try:
            slot = self.ring.take(num_bytes, stream, self.epochs[stream])
        except NoRoomError:
            assert num_bytes > MIB * 3 // 4
            return
        if slot is None:
            return
        self.count += 1
        content = self.count.to_bytes(8, "little")
        assert slot.segment.capacity >= num_bytes
        slot.segment.view(0, min(8, num_bytes))[:] = content[: min(8, num_bytes)]
        self.live = [item for item in self.live if item[0] is not slot]
        self.live.append((slot, slot.generation, stream, self.epochs[stream], content[: min(8, num_bytes)]))

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        """A receiver is done."""
        item = data.draw(st.sampled_from(self.live))
        item[0].segment.release(item[1])
        self.live.remove(item)

    @rule(stream=st.sampled_from("ab"))
    def lose_receivers(self, stream: str) -> None:
        """A node was lost: what was sent of the stream is forgotten."""
        self.epochs[stream] += 1

    @invariant()
    def content_of_live_slots_is_untouched(self) -> None:
        """Of the present epochs."""
        for slot, generation, stream, epoch, content in self.live:
            if epoch == self.epochs[stream]:
                assert slot.segment.generation == generation
                assert bytes(slot.segment.view(0, len(content))) == content

    @invariant()
    def memory_is_bounded(self) -> None:
        """By what was allowed, and files are those of the slots."""
        assert self.ring.num_bytes <= MIB
        sizes = [path.stat().st_size - HEADER_BYTES for path in self.folder.iterdir()]
        assert sum(sizes) == self.ring.num_bytes

    def teardown(self) -> None:
        """Nothing is left."""
        if hasattr(self, "ring"):
            self.ring.close()
            assert list(self.folder.iterdir()) == []
            self.holder.cleanup()


RingMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestRing = RingMachine.TestCase
