"""Headers of pictures."""

import msgspec
import pytest

from ssa_stream.errors import MessageError
from ssa_stream.nodes.gateway.pictures.wire import (
    LENGTH_BYTES,
    MAX_HEADER_BYTES,
    PictureHeader,
    header_length,
    pack_header,
    unpack_header,
)

HEADER = PictureHeader(height=2, width=3, stream="cam", epoch=1, seq=2, t=0.5, t_receive_ns=9, pts=45_000)


def test_wire_header_comes_back() -> None:
    """And says how many bytes of pixels follow."""
    data = pack_header(HEADER)
    length = header_length(data[:LENGTH_BYTES])
    assert unpack_header(data[LENGTH_BYTES:]) == HEADER
    assert (length, HEADER.image_bytes) == (len(data) - LENGTH_BYTES, 18)


def test_wire_damaged_header_raises() -> None:
    """Sizes are checked before memory is taken."""
    with pytest.raises(MessageError, match="at most"):
        header_length((MAX_HEADER_BYTES + 1).to_bytes(4, "big"))
    with pytest.raises(MessageError, match="cannot be read"):
        unpack_header(b"\xc1")
    with pytest.raises(MessageError, match="pixels"):
        unpack_header(msgspec.msgpack.encode(msgspec.structs.replace(HEADER, height=0)))
