"""Frames of several streams in one batch: every stream gets what a session of its own gives."""

from functools import partial
from typing import Any

import pytest
import torch

from ssa_stream.checkpoints import load_checkpoint
from ssa_stream.data import render, sample_scene
from ssa_stream.model import resize_frame, to_input
from ssa_stream.nodes.pipeline import DECODER
from ssa_stream.nodes.runtime.batch_costs import BatchCosts
from ssa_stream.streaming import MaskResult, ReferSession
from ssa_stream.streaming.encoding import Row, encode_newest, encode_rows, generate_joint_rows, generate_rows
from tests.support.model_nodes import ModelNodes, Player, model_nodes, pipeline
from tests.support.tiny_model import one_model_thread, random_frames, tiny_model

pytestmark = pytest.mark.slow

PROMPTS = {"a": ["a dog"], "b": ["the red car", "a bird"], "c": ["a dog"]}
FRAMES = 4


@pytest.fixture
def always_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever waits is one batch."""
    monkeypatch.setattr(BatchCosts, "choose", lambda _, kind, rows: len(rows))


def _alone(stream: str, seed: int) -> list[MaskResult]:
    with one_model_thread():
        session = ReferSession(tiny_model(), pipeline().to_session_config(), PROMPTS[stream])
        frames = random_frames(FRAMES, seed=seed)
        return [result for k, frame in enumerate(frames) for result in session.push(frame, k / 10)]


def _are_finished(stand: ModelNodes, number: int) -> bool:
    return len(stand.finished) == number


def _counts(stand: ModelNodes, node: str) -> dict[str, int]:
    return {one.name: one.value for one in stand.metrics[node].statistics().counters}


@pytest.mark.usefixtures("always_together")
async def test_streams_in_one_batch_equal_sessions_of_their_own() -> None:
    """Probabilities within 1e-5, the same ids in the same order, and the same masks but for a pixel at their edges."""
    settings, model = pipeline(names=tuple(PROMPTS), flow={"max_wait_ms": 1000}), tiny_model()
    async with model_nodes(settings, model) as stand:
        players = {name: Player(model, settings, name) for name in PROMPTS}
        for name, player in players.items():
            player.set_prompts(PROMPTS[name])
        seeds = {name: seed for seed, name in enumerate(PROMPTS)}
        frames = {name: random_frames(FRAMES, seed=seed) for name, seed in seeds.items()}
        for k in range(FRAMES):
            for name, player in players.items():
                assert await stand.encoders.send(*player.frame(frames[name][k], k / 10))
            await stand.until(partial(_are_finished, stand, 3 * (k + 1)))
        batches = {node: _counts(stand, node) for node in ("encoder-0", "queries-0", DECODER)}
        results = dict(stand.results_of)
    for counted in batches.values():
        assert counted["batched_frames"] >= 3 * (FRAMES - 1)
    for name, seed in seeds.items():
        expected = _alone(name, seed)
        for ours, theirs in zip(results[name], expected, strict=True):
            assert _said(ours) == _said(theirs)
            for track, other in zip(ours.tracks, theirs.tracks, strict=True):
                assert (track.mask ^ other.mask).sum() <= 1
        assert [one.probability for one in results[name]] == pytest.approx(
            [one.probability for one in expected], abs=1e-5
        )
    assert any(one.tracks for one in results["a"])


def _said(result: MaskResult) -> tuple[Any, ...]:
    return result.frame_index, result.prompt, result.prompt_version, [one.track_id for one in result.tracks]


@pytest.mark.usefixtures("always_together")
async def test_sentence_that_fails_costs_its_own_stream_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others of its batch come out, and their streams go on."""
    settings, model = pipeline(names=tuple(PROMPTS)), tiny_model()
    encode_text = type(model).encode_text

    def failing(prompts: list[str]) -> Any:
        if prompts == ["a bird"]:
            raise MemoryError("no room")
        return encode_text(model, prompts)

    monkeypatch.setattr(model, "encode_text", failing)
    async with model_nodes(settings, model) as stand:
        for name in PROMPTS:
            player = Player(model, settings, name)
            player.set_prompts(PROMPTS[name])
            for k, frame in enumerate(random_frames(1)):
                assert await stand.encoders.send(*player.frame(frame, k / 10))
        await stand.until(partial(_are_finished, stand, 3))
        assert {name: len(results) for name, results in stand.results_of.items()} == {"a": 1, "c": 1}
        assert _counts(stand, "encoder-0")["batches_failed"] == 1
        events = [fields["stream"] for broker in stand.brokers.values() for _, fields in broker.events]
        assert events == ["b"]


def test_rows_of_ssa_tiny_are_those_of_a_stream_alone_but_for_rounding() -> None:
    """With the shipped weights, on drawn scenes, with one and two prompts."""
    model, texts = load_checkpoint("ssa-tiny"), [["the red circle"], ["the blue square", "a star"], ["the heart"]]
    pictures = [resize_frame(render(sample_scene(seed, split="test"), 4).image, (128, 224)) for seed in range(3)]
    with one_model_thread(), torch.inference_mode():
        encoded = [[model.encode_text([text]) for text in row] for row in texts]
        stems = [model.encode_stem(to_input([picture])) for picture in pictures]
        together = encode_newest(model, model.encode_stem(to_input(pictures)), encoded)
        for number, rows in enumerate(generate_joint_rows(model, together)):
            newest = [Row(prompt, 0) for prompt in range(len(texts[number]))]
            alone = encode_rows(model, [stems[number]], encoded[number], newest)
            made = generate_rows(model, alone)
            compared = zip((*together[number].maps, *rows), (*alone.maps, *made), strict=True)
            for ours, theirs in compared:
                assert ours.shape == theirs.shape
                assert (ours - theirs).square().mean().sqrt() < 1e-5 * theirs.square().mean().sqrt()
