"""A stream of the gateway: what belongs to a camera goes with it."""

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from av import VideoFrame

from ssa_stream.nodes.gateway.page_messages import as_json
from ssa_stream.nodes.gateway.pictures.cameras import Cameras
from ssa_stream.nodes.gateway.settings import StreamAccess
from ssa_stream.nodes.gateway.streams import StreamHandler
from ssa_stream.nodes.gateway.webrtc.aiortc_changes import SenderClock
from ssa_stream.nodes.runtime.clock import MonotonicClock
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.protocols import AppliesFrom, Limits, MaskMessage, Prompt, PromptState, StreamLoad, decode
from ssa_stream.viz.colours import PALETTE, prompt_colours
from tests.support.mask_messages import circle, mask_message, mask_parts
from tests.support.scripted_nodes import source_state


class _User:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.masks: list[str] = []
        self.said: list[dict[str, Any]] = []

    def send_masks(self, prompt_id: str, data: bytes) -> None:
        """Masks came."""
        self.masks.append(prompt_id)

    def send_text(self, text: str) -> None:
        """Something is said."""
        self.said.append(json.loads(text))


async def _no_answer(request: Any) -> Any:
    raise AssertionError(request)


def _handler(folder: Path) -> StreamHandler:
    metrics = NodeMetrics("gateway", "gateway", 0, MonotonicClock())
    cameras = Cameras(["cam0"], folder / "cameras.sock")
    return StreamHandler("cam0", StreamAccess(kind="camera", label=""), cameras, _no_answer, 100_000, metrics)


def _masks_of(handler: StreamHandler, received_ns: int) -> None:
    packet = decode(mask_parts(masks=[circle()], prompt="p1", received_ns=received_ns), Limits())
    assert isinstance(packet.message, MaskMessage)
    handler.take(packet.message, packet.buffers)


def _greeted(handler: StreamHandler) -> list[str]:
    user = _User()
    handler.repeat_masks(user)
    return user.masks


async def test_masks_of_a_camera_are_shown_to_no_other(tmp_path: Path) -> None:
    """Neither the last ones, nor those that are still on their way when it ends, nor its pictures."""
    handler, viewer = _handler(tmp_path), _User()
    handler.join(viewer)
    first = await handler.begin_camera(SenderClock(), 640)
    taken_ns = time.monotonic_ns()
    _masks_of(handler, taken_ns)
    assert (_greeted(handler), len(viewer.masks)) == (["p1"], 1)
    handler.feed.push(taken_ns, VideoFrame.from_ndarray(np.zeros((16, 32, 3), dtype=np.uint8), format="rgb24"))

    first.close()
    assert _greeted(handler) == []
    _masks_of(handler, taken_ns)
    assert (_greeted(handler), len(viewer.masks)) == ([], 1)

    second = await handler.begin_camera(SenderClock(), 640)
    first.close()  # again, late
    _masks_of(handler, taken_ns)
    assert (_greeted(handler), len(viewer.masks)) == ([], 1)
    assert handler.feed.times_of(mask_message([], received_ns=taken_ns)[0].frame) == (None, None)
    _masks_of(handler, time.monotonic_ns())
    assert (_greeted(handler), len(viewer.masks)) == (["p1"], 2)
    second.close()


async def test_overload_is_told_when_it_begins_and_ends(tmp_path: Path) -> None:
    """Not every second; who comes later is told, too."""
    handler, viewer = _handler(tmp_path), _User()
    handler.join(viewer)
    handler.take(source_state(rate_hz=15), ())
    for text in ("", "overloaded: 15", "overloaded: 14", "", ""):
        handler.take(StreamLoad(stream="cam0", at_ns=0, clock="monotonic:x", masks_hz=6, text=text), ())
        if text == "overloaded: 14":
            assert json.loads(handler.greeting()[-1])["overload"] == text
    assert [(one["type"], one["overload"], one["source_hz"], one["masks_hz"]) for one in viewer.said] == [
        ("state", "", None, None),
        ("state", "overloaded: 15", 15, 6),
        ("state", "", None, None),
    ]


def test_everyone_is_told_the_colours_that_the_server_draws_with(tmp_path: Path) -> None:
    """Whoever asks for the streams, comes later, or is there when prompts change; removing one changes no other."""
    handler, viewer = _handler(tmp_path), _User()
    handler.join(viewer)
    for ids in (("p1", "p2", "door"), ("p2", "door")):
        prompts = tuple(Prompt(id=one, text=f"the {one}", version=1) for one in ids)
        handler.take(
            PromptState(stream="cam0", prompts=prompts, version=1, applies_from=AppliesFrom(epoch=0, seq=0)), ()
        )
        expected = {one: list(colour) for one, colour in prompt_colours(ids).items()}
        asked = msgspec.json.decode(as_json(handler.describe()))["prompts"]
        told, greeted = viewer.said[-1]["prompts"], msgspec.json.decode(handler.greeting()[0])["prompts"]
        assert {one["id"]: one["colour"] for one in asked} == expected
        assert asked == told == greeted
        assert [one["colour"] for one in asked if one["id"] == "p2"] == [list(PALETTE[1])]
