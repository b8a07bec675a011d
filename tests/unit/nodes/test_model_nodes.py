"""The model nodes in a row give what a session gives, to the bit."""

import asyncio
import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.nodes.runtime.transport.in_process import _FusedOutlet
from ssa_stream.nodes.runtime.transport.links import LinkMaskOutlet
from ssa_stream.protocols import AnyMessage, MaskFeaturesMessage, MaskMessage
from ssa_stream.sinks import read_json_lines
from ssa_stream.streaming import MaskResult, ReferSession
from tests.support.model_nodes import STREAM, ModelNodes, Player, model_nodes, pipeline
from tests.support.tiny_model import one_model_thread, random_frames, tiny_model
from tests.unit.streaming.comparing import assert_same_results

pytestmark = pytest.mark.slow

THREE = ["a dog", "the red car", "a bird"]
Changes = Mapping[int, Sequence[str] | Mapping[str, str]]


def _session_results(
    settings: PipelineConfig, times: Sequence[float], prompts: Sequence[str], changes: Changes
) -> list[MaskResult]:
    results = []
    with one_model_thread():
        session = ReferSession(tiny_model(), settings.to_session_config(), prompts)
        for number, (frame, t) in enumerate(zip(random_frames(len(times)), times, strict=True)):
            if number in changes:
                session.set_prompts(changes[number])
            results += session.push(frame, t)
        return results + session.flush()


async def _play(
    stand: ModelNodes, player: Player, times: Sequence[float], prompts: Sequence[str], changes: Changes
) -> None:
    player.set_prompts(prompts)
    for number, (frame, t) in enumerate(zip(random_frames(len(times)), times, strict=True)):
        if number in changes:
            player.set_prompts(changes[number])
        await stand.send(*player.frame(frame, t))
    await stand.end(player, times[-1])


TIMES = [k / 10 for k in range(11)]
CASES: dict[str, dict[str, Any]] = {
    "one_prompt": {"prompts": THREE[:1]},
    "three_prompts": {"prompts": THREE},
    "no_prompts": {"prompts": []},
    "prompt_change": {"changes": {5: ["the red car", "a cat"], 8: {"p1": "a cat", "x": "a bird"}}},
    "prompts_come_and_go": {"changes": {3: [], 6: THREE}},
    "lookahead": {"session": {"lookahead": 2}},
    "lookahead_and_change": {"session": {"lookahead": 2}, "changes": {5: ["the red car", "a cat"], 9: THREE}},
    "provisional": {"session": {"lookahead": 2, "emit_provisional": True}, "changes": {6: THREE}},
    "gap": {"times": [0.0, 0.1, 0.2, 0.3, 5.0, 5.1, 5.2]},
    "gap_with_lookahead": {"times": [0.0, 0.1, 0.2, 0.3, 5.0, 5.1, 5.2], "session": {"lookahead": 2}},
    "more_rows_than_a_batch": {"session": {"window": 20}, "times": [k / 10 for k in range(22)], "changes": {20: THREE}},
    "many_workers": {"workers": {"encoder": 2, "queries": 2}, "changes": {5: THREE}, "flow": {"in_flight": 4}},
}


@pytest.mark.parametrize("case", CASES)
async def test_nodes_in_a_row_equal_a_session(case: str) -> None:
    """Every frame once and in order, whatever happens to the prompts."""
    given = dict(CASES[case])
    times, prompts = given.pop("times", TIMES), given.pop("prompts", THREE[:2])
    changes = given.pop("changes", {})
    settings = pipeline(**given)
    async with model_nodes(settings, tiny_model()) as stand:
        await _play(stand, Player(tiny_model(), settings), times, prompts, changes)
        assert_same_results(stand.results, _session_results(settings, times, prompts, changes))
        assert stand.drops() == {}
        assert stand.frames_out() == len(times)
        assert stand.finished == sorted(stand.finished)


async def test_frame_is_finished_after_its_masks_on_their_link() -> None:
    """So no masks can be lost of a frame that counts as finished, wherever the node is killed."""
    settings = pipeline(session={"emit_provisional": True, "lookahead": 1})
    async with model_nodes(settings, tiny_model()) as stand:
        await _play(stand, Player(tiny_model(), settings), TIMES[:3], THREE[:2], {})
        said = [
            (message.status, message.frame.seq) if isinstance(message, MaskMessage) else ("finished", message.seq)
            for message in stand.said
        ]
    final = [[("final", seq), ("final", seq), ("finished", seq)] for seq in range(3)]
    assert [one for one in said if one[0] != "provisional"] == [*final[0], *final[1], *final[2], ("finished", 3)]


@pytest.mark.parametrize(("flow", "drops"), [("every_frame", {}), ("freshest", {"queue_full": 1})])
async def test_masks_that_control_does_not_take_are_lost_only_if_live(
    flow: str, drops: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere they are offered until they are taken, before anything else is said."""
    publish, refusals = LinkMaskOutlet.publish, [True, False, False]

    async def refuse_once(self: LinkMaskOutlet, parts: Any) -> bool:
        return False if refusals and refusals.pop() else await publish(self, parts)

    monkeypatch.setattr(LinkMaskOutlet, "publish", refuse_once)
    settings = pipeline(stream={"flow": flow})
    async with model_nodes(settings, tiny_model()) as stand:
        await _play(stand, Player(tiny_model(), settings), TIMES[:3], THREE[:1], {})
        assert (stand.frames_out(), stand.drops()) == (3 - len(drops), drops)
        lost = [1] if drops else []
        assert [one.frame_index for one in stand.results] == [index for index in range(3) if index not in lost]


@pytest.mark.parametrize("lookahead", [0, 2])
async def test_frames_sent_again_in_a_new_epoch_change_nothing(lookahead: int) -> None:
    """As after the restart of a node: the decoder goes back, and what is out does not come out again."""
    settings = pipeline(session={"lookahead": lookahead}, flow={"in_flight": 4})
    frames, first_again = list(zip(random_frames(len(TIMES)), TIMES, strict=True)), 5 - lookahead
    async with model_nodes(settings, tiny_model()) as stand:
        player, before = Player(tiny_model(), settings), None
        player.set_prompts(THREE[:2])
        for frame, t in frames[:8]:
            if player.index == first_again:
                before = copy.deepcopy(player)
            if player.index == 6:
                player.set_prompts(THREE)
            await stand.send(*player.frame(frame, t))
        await stand.until(lambda: max(one.frame_index for one in stand.results) == 7 - lookahead)
        assert before is not None
        before.begin_epoch()
        stand.sent.clear()
        for frame, t in frames[first_again:]:
            if before.index == 6:
                before.set_prompts(THREE)
            await stand.send(*before.frame(frame, t))
        await stand.end(before, t)
        assert_same_results(stand.results, _session_results(settings, TIMES, THREE[:2], {6: THREE}))


async def test_failing_work_costs_its_frame_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted and told, and the next frame comes out."""
    settings = pipeline()
    model, calls = tiny_model(), 0

    def generate_queries(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise MemoryError("no room")
        return type(model).generate_queries(model, *args)

    monkeypatch.setattr(model, "generate_queries", generate_queries)
    async with model_nodes(settings, model) as stand:
        player = Player(model, settings)
        await _play(stand, player, TIMES[:6], THREE[:1], {})
        assert [one.frame_index for one in stand.results] == [0, 1, 3, 4, 5]
        assert stand.drops() == {"failed": 1}
        assert [kind for broker in stand.brokers.values() for kind, _ in broker.events] == ["frames_dropped"]


async def test_stale_live_frame_is_dropped_but_not_a_replay() -> None:
    """The memory of a new prompt is made however late its frame is."""
    settings = pipeline(stream={"flow": "freshest"}, flow={"staleness_s": 5.0})
    async with model_nodes(settings, tiny_model()) as stand:
        player = Player(tiny_model(), settings)
        player.set_prompts(THREE[:1])
        for number, (frame, t) in enumerate(zip(random_frames(6), TIMES, strict=False)):
            if number == 4:
                player.set_prompts(THREE)
            old = {"t_receive_ns": 0} if number in (2, 4) else {}
            await stand.send(*player.frame(frame, t, **old))
        await stand.end(player, t)
        assert sorted({one.frame_index for one in stand.results}) == [0, 1, 3, 4, 5]
        assert stand.drops() == {"stale": 1}


async def test_frames_without_masks_are_finished_in_order_with_lookahead() -> None:
    """Even when so many are dropped that none is left to complete the lookahead of those that wait."""
    settings = pipeline(stream={"flow": "freshest"}, session={"lookahead": 2}, flow={"in_flight": 2})
    async with model_nodes(settings, tiny_model()) as stand:
        player = Player(tiny_model(), settings)
        player.set_prompts(THREE[:1])
        for number, (frame, t) in enumerate(zip(random_frames(8), TIMES, strict=False)):
            await stand.send(*player.frame(frame, t, **({"t_receive_ns": 0} if 2 <= number else {})))
        await stand.until(lambda: len(stand.results) == 2)
        await asyncio.wait_for(stand.end(player, t), 30)
        assert [one.frame_index for one in stand.results] == [0, 1]
        assert stand.finished == sorted(stand.finished)


async def test_outputs_are_written_with_their_pictures(tmp_path: Path) -> None:
    """Those of one stream, closed when the node ends."""
    lines = tmp_path / "masks.jsonl"
    settings = pipeline(stream={"outputs": [str(lines)]}, session={"lookahead": 1})
    frames = random_frames(5)
    async with model_nodes(settings, tiny_model()) as stand:
        player = Player(tiny_model(), settings)
        player.set_prompts(THREE[:2])
        for frame, t in zip(frames, TIMES, strict=False):
            message, payload = player.frame(frame, t)
            await stand.send_picture(message, frame)
            await stand.send(message, payload)
        await stand.end(player, t)
    written = [record.result for record in read_json_lines(lines)]
    expected = _session_results(settings, TIMES[:5], THREE[:2], {})
    assert [(one.t, one.prompt_id, one.tracks[0].box_xyxy) for one in written if one.tracks] == [
        (one.t, one.prompt_id, one.tracks[0].box_xyxy) for one in expected if one.tracks
    ]
    assert len(written) == len(expected)


async def test_frame_whose_picture_does_not_come_goes_without_it_and_is_told(tmp_path: Path) -> None:
    """Its masks are published, its line is not written."""
    lines = tmp_path / "masks.jsonl"
    settings = pipeline(stream={"flow": "freshest", "outputs": [str(lines)]}, flow={"reorder_wait_s": 0.05})
    with capture_logs() as logs:
        async with model_nodes(settings, tiny_model()) as stand:
            await _play(stand, Player(tiny_model(), settings), TIMES[:2], THREE[:1], {})
            assert [one.frame_index for one in stand.results] == [0, 1]
            counters = stand.metrics["masks-0"].statistics().counters
            assert [one.value for one in counters if one.name == "picture_missing"] == [2]
    assert "picture of a frame did not come" in [one["event"] for one in logs]


async def test_mask_features_that_are_not_taken_are_offered_again_where_every_frame_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without them the frame would be held up at the masks node for minutes."""
    send = _FusedOutlet.send
    refused: list[int] = []

    async def refusing(outlet: _FusedOutlet, message: AnyMessage, *args: Any, **settings: Any) -> bool:
        if isinstance(message, MaskFeaturesMessage) and len(refused) < 3:
            refused.append(message.work.frame.seq)
            return False
        return await send(outlet, message, *args, **settings)

    monkeypatch.setattr(_FusedOutlet, "send", refusing)
    settings = pipeline()
    async with model_nodes(settings, tiny_model()) as stand:
        await _play(stand, Player(tiny_model(), settings), TIMES[:2], THREE[:1], {})
        assert [one.frame_index for one in stand.results] == [0, 1]
    assert refused == [0, 0, 0]


@pytest.mark.parametrize("size", ["source", "network"])
async def test_masks_are_sent_as_the_configuration_says(size: str) -> None:
    """At the size that is asked for, with run lengths; boxes stay those of the source."""
    settings = pipeline(masks={"size": size, "rle": True}, session={"short_edge_px": 64})
    async with model_nodes(settings, tiny_model()) as stand:
        await _play(stand, Player(tiny_model(), settings), TIMES[:3], THREE[:2], {})
        expected = _session_results(settings, TIMES[:3], THREE[:2], {})
        assert [one.box_xyxy for message in stand.messages for one in message.tracks] == [
            one.box_xyxy for result in expected for one in result.tracks
        ]
        for message in stand.messages:
            assert message.size == (message.source_size if size == "source" else (64, 92))
            assert all(track.rle is not None for track in message.tracks)
            assert [stage.role for stage in message.times] == ["encoder", "queries", "decoder", "masks"]
            assert all(stage.received_ns <= stage.begin_ns <= stage.end_ns for stage in message.times)


async def test_decoder_goes_on_from_its_saved_state(tmp_path: Path) -> None:
    """A damaged one is left aside; the next decoder goes on bit for bit with what was written last."""
    settings = pipeline(decoder={"checkpoint": str(tmp_path), "checkpoint_every_s": 1e-9})
    (tmp_path / f"decoder-{STREAM}.safetensors").write_bytes(b"damaged")
    frames, player = list(zip(random_frames(len(TIMES)), TIMES, strict=True)), Player(tiny_model(), settings)
    player.set_prompts(THREE[:2])
    expected = _session_results(settings, TIMES, THREE[:2], {})
    async with model_nodes(settings, tiny_model()) as stand:
        for frame, t in frames[:6]:
            await stand.send(*player.frame(frame, t))
        await stand.all_finished()
        assert_same_results(stand.results, [one for one in expected if one.frame_index < 6])
    player.begin_epoch()
    async with model_nodes(settings, tiny_model()) as stand:
        for frame, t in frames[6:]:
            await stand.send(*player.frame(frame, t))
        await stand.all_finished()
        # The masks node began anew, too, and its tracks with it: the decoder's share is what is compared.
        assert [(one.frame_index, one.prompt_id, one.probability) for one in stand.results] == [
            (one.frame_index, one.prompt_id, one.probability) for one in expected if one.frame_index >= 6
        ]
