"""Small parts of the gateway: slot, rate, watchdog, feed, answer, wire, camera ingest, outbox."""

import asyncio
import json
from typing import Any

import av
import msgspec
import numpy as np
import pytest

from ssa_stream.errors import ConfigError, MessageError, TransportError
from ssa_stream.nodes.gateway.graph_link import Answer, Request
from ssa_stream.nodes.gateway.pictures.cameras import CameraPicture
from ssa_stream.nodes.gateway.pictures.feed import VideoFeed
from ssa_stream.nodes.gateway.pictures.slot import NewestSlot
from ssa_stream.nodes.gateway.pictures.wire import (
    LENGTH_BYTES,
    MAX_HEADER_BYTES,
    PictureHeader,
    header_length,
    pack_header,
    unpack_header,
)
from ssa_stream.nodes.gateway.server import run_while_watched
from ssa_stream.nodes.gateway.settings import PeerLimits
from ssa_stream.nodes.gateway.webrtc.aiortc_changes import SenderClock, with_bitrate
from ssa_stream.nodes.gateway.webrtc.camera_ingest import CameraIngest
from ssa_stream.nodes.gateway.webrtc.channels import MaskOutbox, PromptHandler
from ssa_stream.nodes.gateway.webrtc.figures import PeerFigures
from ssa_stream.nodes.gateway.webrtc.limits import RateLimit, Watchdog
from ssa_stream.nodes.pipeline import GATEWAY
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.protocols import Accepted, AppliesFrom, ErrorReply, FrameIdentity, Prompt, PromptReply, SourceRequest
from ssa_stream.sources import open_source


async def test_slot_newer_item_replaces_and_counts() -> None:
    """Who takes gets the newest, and the end after it was closed."""
    slot: NewestSlot[int] = NewestSlot()
    for number in range(3):
        slot.put(number)
    assert (await slot.take(), slot.overtaken) == (2, 2)
    slot.put(7)
    slot.close()
    assert (await slot.take(), await slot.take()) == (7, None)


def test_rate_burst_and_pace_are_limited() -> None:
    """Twice the rate at once, then the rate."""
    now = [0.0]
    rate = RateLimit(10, lambda: now[0])
    assert sum(rate.take() for _ in range(100)) == 20
    now[0] = 1.0
    assert sum(rate.take() for _ in range(100)) == 10


LIMITS = PeerLimits(bitrate_kbps=1000, session_s=100.0, connect_s=5.0, silence_s=3.0)


def _look(dog: Watchdog, now_s: float, received: int = 0, connected: bool = True, media: bool = True) -> str:
    exceeded = dog.look(now_s, received, is_connected=connected, has_media=media)
    return "" if exceeded is None else f"{exceeded.limit}: {exceeded.text}"


def test_watchdog_never_connected_ends() -> None:
    """An offer whose sender is gone takes no place for long."""
    dog = Watchdog(LIMITS, 0.0)
    assert _look(dog, 4.0, connected=False) == ""
    assert "connect: not connected" in _look(dog, 6.0, connected=False)


def test_watchdog_silence_ends_only_with_media() -> None:
    """A killed browser says nothing; one with data channels only may have nothing to say."""
    dog, quiet = Watchdog(LIMITS, 0.0), Watchdog(LIMITS, 0.0)
    for now_s in (1.0, 2.0, 3.0):
        assert _look(dog, now_s, received=int(now_s)) == ""
    assert "silence: nothing came" in _look(dog, 6.5, received=3)
    assert _look(quiet, 1.0, media=False) == ""
    assert _look(quiet, 50.0, media=False) == ""


def test_watchdog_session_and_bitrate_end() -> None:
    """Half a megabit too much for a window, and too long a session."""
    dog = Watchdog(LIMITS, 0.0)
    assert _look(dog, 1.0) == ""
    assert _look(dog, 6.0, received=5 * 125_000) == ""
    too_much = _look(dog, 11.0, received=5 * 125_000 + 5 * 250_000)
    assert too_much.startswith("bitrate: ")
    assert "kbit/s" in too_much
    assert "session: " in _look(Watchdog(LIMITS, 0.0), 101.0)


def _picture(width: int = 32, height: int = 16, pts: int | None = 0) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.zeros((height, width, 3), dtype=np.uint8), format="rgb24")
    frame.pts = pts
    return frame


def _frame(received_ns: int, epoch: int = 0, seq: int = 0) -> FrameIdentity:
    return FrameIdentity(
        stream="cam", epoch=epoch, seq=seq, index=0, t=0.0, t_receive_ns=received_ns, receive_clock="monotonic:x"
    )


def test_feed_camera_masks_find_their_picture() -> None:
    """By when it was received; pictures are kept only while somebody draws on them."""
    now = [0]
    feed = VideoFeed(is_camera=True, clock_ns=lambda: now[0])
    feed.push(100, _picture(), sender_ns=55)
    now[0] = 10**9
    feed.push(200, _picture())
    assert feed.times_of(_frame(100)) == (0, 55)
    assert feed.times_of(_frame(200)) == (90_000, None)
    assert feed.times_of(_frame(300)) == (None, None)
    assert feed.picture_of(_frame(200)) is None
    feed.keeps_pictures = 1
    feed.push(300, _picture())
    assert feed.picture_of(_frame(300)) is not None


async def test_feed_viewers_get_newest_until_they_leave() -> None:
    """Two pictures at the same time of the clock still have times that grow."""
    feed = VideoFeed(is_camera=False, clock_ns=lambda: 0)
    slot = feed.join()
    feed.push((0, 1), _picture())
    feed.push((0, 2), _picture())
    newest = await slot.take()
    assert newest is not None
    assert (newest.pts, slot.overtaken, feed.times_of(_frame(0, 0, 1))) == (1, 1, (0, None))
    feed.leave(slot)
    feed.push((0, 3), _picture())
    assert await slot.take() is None


ANSWER = (
    "v=0\r\na=group:BUNDLE 0 1\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 VP8/90000\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n"
)


def test_with_bitrate_only_video_is_limited() -> None:
    """Behind the connection line, where SDP wants it."""
    limited = with_bitrate(ANSWER, 900)
    assert "c=IN IP4 0.0.0.0\r\nb=AS:900\r\nb=TIAS:900000\r\na=rtpmap:96 VP8/90000\r\n" in limited
    assert "a=fmtp:96 x-google-start-bitrate=900\r\n" in limited
    assert limited.count("b=AS") == 1
    assert limited.endswith("webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n")


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


class _Cameras:
    """Where a camera is said to be gone."""

    ended = False

    def end(self, stream: str, slot: NewestSlot[CameraPicture]) -> None:
        """It is gone."""
        self.ended = True
        slot.close()


def _ingest(edge_px: int = 64) -> tuple[CameraIngest, NewestSlot[CameraPicture], SenderClock]:
    slot: NewestSlot[CameraPicture] = NewestSlot()
    clock = SenderClock()
    clock.map(0)
    cameras: Any = _Cameras()
    feed = VideoFeed(is_camera=True)
    times = {"monotonic_ns": lambda: 1_000_000_000, "utc_ns": lambda: 1_577_836_800 * 10**9}
    return CameraIngest("cam", cameras, slot, feed, clock, edge_px, **times), slot, clock


async def test_ingest_size_changes_epoch_begins() -> None:
    """Chromium changes the size in the middle of a stream as the network allows."""
    ingest, slot, _ = _ingest()
    headers = []
    for pts, width in ((0, 32), (3000, 32), (3000, 32), (6000, 48)):
        assert ingest.take(_picture(width, pts=pts)) is None
    taken = await slot.take()
    assert taken is not None
    headers.append(taken[0])
    assert (headers[0].epoch, headers[0].seq, headers[0].t, headers[0].width) == (1, 0, 6000 / 90_000, 48)
    assert (ingest.frames, ingest.overtaken) == (3, 2)  # the repeated time is no frame


async def test_ingest_sender_report_gives_capture_time() -> None:
    """The clocks agree, so that the age of the picture is known."""
    ingest, slot, clock = _ingest()
    clock.report((1_577_836_800 + 2_208_988_800 << 32), 9000)
    ingest.take(_picture(pts=0))
    taken = await slot.take()
    assert taken is not None
    assert taken[0].t_camera_ns == 1_577_836_800 * 10**9 - 100_000_000
    assert taken[0].t_capture_ns == 1_000_000_000 - 100_000_000


def test_ingest_too_large_is_refused() -> None:
    """With what came and what is allowed."""
    ingest, _, _ = _ingest(edge_px=40)
    exceeded = ingest.take(_picture(48))
    assert exceeded is not None
    assert exceeded.limit == "edge"
    assert "48x16" in exceeded.text


class _Channel:
    """A data channel that sends when it is told to."""

    readyState = "open"

    def __init__(self, buffered: int) -> None:
        self.bufferedAmount = buffered
        self.bufferedAmountLowThreshold = 0
        self.sent: list[bytes] = []
        self.wake: Any = None

    def on(self, event: str, call: Any) -> None:
        """Remember whom to call."""
        self.wake = call

    def send(self, data: bytes) -> None:
        """Send, and close after two."""
        self.sent.append(data)
        if len(self.sent) == 2:
            self.readyState = "closed"


async def test_outbox_slow_channel_newest_of_each_prompt_is_sent() -> None:
    """What waits in the channel can not be replaced any more, so little waits there."""
    outbox, channel = MaskOutbox(), _Channel(10**6)
    for number in range(3):
        outbox.put("a", b"a%d" % number)
        outbox.put("b", b"b%d" % number)
    channel.bufferedAmount = 0
    anything: Any = channel
    outbox.put("c", b"c")
    running = outbox.run(anything)
    with pytest.raises(TimeoutError):
        async with _soon():
            await running
    assert channel.sent == [b"a2", b"b2"]
    assert (outbox.sent, outbox.overtaken) == (2, 4)


def test_figures_of_peers_add_up_and_lost_frames_are_drops() -> None:
    """Each peer tells all that it did since it came; the metrics hold the sum, by stream."""
    metrics = NodeMetrics(GATEWAY, "gateway")
    first, second = PeerFigures(metrics, "cam"), PeerFigures(metrics, "cam")
    first.tell({"masks_sent": 3, "frames": 10, "frames_overtaken": 2})
    first.tell({"masks_sent": 5, "frames": 12, "frames_overtaken": 2, "frames_not_decoded": 7})
    second.tell({"masks_sent": 1, "frames_overtaken": 1})
    second.limit("bitrate")
    told = metrics.statistics()
    assert {(one.stream, one.reason): one.count for one in told.drops} == {
        ("cam", "overtaken"): 3,
        ("cam", "queue_full"): 7,
    }
    assert {one.name: one.value for one in told.counters} == {"masks_sent": 6, "frames": 12, "limit_bitrate": 1}


class _Desk:
    """A stream whose orders are kept."""

    name = "scene"

    def __init__(self) -> None:
        self.users = 0
        self.users_changed = asyncio.Event()
        self.orders: asyncio.Queue[str] = asyncio.Queue()

    async def ask(self, request: SourceRequest) -> Answer:
        """Keep the order; the first one comes too early."""
        await self.orders.put(request.action)
        return Accepted(request_id="x", stream="scene", epoch=0)


async def test_scene_runs_only_while_somebody_watches() -> None:
    """Stopped when nobody is there, started for the first one, and not stopped for one who comes back at once."""
    handler: Any = _Desk()
    running = asyncio.create_task(run_while_watched(handler, linger_s=0.05))
    assert await handler.orders.get() == "stop"
    handler.users = 1
    handler.users_changed.set()
    assert await handler.orders.get() == "start"
    handler.users = 0
    handler.users_changed.set()
    await asyncio.sleep(0)
    handler.users = 1
    handler.users_changed.set()
    handler.users = 0
    handler.users_changed.set()
    assert await handler.orders.get() == "stop"
    assert handler.orders.empty()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def _soon() -> Any:
    return asyncio.timeout(0.05)


REPLY = PromptReply(
    request_id="x", stream="cam", prompts=(Prompt(id="p1", text="a", version=1),), version=1,
    applies_from=AppliesFrom(epoch=0, seq=3, index=9),
)  # fmt: skip


def _handler(answer: Answer | Exception, metrics: NodeMetrics | None = None, **limits: int) -> PromptHandler:
    async def ask(request: Request) -> Answer:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return PromptHandler("cam", ask, PeerLimits(**limits), metrics or NodeMetrics(GATEWAY, "gateway"))


async def _answer(handler: PromptHandler, text: str) -> dict[str, Any]:
    assert handler.take(text) is None
    said: dict[str, Any] = json.loads(await handler._answer(await handler._waiting.get()))
    return said


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (REPLY, {"type": "prompts", "id": 7, "version": 1}),
        (ErrorReply(code="too_many", text="no room"), {"type": "error", "id": 7, "code": "too_many"}),
        (TransportError("gone"), {"type": "error", "id": 7, "code": "unavailable"}),
        (MessageError("bad"), {"type": "error", "id": 7, "code": "invalid"}),
    ],
    ids=["done", "refused", "no_graph", "limit_of_protocol"],
)
async def test_prompt_handler_answers_every_command(answer: Answer | Exception, expected: dict[str, Any]) -> None:
    """With its id, and the first frame that it applies to."""
    said = await _answer(_handler(answer), '{"type":"add","text":"a","id":7}')
    assert expected.items() <= said.items()
    if said["type"] == "prompts":
        assert said["applies_from"] == {"epoch": 0, "seq": 3, "index": 9}


async def test_prompt_handler_nonsense_is_answered() -> None:
    """An error, not the end of the session."""
    assert (await _answer(_handler(REPLY), "nonsense"))["code"] == "invalid"


def test_prompt_handler_limits_refuse() -> None:
    """Size and rate; both are counted."""
    metrics = NodeMetrics(GATEWAY, "gateway")
    handler = _handler(REPLY, metrics, message_bytes=10, messages_per_s=2)
    assert json.loads(handler.take("x" * 11) or "")["code"] == "too_large"
    refusals = [handler.take("{}") for _ in range(10)]
    assert [text is None for text in refusals].count(True) == 4
    assert json.loads(refusals[-1] or "")["code"] == "busy"
    counts = {(one.name, one.stream): one.value for one in metrics.statistics().counters}
    assert counts == {("limit_command_bytes", "cam"): 1, ("limit_commands", "cam"): 6}


def test_serve_pipeline_is_connected_to_gateway(tmp_path: Any) -> None:
    """A camera comes from the gateway's socket; other sources hand their pictures to it."""
    from ssa_stream.cli.commands.serve import with_gateway
    from ssa_stream.nodes.pipeline import PipelineConfig

    config = PipelineConfig.from_mapping(
        {
            "model": {"random_weights": True},
            "streams": {
                "cam": {"source": "webrtc"},
                "scene": {"source": "synthetic@64x36"},
                "file": {"source": "a.mp4"},
            },
        },
        origin="test",
    )
    changed, access = with_gateway(config, tmp_path)
    assert {name: one.kind for name, one in access.items()} == {"cam": "camera", "scene": "scene", "file": "source"}
    assert changed.streams["cam"].source == f"webrtc:cam@{tmp_path}/cameras.sock"
    assert changed.streams["cam"].live is True
    assert changed.streams["file"].outputs == (f"webrtc:file@{tmp_path}/pictures.sock",)
    assert changed.streams["cam"].outputs == ()


def test_camera_address_without_gateway_raises() -> None:
    """`ssa-stream up` has none."""
    for address in ("webrtc", "webrtc:cam"):
        with pytest.raises(ConfigError, match="ssa-stream serve"):
            open_source(address)
