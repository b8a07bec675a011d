"""Shared memory of a sender that its receivers read in place."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from ssa_stream.errors import ConfigError, MessageError, TransportError
from ssa_stream.nodes.runtime.transport.segments import ALIGNMENT, HEADER_BYTES, Segment, free_bytes, memory_folder

__all__ = ["Manifest", "NoRoomError", "Place", "RingReader", "SharedRing", "Slot"]

Place = tuple[int, int]
"""Offset and length within a file of shared memory."""


class Manifest(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where the buffers of a message are.

    Attributes:
        segment: File with those that are in shared memory; empty if none is.
        generation: Of the content of that file.
        places: One per buffer; None for one that is a part of the message.
    """

    segment: str
    generation: int
    places: tuple[Place | None, ...]

    def encode(self) -> bytes:
        """As it travels."""
        return _ENCODER.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> "Manifest":
        """Read one.

        Raises:
            MessageError: It is none.
        """
        try:
            return _DECODER.decode(data)
        except msgspec.MsgspecError as error:
            raise MessageError(f"manifest of {len(data)} bytes cannot be read: {error}") from error

    @property
    def shared(self) -> list[Place]:
        """Places of the buffers that are in shared memory."""
        return [place for place in self.places if place is not None]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Manifest)


_MARGIN_BYTES = 8 * 2**20
"""Left to others in the folder."""
_MIN_CAPACITY = 2**16


class NoRoomError(TransportError):
    """The folder has no room for a slot, or the ring is too small for the message at any time."""


class Slot:
    """Memory for the tensors of one message.

    Attributes:
        segment: Where it is.
        generation: Of what it holds now.
        stream: Whose frame it holds.
        epoch: Of that frame.
    """

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.generation = 0
        self.stream = ""
        self.epoch = 0

    @property
    def is_free(self) -> bool:
        """Whether its receiver has given it back, or it has never been used."""
        return self.segment.released == self.generation

    def take(self, stream: str, epoch: int) -> None:
        """Begin a new content. Whoever still reads the old one can tell from now on."""
        self.generation += 1
        self.segment.generation = self.generation
        self.stream, self.epoch = stream, epoch

    def abandon(self) -> None:
        """Free it again: its content was not sent."""
        self.segment.release(self.generation)

    def retire(self) -> None:
        """Remove its file for ever. Readers that have it mapped can tell by the generation."""
        self.generation += 1
        self.segment.generation = self.generation
        self.segment.remove()


class SharedRing:
    """Slots of shared memory, each holding the tensors of one message until its receiver gives it back.

    A slot in use is never written to, but for one case: its receiver was lost and will never give it back. Then its
    stream has gone on to a newer epoch. Such slots are taken back when there are no others.

    Slots that are too small make way for larger ones, so the ring finds the sizes that its messages need.

    Args:
        prefix: Names begin so; a number follows.
        ring_bytes: Most memory that all slots take together.
        folder: Where files are made; None for `memory_folder()`.
        free: Tells the room left there.
    """

    def __init__(
        self, prefix: str, ring_bytes: int, *, folder: Path | None = None, free: Callable[[Path], int] = free_bytes
    ) -> None:
        if ring_bytes < _MIN_CAPACITY:
            raise ConfigError(f"ring of {ring_bytes} bytes; expected at least {_MIN_CAPACITY}")
        self._prefix = prefix
        self._ring_bytes = ring_bytes
        self._folder = folder or memory_folder()
        self._free_bytes = free
        self._slots: list[Slot] = []
        self._next_number = 0
        self._epochs: dict[str, int] = {}
        self._is_closed = False

    def take(self, num_bytes: int, stream: str, epoch: int) -> Slot | None:
        """A slot for a message; None if all are in use: try again later.

        Args:
            num_bytes: What it must hold.
            stream: Whose frame the message is about.
            epoch: Of the frame. A newer one than before frees the stream's older slots, should they be needed.
        Raises:
            NoRoomError: Waiting is of no use.
        """
        if self._is_closed:
            raise TransportError("the transport is closed; nothing can be sent any more")
        self._epochs[stream] = max(epoch, self._epochs.get(stream, epoch))
        capacity = _rounded(num_bytes)
        if capacity > self._ring_bytes:
            raise NoRoomError(
                f"a message of {num_bytes} bytes does not fit into the ring of {self._ring_bytes}: raise flow.ring_mib"
            )
        slot = self._find(num_bytes, capacity)
        if slot is not None:
            slot.take(stream, epoch)
        return slot

    @property
    def num_bytes(self) -> int:
        """Memory that all slots take."""
        return sum(slot.segment.capacity for slot in self._slots)

    @property
    def depth(self) -> int:
        """Slots in use."""
        return sum(not slot.is_free for slot in self._slots)

    @property
    def num_slots(self) -> int:
        """Slots that there are."""
        return len(self._slots)

    def close(self) -> None:
        """Remove all files. Receivers may go on reading what they have mapped. May be called again."""
        self._is_closed = True
        for slot in self._slots:
            slot.segment.remove()
        self._slots.clear()

    def _find(self, num_bytes: int, capacity: int) -> Slot | None:
        """A free slot; else a new one; else one in place of others that are free or lost."""
        # Somebody has removed its file: who has it mapped reads it to the end, others could not open it.
        self._retire([slot for slot in self._slots if slot.is_free and not slot.segment.is_listed()])
        free = [slot for slot in self._slots if slot.is_free]
        lost = [slot for slot in self._slots if not slot.is_free and slot.epoch < self._epochs[slot.stream]]
        if fitting := [slot for slot in free if slot.segment.capacity >= num_bytes]:
            return _smallest(fitting)
        if self.num_bytes + capacity <= self._ring_bytes:
            try:
                return self._make(capacity)
            except NoRoomError:
                self._retire(free)
                return self._make(capacity)
        if made := self._replace(free, capacity):
            return made
        if fitting := [slot for slot in lost if slot.segment.capacity >= num_bytes]:
            return _smallest(fitting)
        return self._replace(free + lost, capacity)

    def _replace(self, slots: list[Slot], capacity: int) -> Slot | None:
        """A new slot in place of as few of these as make room for it; None if all do not."""
        exceeded = self.num_bytes + capacity - self._ring_bytes
        chosen: list[Slot] = []
        for slot in sorted(slots, key=lambda slot: slot.segment.capacity, reverse=True):
            if exceeded > 0:
                chosen.append(slot)
                exceeded -= slot.segment.capacity
        if exceeded > 0:
            return None
        self._retire(chosen)
        return self._make(capacity)

    def _retire(self, slots: list[Slot]) -> None:
        for slot in slots:
            slot.retire()
            self._slots.remove(slot)

    def _make(self, capacity: int) -> Slot:
        room = self._free_bytes(self._folder)
        if capacity + HEADER_BYTES + _MARGIN_BYTES > room:
            raise NoRoomError(f"{self._folder} has {room} bytes left; a slot of {capacity} bytes does not fit")
        path = self._folder / f"{self._prefix}{self._next_number}"
        try:
            segment = Segment.create(path, capacity)
        except OSError as error:
            raise NoRoomError(f"shared memory {path} of {capacity} bytes cannot be made: {error}") from error
        self._next_number += 1
        slot = Slot(segment)
        self._slots.append(slot)
        return slot


class RingReader:
    """Maps the slots of all senders, each file once.

    Args:
        folder: Where the files are; None for `memory_folder()`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or memory_folder()
        self._segments: dict[str, Segment] = {}

    def segment(self, name: str) -> Segment:
        """The file of this name. A new one is an occasion to let go of those that are not there any more.

        Raises:
            MessageError: It is gone, or not one of ours.
        """
        if name not in self._segments:
            segment = Segment.open(self._folder, name)
            self._segments = {known: item for known, item in self._segments.items() if item.is_listed()}
            self._segments[name] = segment
        return self._segments[name]

    def views(self, name: str, generation: int, places: list[tuple[int, int]]) -> tuple[Segment, list[memoryview]]:
        """Tensors of a message, in place.

        Args:
            name: Of the file.
            generation: That the message speaks of.
            places: Offset and length of each.
        Raises:
            MessageError: They are not there, or not any more.
        """
        segment = self.segment(name)
        if segment.generation != generation:
            raise MessageError(f"shared memory {name} was used again before its message came")
        for offset, length in places:
            if offset < 0 or length < 0 or offset % ALIGNMENT or offset + length > segment.capacity:
                raise MessageError(
                    f"tensor of {length} bytes at {offset} of shared memory {name} with {segment.capacity}; expected "
                    f"it within, at a multiple of {ALIGNMENT}"
                )
        return segment, [segment.view(offset, length) for offset, length in places]

    def __len__(self) -> int:
        return len(self._segments)

    def close(self) -> None:
        """Let go of all files. Tensors in them stay readable as long as something holds them."""
        self._segments.clear()


def _smallest(slots: list[Slot]) -> Slot:
    return min(slots, key=lambda slot: slot.segment.capacity)


def _rounded(num_bytes: int) -> int:
    """At most a quarter more, so that messages of nearly the same length share slots."""
    step = max(_MIN_CAPACITY, 1 << max(0, num_bytes.bit_length() - 3))
    return max(1, -(-num_bytes // step)) * step
