"""All streams at once, for the page that shows them side by side: newest pictures with masks, states, prompts.

Pictures are made once for all who look, rarely, and only while somebody looks. Whoever looks asks again when the answer
before has arrived: who is slow gets fewer pictures, and nothing waits in a queue.
"""

import asyncio
import struct
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import structlog

from ssa_stream.errors import SsaStreamError
from ssa_stream.nodes.gateway.page_messages import as_json
from ssa_stream.nodes.gateway.pictures.feed import FeedPicture
from ssa_stream.nodes.gateway.pictures.overlay import Masks
from ssa_stream.nodes.gateway.pictures.stills import Still, make_still
from ssa_stream.nodes.gateway.settings import WallLimits
from ssa_stream.nodes.gateway.streams import StreamHandler
from ssa_stream.nodes.gateway.webrtc.peers import Refused
from ssa_stream.nodes.runtime.logs import LogLimit
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.tasks import wait_for_event
from ssa_stream.protocols import host_clock_name

__all__ = ["Wall"]

_LOG = structlog.get_logger()
_LENGTH = struct.Struct("<I")
_LINGER_S = 3.0
"""Who looks asks again sooner."""
_PATIENCE_S = 1.0
"""An answer comes after this time at the latest: states and prompts change, too."""
_RATE_OVER_S = 5.0


class Wall:
    """The streams as those see them who look at all.

    Args:
        handlers: Streams by name.
        limits: See there.
        metrics: Count pictures (`wall_pictures`) and answers (`wall_answers`); the queue `wall` is who waits.
        clock_ns: The clock of the host.
    """

    def __init__(
        self,
        handlers: Mapping[str, StreamHandler],
        limits: WallLimits,
        metrics: NodeMetrics,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._limits, self._metrics, self._clock_ns = limits, metrics, clock_ns
        self._tiles = [_Tile(one, limits, clock_ns, self._offer) for one in handlers.values()]
        self._jobs: OrderedDict[_Tile, _Job] = OrderedDict()
        self._has_jobs, self._has_viewers, self._news = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._waiting, self._looked_ns, self._number = 0, 0, 0
        self._log = LogLimit()

    async def run(self) -> None:
        """Make pictures until cancelled."""
        with ThreadPoolExecutor(1, "small pictures") as pool:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._make_pictures(pool))
                group.create_task(self._close_when_left())

    async def look(self, after: int | None = None) -> bytes:
        """Wait for a picture that is newer than those seen, for a second at most.

        Args:
            after: `next` of the answer before; None for all pictures that there are, at once.
        Returns:
            The length of a header, uint32, little-endian; the header, JSON; and the JPEG files that it tells of.
        Raises:
            Refused: Too many look.
        """
        if self._waiting >= self._limits.viewers:
            self._metrics.count("limit_wall")
            raise Refused(503, f"{self._waiting} look at all streams at this moment; no more can")
        if after is None or after > self._number:  # the latter was told by another gateway
            seen, wait_s = 0, 0.0
        else:
            seen, wait_s = after, _PATIENCE_S
        self._waiting += 1
        self._tell_number()
        try:
            self._open()
            deadline_ns = self._clock_ns() + int(wait_s * 1e9)
            while self._number <= seen and (left_ns := deadline_ns - self._clock_ns()) > 0:
                await wait_for_event(self._news, left_ns / 1e9)
        finally:
            self._waiting -= 1
            self._looked_ns = self._clock_ns()
            self._tell_number()
        self._metrics.count("wall_answers")
        return self._answer(seen)

    def _answer(self, after: int) -> bytes:
        streams, files = [], list[bytes]()
        for tile in self._tiles:
            about, file = tile.describe(after)
            streams.append(about)
            files.append(file)
        header = as_json({"next": self._number, "pictures_per_s": self._limits.pictures_per_s, "streams": streams})
        body = header.encode()
        return b"".join([_LENGTH.pack(len(body)), body, *files])

    def _tell_number(self) -> None:
        self._metrics.queue("wall", self._waiting, self._limits.viewers)

    # -- while somebody looks

    def _open(self) -> None:
        if not self._has_viewers.is_set():
            self._has_viewers.set()
            for tile in self._tiles:
                tile.begin()

    async def _close_when_left(self) -> None:
        while True:
            await self._has_viewers.wait()
            await asyncio.sleep(_LINGER_S / 2)
            if not self._waiting and self._clock_ns() - self._looked_ns > _LINGER_S * 1e9:
                self._has_viewers.clear()
                self._jobs.clear()
                for tile in self._tiles:
                    tile.end()

    # -- pictures, one at a time

    def _offer(self, tile: "_Tile", job: "_Job") -> None:
        """A picture may be made; it takes the place of an older one of the same stream."""
        self._jobs[tile] = job
        self._has_jobs.set()

    async def _make_pictures(self, pool: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._has_jobs.clear()
            while self._jobs:
                tile, job = self._jobs.popitem(last=False)
                try:
                    still = await loop.run_in_executor(pool, make_still, job.picture, job.masks, self._limits.edge_px)
                except (SsaStreamError, ValueError, OSError) as error:  # of masks, of FFmpeg: of this picture alone
                    left_out = self._log.due("picture")
                    if left_out is not None:
                        _LOG.warning("no small picture", stream=tile.name, error=str(error), left_out=left_out)
                    continue
                if tile.take(job, still, self._number + 1):
                    self._number += 1
                    self._metrics.count("wall_pictures", stream=tile.name)
                    news, self._news = self._news, asyncio.Event()
                    news.set()
            await self._has_jobs.wait()


class _Job(NamedTuple):
    picture: FeedPicture
    masks: Sequence[Masks]
    camera: int
    taken_ns: int


class _Tile:
    """One stream: a user of it, so that a scene runs while somebody looks, and a watcher of its masks."""

    def __init__(
        self,
        handler: StreamHandler,
        limits: WallLimits,
        clock_ns: Callable[[], int],
        offer: Callable[["_Tile", _Job], None],
    ) -> None:
        self.name = handler.name
        self._handler, self._clock_ns, self._offer = handler, clock_ns, offer
        self._pause_ns = int(1e9 / limits.pictures_per_s)
        self._due_ns = 0
        self._camera = 0
        self._shown: tuple[int, int, Still] | None = None  # number, when it was taken, the picture
        self._frames_ns: deque[int] = deque(maxlen=1000)

    def begin(self) -> None:
        """Somebody looks."""
        self._handler.join(self)
        self._handler.overlays.watch(self)

    def end(self) -> None:
        """Nobody does any more."""
        self._handler.leave(self)
        self._handler.overlays.unwatch(self)
        self._frames_ns.clear()
        self.forget()

    def send_masks(self, prompt_id: str, data: bytes) -> None:
        """Pictures are drawn here instead."""

    def send_text(self, text: str) -> None:
        """Every answer says how the stream is."""

    def take_masks(self, picture: FeedPicture, masks: Sequence[Masks]) -> None:
        """See `MaskWatcher`: most pictures are counted only."""
        now_ns = self._clock_ns()
        if masks:
            self._frames_ns.append(now_ns)
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + self._pause_ns
            self._offer(self, _Job(picture, masks, self._camera, _taken_ns(masks, now_ns)))

    def forget(self) -> None:
        """See `MaskWatcher`: what is being made now is not shown either."""
        self._camera += 1
        self._shown = None

    def take(self, job: _Job, still: Still, number: int) -> bool:
        """A picture is made; returns whether it may be shown."""
        if job.camera != self._camera:
            return False
        self._shown = number, job.taken_ns, still
        return True

    def describe(self, after: int) -> tuple[dict[str, Any], bytes]:
        """What is told of the stream, and its picture; empty if that has been seen."""
        about = self._handler.describe() | {
            "version": self._handler.prompts_version,
            "state": self._handler.source_state,
            "rate_hz": self._rate_hz(),
            "picture": None,
        }
        if self._shown is None:
            return about, b""
        number, taken_ns, still = self._shown
        file = still.jpeg if number > after else b""
        about["picture"] = {
            "bytes": len(file),
            "size": still.size,
            "age_ms": round((self._clock_ns() - taken_ns) / 1e6),
            "found": still.found,
        }
        return about, file

    def _rate_hz(self) -> float | None:
        """Pictures with masks a second, lately; None if nothing is known yet."""
        now_ns, frames = self._clock_ns(), self._frames_ns
        while frames and now_ns - frames[0] > _RATE_OVER_S * 1e9:
            frames.popleft()
        return None if len(frames) < 2 else round((len(frames) - 1) * 1e9 / max(1, now_ns - frames[0]), 2)


def _taken_ns(masks: Sequence[Masks], now_ns: int) -> int:
    """When the picture was taken, or else received, if that is known by the clock of this host."""
    if not masks:
        return now_ns
    frame, own = masks[0][0].frame, host_clock_name()
    if frame.t_capture_ns is not None and frame.capture_clock == own:
        return frame.t_capture_ns
    return frame.t_receive_ns if frame.receive_clock == own else now_ns
