"""Links between processes: bits, memory that comes back, ends that are killed, messages that are damaged."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
import zmq
import zmq.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from torch import Tensor

from ssa_stream.errors import MessageError, SessionStateError, TransportError
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.transport.between_processes import ProcessTransport
from ssa_stream.nodes.runtime.transport.interface import Inlet
from ssa_stream.nodes.runtime.transport.received import ReceivedMessage
from ssa_stream.nodes.runtime.transport.segments import remove_segments, segment_prefix
from ssa_stream.protocols import Finished, MaskFeaturesMessage, encode
from tests.support.checkout import ROOT
from tests.support.frame_messages import bits, features, first_tensor, frame, mask_features, picture

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

PATIENCE_S = 60.0
MIB = 2**20
LARGE = (16, 64, 64)  # as float32 a quarter of a mebibyte
FINISHED = Finished(node="a", incarnation=0, stream="cam0", epoch=0, seq=0)

Make = Callable[..., ProcessTransport]


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """Short, as socket paths must be."""
    with tempfile.TemporaryDirectory(prefix="ssa-t") as folder:
        yield Path(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """In place of the system's shared memory, so that what is left can be seen."""
    return tmp_path


@pytest.fixture
async def make(run_dir: Path, folder: Path) -> AsyncIterator[Make]:
    """Makes transports of nodes; in the end they leave neither sockets nor memory."""
    context = zmq.asyncio.Context()
    made: list[ProcessTransport] = []

    def of(node: str, ring_bytes: int = MIB, **options: Any) -> ProcessTransport:
        made.append(ProcessTransport(context, run_dir, node, 0, ring_bytes, folder=folder, **options))
        return made[-1]

    yield of
    for transport in made:
        transport.close()
        transport.close()
    context.term()
    assert _listing(folder) == _listing(run_dir) == []


@pytest.fixture
def start_peer(run_dir: Path, folder: Path) -> Iterator[Callable[[str, int], subprocess.Popen[bytes]]]:
    """Starts node `b` in a process of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(behaviour: str, incarnation: int = 0) -> subprocess.Popen[bytes]:
        script = ROOT / "tests" / "support" / "ring_peer.py"
        command = [sys.executable, str(script), str(run_dir), str(incarnation), str(folder), behaviour]
        started.append(subprocess.Popen(command))
        return started[-1]

    yield start
    for peer in started:
        peer.kill()
        peer.wait()
    for path in run_dir.iterdir():  # sockets of those that were killed
        path.unlink()
    remove_segments(segment_prefix(run_dir), node="b", folder=folder)


def _listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _maps(folder: Path) -> list[tuple[int, int]]:
    """Where files of a folder are mapped."""
    lines = [line for line in Path("/proc/self/maps").read_text().splitlines() if str(folder) in line]
    ends = [line.split()[0].split("-") for line in lines]
    return [(int(begin, 16), int(end, 16)) for begin, end in ends]


async def _next(inlet: Inlet) -> ReceivedMessage:
    received = await inlet.receive(PATIENCE_S)
    assert received is not None
    return received


def _any_tensors() -> list[Tensor]:
    """Every dtype, both orders, small and large."""
    generator = torch.Generator().manual_seed(0)
    tensors = []
    for dtype in (torch.uint8, torch.bool, torch.int32, torch.int64, torch.float16, torch.bfloat16, torch.float32):
        for shape in ((3, 5, 7), LARGE):
            values = torch.randint(0, 2 if dtype is torch.bool else 256, shape, generator=generator)
            tensors.append(values.to(dtype))
            tensors.append(values.to(dtype).movedim(-3, -1).contiguous().movedim(-1, -3))
    return tensors


async def test_tensors_come_back_from_another_process_with_equal_bits(
    make: Make, start_peer: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    """Through the rings of both, again and again, in slots that are used again."""
    transport = make("a", 8 * MIB)
    inlet, outlet = transport.inlet("a"), transport.outlet(["b"])
    peer = start_peer("echo")
    sent = _any_tensors()
    for seq in range(10):
        message, payload = mask_features(sent, frame(seq))
        assert await outlet.send(message, payload, timeout_s=PATIENCE_S)
        with await _next(inlet) as received:
            assert received.message == message
            tensors = [received.tensor(spec) for spec in message.mask_features]
            assert [bits(item) for item in tensors] == [bits(item) for item in sent]
            assert [item.stride() for item in tensors] == [item.stride() for item in sent]
            assert received.is_valid()
            del tensors
    assert transport.ring.num_slots <= 2  # it answers before it gives its slot back
    assert await outlet.send(FINISHED)
    assert peer.wait(PATIENCE_S) == 0


async def test_large_tensor_is_read_where_it_lies(make: Make, folder: Path) -> None:
    """No copy at the receiver; small ones begin where torch lets tensors begin."""
    inlet, outlet = make("b").inlet("b"), make("a").outlet(["b"])
    message, payload = mask_features([torch.rand(LARGE), torch.rand(3, 5, 7)])
    assert await outlet.send(message, payload)
    with await _next(inlet) as received:
        large, small = (received.tensor(spec) for spec in message.mask_features)
        assert any(begin <= large.data_ptr() < end for begin, end in _maps(folder))
        assert large.data_ptr() % 64 == small.data_ptr() % 64 == 0
        assert np.shares_memory(received.array(message.mask_features[0]), large.numpy())
        assert not received.array(message.mask_features[0]).flags.writeable
    with pytest.raises(SessionStateError, match=r"take it before release\(\)"):
        received.tensor(message.mask_features[0])
    del large, small


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
async def test_tensors_of_a_gpu_pass_by_the_cpu(make: Make) -> None:
    """Both orders, small and large; the receiver moves them to its own device."""
    inlet, outlet = make("b").inlet("b"), make("a", 8 * MIB).outlet(["b"])
    sent = _any_tensors()
    message, payload = mask_features([tensor.to("cuda") for tensor in sent])
    assert await outlet.send(message, payload)
    with await _next(inlet) as received:
        for spec, tensor in zip(message.mask_features, sent, strict=True):
            assert received.tensor(spec).device.type == "cpu"
            assert received.tensor(spec, "cuda").device.type == "cuda"
            assert bits(received.tensor(spec)) == bits(tensor)
            assert received.tensor(spec, "cuda").stride() == tensor.stride()


async def test_frame_without_rows_passes(make: Make) -> None:
    """A stream without prompts still tells its frames."""
    inlet, outlet = make("b").inlet("b"), make("a").outlet(["b"])
    message, payload = features([torch.zeros(0, 8, 4, 4)] * 4, torch.zeros(0, 16))
    assert await outlet.send(message, payload)
    with await _next(inlet) as received:
        assert received.message == message
        assert [received.tensor(spec).shape for spec in message.maps] == [(0, 8, 4, 4)] * 4


async def test_ring_full_send_waits_and_gives_up(make: Make) -> None:
    """A receiver that gives nothing back costs the sender a bounded time; once it does, sending goes on."""
    sender = make("a")
    inlet, outlet = make("b").inlet("b"), sender.outlet(["b"])
    held: list[ReceivedMessage] = []
    while len(held) < 10:
        message, payload = mask_features([torch.rand(LARGE)], frame(len(held)))
        if not await outlet.send(message, payload, timeout_s=0.5):
            break
        held.append(await _next(inlet))
    assert len(held) == 4
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(outlet.send(message, payload, timeout_s=PATIENCE_S))
        await asyncio.sleep(0)
        held[1].release()
    assert waiting.result()
    (await _next(inlet)).release()
    for received in held:
        assert received.is_valid() == (received is not held[1])
        received.release()
    assert sender.ring.depth == 0


async def test_receiver_killed_its_slots_come_back_with_the_next_epoch(
    make: Make, start_peer: Callable[..., subprocess.Popen[bytes]]
) -> None:
    """Nothing else would ever free them."""
    transport = make("a")
    inlet, outlet = transport.inlet("a"), transport.outlet(["b"])
    peer = start_peer("hold")
    message, payload = mask_features([torch.rand(LARGE)])
    assert await outlet.send(message, payload, timeout_s=PATIENCE_S)
    (await _next(inlet)).release()
    while await outlet.send(message, payload, timeout_s=0.5):
        pass
    peer.kill()
    peer.wait()
    assert not await outlet.send(message, payload, timeout_s=0.05)
    assert transport.ring.depth == 4
    start_peer("echo", 1)
    for seq in range(8):
        message, payload = mask_features([torch.rand(LARGE)], frame(seq, epoch=1))
        assert await outlet.send(message, payload, timeout_s=PATIENCE_S)
        received = await _next(inlet)
        assert bits(received.tensor(message.mask_features[0])) == bits(first_tensor(payload))
        received.release()


async def test_receiver_that_wakes_up_late_notices(make: Make) -> None:
    """It stood still, counted as lost, and its memory holds another frame now."""
    inlet, outlet = make("b").inlet("b"), make("a").outlet(["b"])
    message, payload = mask_features([torch.zeros(LARGE)])
    assert await outlet.send(message, payload)
    woken = await _next(inlet)
    tensor = woken.tensor(message.mask_features[0])
    newer = []
    for seq in range(4):
        message, payload = mask_features([torch.ones(LARGE)], frame(seq, epoch=1))
        assert await outlet.send(message, payload)
        newer.append(await _next(inlet))
    assert tensor.any()
    assert not woken.is_valid()
    woken.release()
    assert all(received.is_valid() for received in newer)
    assert not await outlet.send(message, payload, timeout_s=0.05)  # the late release has freed nothing
    del tensor


async def test_message_of_a_lost_slot_is_passed_over(make: Make) -> None:
    """It waited in the receiver's queue while its memory was used again."""
    metrics = NodeMetrics("b", "encoder")
    inlet, outlet = make("b").inlet("b", metrics=metrics), make("a").outlet(["b"])
    for epoch, count in ((0, 4), (1, 4)):
        for seq in range(count):
            message, payload = mask_features([torch.rand(LARGE)], frame(seq, epoch))
            assert await outlet.send(message, payload)
    epochs = []
    for _ in range(4):
        with await _next(inlet) as received:
            assert received.is_valid()
            assert isinstance(received.message, MaskFeaturesMessage)
            epochs.append(received.message.work.frame.epoch)
    assert epochs == [1] * 4
    assert {item.name: item.value for item in metrics.statistics().counters} == {"decode_error": 4}


async def test_messages_that_grow_replace_slots(make: Make, folder: Path) -> None:
    """A prompt more, a larger picture: old files go, on both sides."""
    sender, receiver = make("a"), make("b")
    inlet, outlet = receiver.inlet("b"), sender.outlet(["b"])
    for channels in (2, 8, 16, 32, 60):
        message, payload = mask_features([torch.rand(channels, 64, 64)])
        assert await outlet.send(message, payload)
        with await _next(inlet) as received:
            assert bits(received.tensor(message.mask_features[0])) == bits(first_tensor(payload))
    assert sender.ring.num_bytes <= MIB
    assert len(receiver.reader) == sender.ring.num_slots == len(_listing(folder))


async def test_no_room_in_shared_memory_messages_pass_and_one_warning_says_so(make: Make) -> None:
    """As in a container with little of it. Also a message that is larger than the ring passes."""
    for sender in (make("a", free=lambda _: 0), make("c", ring_bytes=2**16)):
        inlet, outlet = make("b").inlet("b"), sender.outlet(["b"])
        with capture_logs() as logs:
            for seq in range(3):
                message, payload = mask_features(_any_tensors(), frame(seq))
                assert await outlet.send(message, payload)
                with await _next(inlet) as received:
                    assert [bits(received.tensor(spec)) for spec in message.mask_features] == [
                        bits(item)  # type: ignore[arg-type]
                        for item in payload.items
                    ]
        assert [entry["event"][:16] for entry in logs] == ["no shared memory"]
        inlet.close()


async def test_nobody_there_send_gives_up_and_frees_its_slot(make: Make) -> None:
    """A frame that cannot go anywhere does not keep memory."""
    sender = make("a")
    outlet = sender.outlet(["b"])
    message, payload = mask_features([torch.rand(LARGE)])
    assert not await outlet.send(message, payload, timeout_s=0.05)
    assert (sender.ring.num_slots, sender.ring.depth) == (1, 0)


async def test_send_cancelled_frees_its_slot(make: Make) -> None:
    """Whether the copy has been made or not."""
    sender = make("a", 64 * MIB)
    outlet = sender.outlet(["b"])
    message, payload = mask_features([torch.rand(1024, 64, 64)])
    for turns in range(6):
        sending = asyncio.create_task(outlet.send(message, payload))
        for _ in range(turns):
            await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert sender.ring.depth == 0


async def test_wrong_message_is_refused_and_frees_its_slot(make: Make) -> None:
    """A mistake of the sender, told to the sender."""
    sender = make("a")
    outlet = sender.outlet(["b"])
    message, payload = mask_features([torch.rand(LARGE)])
    with pytest.raises(MessageError, match="its payload has tensors"):
        await outlet.send(message, None)
    broken = msgspec.structs.replace(message, first_row=-1)
    with pytest.raises(MessageError, match="cannot be sent"):
        await outlet.send(broken, payload)
    assert sender.ring.depth == 0


async def test_sender_killed_what_was_received_stays_readable(
    make: Make, start_peer: Callable[[str], subprocess.Popen[bytes]], folder: Path, run_dir: Path
) -> None:
    """Its files can be removed by whoever restarts it."""
    transport = make("a")
    inlet, outlet = transport.inlet("a"), transport.outlet(["b"])
    peer = start_peer("echo")
    message, payload = mask_features([torch.rand(LARGE)])
    assert await outlet.send(message, payload, timeout_s=PATIENCE_S)
    received = await _next(inlet)
    peer.kill()
    peer.wait()
    prefix = segment_prefix(run_dir)
    assert _listing(folder) == [f"{prefix}a-0-0", f"{prefix}b-0-0"]
    assert remove_segments(prefix, node="b", folder=folder) == 1
    assert bits(received.tensor(message.mask_features[0])) == bits(first_tensor(payload))
    assert received.is_valid()
    received.release()


_PLACES = st.lists(
    st.none() | st.tuples(st.integers(-(2**62), 2**62), st.integers(-(2**62), 2**62)) | st.just((0, 72)), max_size=3
)
_NAMES = st.sampled_from(["", "ssa-gone", "../../etc/passwd", "own"]) | st.text(max_size=20)
_MANIFESTS = st.binary(max_size=30) | st.builds(
    lambda *fields: msgspec.msgpack.encode(fields), _NAMES, st.integers(-(2**62), 2**63), _PLACES
)
_HEADERS = st.sampled_from([b"good", b""]) | st.binary(max_size=40)


@settings(max_examples=60, deadline=None)
@given(damaged=st.lists(st.tuples(_HEADERS, _MANIFESTS, st.lists(st.binary(max_size=80), max_size=2)), max_size=6))
def test_damaged_messages_are_passed_over(damaged: list[tuple[bytes, bytes, list[bytes]]]) -> None:
    """Whatever headers, manifests and buffers say; what comes after them is received."""
    with tempfile.TemporaryDirectory(prefix="ssa-t") as name:
        asyncio.run(_send_damaged(Path(name), damaged))


async def _send_damaged(run_dir: Path, damaged: list[tuple[bytes, bytes, list[bytes]]]) -> None:
    message, _ = picture(np.zeros((4, 6, 3), np.uint8))
    good = bytes(encode(message, [bytes(72)])[1])
    context = zmq.asyncio.Context()
    receiver = ProcessTransport(context, run_dir, "b", 0, MIB, folder=run_dir)
    sender = ProcessTransport(context, run_dir, "a", 0, MIB, folder=run_dir)
    inlet, outlet = receiver.inlet("b"), sender.outlet(["b"])
    slot = sender.ring.take(72, "cam0", 0)
    assert slot is not None
    own = slot.segment.path.name.encode()
    with context.socket(zmq.PUSH) as socket:
        socket.linger = 0
        socket.connect(receiver.link_address("b"))
        for header, manifest, buffers in damaged:
            parts = [b"", good if header == b"good" else header]
            await socket.send_multipart([*parts, manifest.replace(b"\xa3own", bytes([0xD9, len(own)]) + own), *buffers])
        assert await outlet.send(Finished(node="a", incarnation=0, stream="cam0", epoch=9, seq=9))
        async with asyncio.timeout(PATIENCE_S):
            while not isinstance((await _next(inlet)).message, Finished):
                pass
    for transport in (sender, receiver):
        transport.close()
    context.term()


async def test_socket_path_that_is_too_long_is_said(make: Make) -> None:
    """The system would cut it or refuse it without a reason."""
    with pytest.raises(TransportError, match="the system takes 107: choose a shorter run directory"):
        make("a").inlet("ingest-" + "x" * 100)


async def test_folder_of_sockets_that_is_gone_is_said(make: Make, run_dir: Path) -> None:
    """Instead of a number."""
    transport = make("a")
    with pytest.raises(TransportError, match="cannot listen at ipc://"):
        transport.inlet("gone/a")


async def test_many_messages_leave_nothing_open(make: Make, folder: Path) -> None:
    """Neither file descriptors nor maps grow with messages."""
    inlet, outlet = make("b").inlet("b"), make("a").outlet(["b"])

    async def exchange(count: int) -> tuple[int, int]:
        for seq in range(count):
            message, payload = mask_features([torch.rand(LARGE)], frame(seq))
            assert await outlet.send(message, payload)
            with await _next(inlet) as received:
                received.tensor(message.mask_features[0]).sum()
        return len(_maps(folder)), len(os.listdir("/proc/self/fd"))

    assert await exchange(3) == await exchange(200)


def test_child_ends_with_its_parent() -> None:
    """Though the parent was killed and could say nothing."""
    child = (
        "import signal, sys; from ssa_stream.nodes.runtime.signals import end_with_parent; end_with_parent(); "
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); print('watching', flush=True); "
        "print(sys.stdin.read()); signal.pause()"
    )
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]).wait()"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"watching\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait(PATIENCE_S) == -signal.SIGKILL
        assert process.stdout.read() == b""  # ends only when the child has ended
