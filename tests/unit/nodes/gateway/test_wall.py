"""All streams at once: pictures are made once for all who look, and only while somebody looks."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from av import VideoFrame
from numpy.typing import NDArray

from ssa_stream.nodes.gateway import wall as wall_module
from ssa_stream.nodes.gateway.pictures.cameras import Cameras
from ssa_stream.nodes.gateway.pictures.feed import FeedPicture
from ssa_stream.nodes.gateway.pictures.stills import make_still
from ssa_stream.nodes.gateway.settings import StreamAccess, WallLimits
from ssa_stream.nodes.gateway.streams import StreamHandler
from ssa_stream.nodes.gateway.wall import Wall
from ssa_stream.nodes.gateway.webrtc.aiortc_changes import SenderClock
from ssa_stream.nodes.gateway.webrtc.peers import Refused
from ssa_stream.nodes.runtime.clock import MonotonicClock
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.protocols import Limits, MaskMessage, decode
from ssa_stream.viz.overlay import DrawnTrack, PromptMasks, draw_masks
from tests.support.mask_messages import circle, mask_parts
from tests.support.waiting import until

SIZE = (60, 100)
GREY = np.full((*SIZE, 3), 100, dtype=np.uint8)


class _Stand:
    """A wall of one stream, whose frames a test makes.

    Attributes:
        made: Pictures that were drawn and encoded.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, kind: Any = "source", **limits: Any) -> None:
        self.metrics = NodeMetrics("gateway", "gateway", 0, MonotonicClock())
        cameras = Cameras(["cam0"], folder / "cameras.sock")
        access = StreamAccess(kind=kind, label="a file")
        self.handler = StreamHandler("cam0", access, cameras, self._ask, 100_000, self.metrics)
        self.now_ns, self.made, self._seq = 10**10, 0, 0
        self.wall = Wall({"cam0": self.handler}, WallLimits(**limits), self.metrics, lambda: self.now_ns)
        monkeypatch.setattr(wall_module, "make_still", self._make)

    async def _ask(self, request: Any) -> Any:
        raise AssertionError(request)

    def _make(self, *arguments: Any) -> Any:
        self.made += 1
        return make_still(*arguments)

    def frame(self, masks: list[NDArray[np.bool_]] | None = None) -> None:
        """A picture and its masks come."""
        self._seq += 1
        key = (0, self._seq) if self.handler.access.kind != "camera" else self.now_ns
        parts = mask_parts(self._seq, [circle(SIZE)] if masks is None else masks, received_ns=self.now_ns)
        packet = decode(parts, Limits())
        assert isinstance(packet.message, MaskMessage)
        self.handler.take(packet.message, packet.buffers)
        self.handler.feed.push(key, VideoFrame.from_ndarray(GREY, format="rgb24"))

    async def look(self, after: int | None = None) -> tuple[int, dict[str, Any], bytes]:
        """What the next answer says: `next`, the stream, its picture."""
        data = await self.wall.look(after)
        (length,) = struct.unpack("<I", data[:4])
        header = json.loads(data[4 : 4 + length])
        (stream,) = header["streams"]
        return header["next"], stream, data[4 + length :]


@asynccontextmanager
async def _running(stand: _Stand) -> AsyncIterator[None]:
    task = asyncio.create_task(stand.wall.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_pictures_are_made_once_for_all_and_only_while_somebody_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice a second at most, whoever looks; who has seen a picture is not sent it again."""
    monkeypatch.setattr(wall_module, "_LINGER_S", 0.02)
    stand = _Stand(tmp_path, monkeypatch)
    async with _running(stand):
        stand.frame()
        assert (stand.handler.feed.keeps_pictures, stand.handler.users) == (0, 0)
        first, stream, file = await stand.look()
        assert (first, stream["picture"], file) == (0, None, b"")
        assert (stand.handler.feed.keeps_pictures, stand.handler.users) == (1, 1)

        looking = [asyncio.create_task(stand.look(0)) for _ in range(5)]
        await asyncio.sleep(0)
        stand.frame()
        answers = await asyncio.gather(*looking)
        assert stand.made == 1
        assert {(number, file) for number, _, file in answers} == {(1, answers[0][2])}
        assert answers[0][1]["picture"]["found"] == {"p1": 1}
        assert answers[0][2].startswith(b"\xff\xd8")

        for _ in range(10):
            stand.now_ns += 40_000_000
            stand.frame()
        number, stream, file = await stand.look()
        assert (number, stand.made, stream["picture"]["age_ms"]) == (1, 1, 400)
        assert file == answers[0][2]
        assert stream["rate_hz"] == 25.0
        stand.now_ns += 100_000_000
        waiting = asyncio.create_task(stand.look(1))
        await asyncio.sleep(0)
        stand.frame()
        assert (await waiting)[0] == stand.made == 2

        monkeypatch.setattr(wall_module, "_PATIENCE_S", 0.0)
        assert ((await stand.look(1))[2] != b"", (await stand.look(2))[2]) == (True, b"")

        stand.now_ns += 10**9
        await until(lambda: not stand.handler.users, "nobody looks")
        stand.frame()
        assert (stand.made, stand.handler.feed.keeps_pictures) == (2, 0)
        assert (await stand.look())[1]["picture"] is None
    counted = {one.name: one.value for one in stand.metrics.statistics().counters}
    assert (counted["wall_pictures"], counted["wall_answers"]) == (2, 11)


async def test_picture_of_a_camera_that_left_is_shown_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the one that was made, nor the one that is being made; without prompts there is a plain one."""
    stand = _Stand(tmp_path, monkeypatch, kind="camera", pictures_per_s=30)
    async with _running(stand):
        await stand.look()
        camera = await stand.handler.begin_camera(SenderClock(), 640)
        stand.handler.feed.push(5, VideoFrame.from_ndarray(GREY, format="rgb24"))
        _, stream, file = await stand.look(0)
        assert (stream["picture"]["found"], len(file) > 100) == ({}, True)
        stand.now_ns += 10**9
        stand.handler.feed.push(6, VideoFrame.from_ndarray(GREY, format="rgb24"))
        await asyncio.sleep(0)  # it is being made now
        camera.close()
        await until(lambda: stand.made == 2, "it is made")
        number, stream, file = await stand.look()
        assert (number, stream["picture"], file) == (1, None, b"")


async def test_damaged_masks_cost_one_picture_and_many_viewers_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one is made all the same."""
    stand = _Stand(tmp_path, monkeypatch, viewers=1, pictures_per_s=30)
    broken = iter([ValueError("odd")])

    def make(*arguments: Any) -> Any:
        for error in broken:
            raise error
        return make_still(*arguments)

    monkeypatch.setattr(wall_module, "make_still", make)
    async with _running(stand):
        await stand.look()
        looking = asyncio.create_task(stand.look(0))
        await asyncio.sleep(0)
        with pytest.raises(Refused) as refused:
            await stand.look()
        assert refused.value.status == 503
        stand.frame()
        await asyncio.sleep(0.05)
        stand.now_ns += 10**8
        stand.frame()
        assert (await looking)[0] == 1


@pytest.mark.parametrize(("edge_px", "size"), [(50, (30, 50)), (480, SIZE)], ids=["smaller", "as it is"])
def test_still_shows_masks_where_the_picture_has_them(edge_px: int, size: tuple[int, int]) -> None:
    """As they are drawn everywhere, scaled with the picture."""
    mask = circle(SIZE, (40, 70), 12)
    packet = decode(mask_parts(masks=[mask]), Limits())
    assert isinstance(packet.message, MaskMessage)
    picture = FeedPicture(0, VideoFrame.from_ndarray(GREY, format="rgb24"))
    still = make_still(picture, [(packet.message, packet.buffers)], edge_px)
    assert (still.size, still.found) == (size, {"p1": 1})
    decoded = cv2.imdecode(np.frombuffer(still.jpeg, dtype=np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    shown, step = decoded[..., ::-1], SIZE[0] // size[0]
    left, top, right, bottom = (round(one / step) for one in packet.message.tracks[0].box_xyxy)
    track = DrawnTrack(1, 0.9, (left, top, right, bottom), mask[::step, ::step])
    wanted = draw_masks(GREY[::step, ::step], [PromptMasks("p1", "the sentence p1", 1, [track])], strip=False)
    assert shown.shape == wanted.shape
    plain = np.abs(GREY[::step, ::step].astype(int) - wanted).mean()
    assert np.abs(shown.astype(int) - wanted).mean() < plain / 2  # a JPEG
