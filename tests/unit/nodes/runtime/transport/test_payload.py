"""Tensors to bytes and back: the same bits, the same order in memory."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ssa_stream.errors import MessageError
from ssa_stream.nodes.runtime.transport.payload import OutgoingPayload
from ssa_stream.nodes.runtime.transport.tensor_bytes import copy_bytes, host_bytes, tensor_in
from ssa_stream.protocols import Finished
from tests.support.frame_messages import bits, picture

DTYPES = [torch.uint8, torch.bool, torch.int32, torch.int64, torch.float16, torch.bfloat16, torch.float32]


def _random(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Any bits, NaN and denormals among them."""
    generator = torch.Generator().manual_seed(len(shape) + sum(shape))
    if dtype is torch.bool:
        return torch.randint(0, 2, shape, generator=generator).bool()
    size = torch.empty(0, dtype=dtype).element_size()
    return torch.randint(0, 256, (*shape, size), dtype=torch.uint8, generator=generator).view(dtype).reshape(shape)


def _sent(tensor: Tensor) -> Tensor:
    """What comes out of memory that the tensor was copied to."""
    payload = OutgoingPayload()
    spec = payload.add(tensor)
    memory = torch.zeros(spec.nbytes + 64, dtype=torch.uint8).numpy().data[: spec.nbytes]
    assert host_bytes(payload.items[0]).nbytes == spec.nbytes
    copy_bytes(payload.items[0], memory)
    received = tensor_in(spec, memory)
    if spec.nbytes:
        assert received.untyped_storage().data_ptr() == torch.frombuffer(memory, dtype=torch.uint8).data_ptr()
    return received


ORDERS = {
    "row major": lambda x: x,
    "channels last": lambda x: x.movedim(-3, -1).contiguous().movedim(-1, -3),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@settings(max_examples=20, deadline=None)
@given(shape=st.lists(st.integers(0, 4), min_size=3, max_size=5).map(tuple))
def test_tensor_of_any_shape_keeps_bits_and_strides(shape: tuple[int, ...], dtype: torch.dtype, order: str) -> None:
    """Whatever axes have one entry or none."""
    tensor = ORDERS[order](_random(shape, dtype))
    received = _sent(tensor)
    assert bits(received) == bits(tensor)
    if 0 not in shape:
        assert received.stride() == tensor.stride()


@pytest.mark.parametrize("shape", [(), (0,), (7,), (2, 3)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensor_of_few_axes_keeps_bits(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Scalars and vectors too."""
    tensor = _random(shape, dtype)
    assert bits(_sent(tensor)) == bits(tensor)


@pytest.mark.parametrize("pixels", [(1, 1), (1, 5), (5, 1)], ids=str)
def test_tensor_that_is_both_orders_keeps_what_torch_calls_it(pixels: tuple[int, int]) -> None:
    """A map of one pixel can be read both ways; convolutions choose by its strides."""
    for given_format in (torch.contiguous_format, torch.channels_last):
        tensor = torch.rand(2, 8, *pixels).to(memory_format=given_format)
        received = _sent(tensor)
        assert received.stride() == tensor.stride()
        for asked in (torch.contiguous_format, torch.channels_last):
            assert received.is_contiguous(memory_format=asked) == tensor.is_contiguous(memory_format=asked)


def test_tensor_with_gaps_is_copied_in_its_order() -> None:
    """Half of the channels of a map that has channels last is still such a map."""
    whole = torch.rand(2, 8, 4, 6)
    for tensor in (whole[:, ::2], whole.to(memory_format=torch.channels_last)[:, :4], whole.transpose(2, 3)):
        received = _sent(tensor)
        assert bits(received) == bits(tensor)
    assert _sent(whole.to(memory_format=torch.channels_last)[:, :4]).is_contiguous(memory_format=torch.channels_last)
    assert _sent(whole[:, ::2]).is_contiguous()


def test_tensor_without_gaps_is_not_copied() -> None:
    """Rows of a batch among them."""
    batch = torch.rand(4, 8, 4, 6).to(memory_format=torch.channels_last)
    payload = OutgoingPayload()
    payload.add(batch)
    payload.add(batch[2])
    assert [item.data_ptr() for item in payload.items if isinstance(item, Tensor)] == [
        batch.data_ptr(),
        batch[2].data_ptr(),
    ]


def test_tensor_with_gradient_travels_without() -> None:
    """Messages do not carry graphs."""
    assert not _sent(torch.rand(3, requires_grad=True)).requires_grad


@pytest.mark.parametrize("offset", [1, 4, 32])
def test_tensor_at_an_odd_place_is_moved(offset: int) -> None:
    """Networks round by alignment; torch aligns to 64 bytes."""
    tensor = torch.arange(16, dtype=torch.float32)
    payload = OutgoingPayload()
    spec = payload.add(tensor)
    memory = torch.zeros(256, dtype=torch.uint8).numpy().data[offset : offset + 64]
    copy_bytes(payload.items[0], memory)
    received = tensor_in(spec, memory)
    assert received.data_ptr() % 64 == 0
    assert torch.equal(received, tensor)


def test_tensor_in_read_only_memory_is_moved_without_warning() -> None:
    """Warnings are errors here."""
    spec = OutgoingPayload().add(torch.zeros(4))
    assert torch.equal(tensor_in(spec, memoryview(bytes(16))), torch.zeros(4))


def test_array_travels_row_by_row() -> None:
    """One with gaps or of another order is copied; bits stay."""
    for array in (np.arange(24, dtype=np.int32).reshape(2, 3, 4), np.ones((4, 3), bool).T, np.float32(7).reshape(())):
        payload = OutgoingPayload()
        spec = payload.add_array(np.asarray(array))
        assert host_bytes(payload.items[0]).tobytes() == array.tobytes()
        assert spec.shape == array.shape


@pytest.mark.parametrize("array", [np.zeros(3, np.float64), np.zeros(3, ">f4"), np.zeros(3, "datetime64[s]")], ids=str)
def test_array_of_a_foreign_type_is_refused(array: np.ndarray) -> None:
    """With what to do."""
    with pytest.raises(MessageError, match="convert it"):
        OutgoingPayload().add_array(array)


def test_tensor_of_a_foreign_type_is_refused() -> None:
    """Complex numbers do not travel."""
    with pytest.raises(MessageError, match="tensor of complex64 cannot be sent; expected uint8, bool"):
        OutgoingPayload().add(torch.zeros(3, dtype=torch.complex64))


def test_message_that_does_not_name_its_tensors_is_refused() -> None:
    """Said where the mistake is made, not at the receiver."""
    message, payload = picture(np.zeros((4, 6, 3), np.uint8))
    payload.expect_named_by(message)
    with pytest.raises(MessageError, match=r"names image: buffer 0 of 72 bytes; its payload has tensors of \[\]"):
        OutgoingPayload().expect_named_by(message)
    payload.add_array(np.zeros(3, np.uint8))
    with pytest.raises(MessageError, match="add each tensor once"):
        payload.expect_named_by(message)
    with pytest.raises(MessageError, match="names no buffers"):
        payload.expect_named_by(Finished(node="masks-0", incarnation=0, stream="cam0", epoch=0, seq=0))
