"""From which frame on a change of prompts holds."""

import msgspec
import pytest

from ssa_stream.protocols import AppliesFrom
from tests.unit.protocols.samples import FRAME


@pytest.mark.parametrize(
    ("epoch", "seq", "is_covered"),
    [(2, 42, True), (2, 43, True), (3, 0, True), (2, 41, False), (1, 99, False)],
    ids=["that_one", "next", "next_epoch", "before", "earlier_epoch"],
)
def test_change_covers_frames_by_epoch_then_number(epoch: int, seq: int, is_covered: bool) -> None:
    """Also where its number in the session is not known."""
    frame = msgspec.structs.replace(FRAME, epoch=epoch, seq=seq)
    for index in (None, 142):
        assert AppliesFrom(epoch=2, seq=42, index=index).covers(frame) is is_covered
