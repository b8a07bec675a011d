"""A graph gives what a session gives, bit for bit, wherever its nodes run and however many share the work."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio

from ssa_stream.client import AsyncPromptClient
from ssa_stream.nodes.masks.pictures import JpegPicture, jpeg_picture
from ssa_stream.protocols import EncodedPicture, MaskMessage, PromptState
from ssa_stream.sources import open_source
from tests.support.graph_streams import (
    Material,
    answers_of_graph,
    answers_of_session,
    graph_of,
    make_material,
)
from tests.support.graphs import Listener, Watched, watched
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

PLACEMENTS = pytest.mark.parametrize("placement", ["fused", "processes"])
_TWO = ["a dog", "the red car"]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Weights and 24 pictures."""
    return make_material(tmp_path_factory.mktemp("stream"))


async def _to_the_end(
    material: Material, placement: str, streams: Mapping[str, Mapping[str, Any]], **sections: Any
) -> Watched:
    let_go = threading.Event()
    graph = graph_of(material, placement, streams, let_go=let_go, **sections)
    async with watched(graph, let_go) as seen:
        await seen.ended()
    return seen


def _expect_each_frame_once_in_order(seen: Watched, stream: str, count: int) -> None:
    assert seen.listener.indices(stream) == list(range(count))


@PLACEMENTS
async def test_file_through_graph_equals_session(material: Material, placement: str) -> None:
    """Masks, identities and scores of every frame and prompt; every frame once and in order."""
    seen = await _to_the_end(material, placement, {"cam0": {"prompts": _TWO}})
    expected = answers_of_session(material, _TWO)
    _expect_each_frame_once_in_order(seen, "cam0", material.num_frames)
    assert answers_of_graph(seen.listener.masks()) == expected
    assert any(answer[-1] for answer in expected.values()), "nothing was segmented: the test says nothing"
    report = seen.graph.report
    assert (report.total_frames, report.repeated, report.dropped, report.restarts) == (material.num_frames, 0, 0, {})


@PLACEMENTS
async def test_workers_that_share_the_work_change_nothing(material: Material, placement: str) -> None:
    """Frames overtake each other between two encoders and two query nodes; results do not."""
    seen = await _to_the_end(
        material, placement, {"cam0": {"prompts": _TWO}}, workers={"encoder": 2, "queries": 2}, flow={"in_flight": 4}
    )
    assert answers_of_graph(seen.listener.masks()) == answers_of_session(material, _TWO)


@PLACEMENTS
async def test_lookahead_equals_session(material: Material, placement: str) -> None:
    """Final masks that wait for later frames, those at the end of the file included."""
    seen = await _to_the_end(material, placement, {"cam0": {"prompts": _TWO}}, session={"lookahead": 2, "window": 4})
    expected = answers_of_session(material, _TWO, config=seen.graph.config)
    assert answers_of_graph(seen.listener.masks()) == expected


async def test_prompt_change_in_mid_stream_equals_session(material: Material) -> None:
    """A scheduled change: one sentence stays, one goes, one comes."""
    change = ["the red car", "a tree"]
    seen = await _to_the_end(
        material, "fused", {"cam0": {"prompts": _TWO, "changes": [{"at_s": 0.3, "prompts": change}]}}
    )
    assert answers_of_graph(seen.listener.masks()) == answers_of_session(material, _TWO, {0.3: change})
    assert len(seen.graph.report.prompt_to_mask_ms) == 1


async def test_two_streams_do_not_disturb_each_other(material: Material, tmp_path: Path) -> None:
    """Each stream with its own prompts equals a session of its own, to the bit where frames never go together."""
    other = make_material(tmp_path, num_frames=16, seed=5)
    seen = await _to_the_end(
        material,
        "fused",
        {"left": {"prompts": _TWO}, "right": {"source": other.frames, "prompts": {"thing": "a tree"}}},
        flow={"batching": "never"},
    )
    listener = seen.listener
    assert answers_of_graph(listener.masks("left")) == answers_of_session(material, _TWO)
    assert answers_of_graph(listener.masks("right")) == answers_of_session(other, {"thing": "a tree"})


async def test_outputs_are_written_by_the_graph(material: Material, tmp_path: Path) -> None:
    """Files are complete when the graph has ended."""
    lines, video = tmp_path / "masks.jsonl", tmp_path / "overlay.mp4"
    await _to_the_end(material, "fused", {"cam0": {"prompts": _TWO, "outputs": [str(lines), str(video)]}})
    assert len(lines.read_text().splitlines()) >= material.num_frames
    assert video.stat().st_size > 0


@PLACEMENTS
async def test_masks_come_with_their_picture(material: Material, placement: str) -> None:
    """The very frame, byte for byte as it is encoded, with the masks of every prompt; they stay the same."""
    pictures = {"picture": "jpeg", "picture_quality": 90}
    seen = await _to_the_end(material, placement, {"cam0": {"prompts": _TWO}}, masks=pictures)
    section = seen.graph.config.masks
    with open_source(material.frames) as source:
        expected = [jpeg_picture(frame.image, section) for frame in source.frames()]
    packets = seen.listener.masks()
    assert len(packets) == 2 * material.num_frames
    for packet in packets:
        message = packet.message
        assert isinstance(message, MaskMessage)
        assert isinstance(message.picture, EncodedPicture)
        sent = JpegPicture(bytes(packet.buffers[message.picture.buffer]), message.picture.size)
        assert sent == expected[message.frame.index]
    assert answers_of_graph(packets) == answers_of_session(material, _TWO)


async def test_failed_source_is_reported(material: Material, tmp_path: Path) -> None:
    """A source that cannot be opened ends its stream, and the report says why."""
    graph = graph_of(material, "fused", {"cam0": {"source": str(tmp_path / "missing.mp4"), "prompts": _TWO}})
    async with watched(graph) as seen:
        report = await seen.ended()
    assert "missing.mp4" in report.failures["cam0"]


async def test_prompts_set_by_request_apply_from_the_promised_frame(material: Material) -> None:
    """Before that frame all masks are under the old prompts, from it on under the new ones; versions never mix."""
    let_go = threading.Event()
    graph = graph_of(material, "fused", {"cam0": {"prompts": _TWO}}, let_go=let_go)
    async with watched(graph, let_go) as seen:
        async with AsyncPromptClient(graph.requests_address, "cam0") as client:
            await seen.frames(4)
            reply = await client.set(["a tree"])
        await seen.ended()
    promised = reply.applies_from.index
    assert promised is not None
    assert 0 < promised < material.num_frames, "the change came too early or too late to say anything"
    versions = {
        index: {
            message.prompt.version for message in seen.listener.messages(MaskMessage) if message.frame.index == index
        }
        for index in range(material.num_frames)
    }
    assert versions == {index: {1 if index < promised else reply.version} for index in range(material.num_frames)}


async def test_live_stream_keeps_its_pace(material: Material) -> None:
    """Frames that come too fast are dropped and counted, never queued; what comes out is in order."""
    source = {"source": "synthetic@96x64,60fps", "live": True, "prompts": _TWO, "max_frames": 40}
    let_go = threading.Event()
    graph = graph_of(material, "fused", {"cam0": source}, let_go=let_go)
    async with watched(graph, let_go) as seen:
        report = await seen.ended()
    frames = [message.frame for message in seen.listener.messages(MaskMessage)]
    assert [frame.seq for frame in frames] == sorted(frame.seq for frame in frames)
    missing = frames[-1].seq + 1 - len({frame.seq for frame in frames})
    assert missing <= report.dropped


async def test_late_subscriber_gets_the_state_at_once(material: Material) -> None:
    """Source, prompts and nodes, though they were published before it came."""
    graph = graph_of(material, "fused", {"cam0": {"prompts": _TWO}}, keep=True)
    async with watched(graph) as seen:
        await until(lambda: seen.listener.last_status("cam0") == "ended")
        async with Listener(graph.publish_address) as late:
            await until(lambda: bool(late.messages(PromptState)) and late.last_status("cam0") == "ended")
        (prompts,) = {state.prompts for state in late.messages(PromptState)}
    assert [prompt.text for prompt in prompts] == _TWO


async def test_subscriber_that_never_reads_slows_nobody(material: Material) -> None:
    """Its messages are dropped at its own queue; everybody else gets every frame."""
    let_go = threading.Event()
    graph = graph_of(material, "fused", {"cam0": {"prompts": _TWO}}, let_go=let_go)
    context = zmq.asyncio.Context()
    idle = context.socket(zmq.SUB)
    idle.rcvhwm = 1
    idle.subscribe(b"")
    try:
        async with watched(graph) as seen:
            idle.connect(graph.publish_address)
            let_go.set()
            await seen.ended()
    finally:
        context.destroy(linger=0)
    _expect_each_frame_once_in_order(seen, "cam0", material.num_frames)
