"""The clients that may connect, as the folder of keys says now, and as it said last while it cannot be read."""

import time
from typing import Final

from ssa_stream.keys import AllowedKey, FileMark, ServerKeys
from ssa_stream.nodes.broker.counters import Counters
from ssa_stream.nodes.runtime.descriptors import DescriptorReserve

__all__ = ["AllowedKeys"]

_TRUSTED_S: Final = 1.0
# A file system tells times apart that are a few milliseconds apart; a change within that is not seen.
_SETTLED_NS: Final = 100_000_000


class AllowedKeys:
    """Knows whose key it is without opening a file, as long as nothing has changed.

    A key counts only while the file that it was read from is there unchanged, which is looked up at every handshake
    without a descriptor. So nobody gets in who was removed, even while the folder cannot be read. A new client gets in
    as soon as it can.

    Args:
        keys: Of the graph.
        counters: Counts.
        reserve: Lends descriptors to read with.
    """

    def __init__(self, keys: ServerKeys, counters: Counters, reserve: DescriptorReserve) -> None:
        self._keys = keys
        self._counters = counters
        self._reserve = reserve
        self._read: dict[bytes, AllowedKey] = {}
        self._folder: FileMark | None = None
        self._read_s = 0.0

    def name_of(self, key: bytes) -> str | None:
        """Whose public key (Z85) it is; None if nobody's who may connect."""
        if self._is_valid(key):
            return self._read[key].name
        if self._is_out_of_date():
            self._read_folder()
        return self._read[key].name if self._is_valid(key) else None

    def _is_valid(self, key: bytes) -> bool:
        entry = self._read.get(key)
        return entry is not None and FileMark.of(entry.path) == entry.mark

    def _is_out_of_date(self) -> bool:
        mark = FileMark.of(self._keys.allowed_folder)
        is_settled = mark is not None and time.time_ns() - mark.changed_ns > _SETTLED_NS
        return not is_settled or mark != self._folder or time.monotonic() - self._read_s > _TRUSTED_S

    def _read_folder(self) -> None:
        mark = FileMark.of(self._keys.allowed_folder)
        try:
            self._read = self._reserve.spend(self._keys.read_allowed)
        except OSError as error:
            self._counters.passed_over("keys_unread", f"{error}; whoever was allowed before still is")
        else:
            self._folder, self._read_s = mark, time.monotonic()
