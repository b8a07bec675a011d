"""A small network and a short stream for graphs, and what a session makes of them."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from ssa_stream.checkpoints import open_network, save_checkpoint
from ssa_stream.model import SSA
from ssa_stream.nodes.launcher import Graph
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.protocols import MaskMessage, Packet, unpack_labels
from ssa_stream.sources import open_source
from ssa_stream.streaming import MaskResult, ReferSession
from tests.support.tiny_model import one_model_thread, random_frames, tiny_config, tiny_model

__all__ = ["Answer", "Material", "answers_of_graph", "answers_of_session", "graph_of", "make_material"]

Prompts: TypeAlias = Sequence[str] | Mapping[str, str]
Answer: TypeAlias = tuple[Any, ...]
"""Everything that a result says, comparable: masks as bytes."""
Answers: TypeAlias = dict[tuple[int, str], Answer]
"""By frame and prompt."""


@dataclass(frozen=True)
class Material:
    """Files of a test.

    Attributes:
        checkpoint: Weights of the small network.
        frames: Pictures of the stream, as `open_source` takes them.
        num_frames: How many there are.
    """

    checkpoint: Path
    frames: str
    num_frames: int


def make_material(folder: Path, num_frames: int = 24, seed: int = 0) -> Material:
    """Write them."""
    checkpoint = folder / "tiny.safetensors"
    save_checkpoint(checkpoint, tiny_model(), tiny_config())
    for number, picture in enumerate(random_frames(num_frames, seed=seed)):
        Image.fromarray(picture).save(folder / f"frame-{number:03d}.png")
    return Material(checkpoint, str(folder / "frame-%03d.png"), num_frames)


def graph_of(
    material: Material,
    placement: str,
    streams: Mapping[str, Mapping[str, Any]],
    *,
    let_go: threading.Event | None = None,
    keep: bool = False,
    **sections: Any,
) -> Graph:
    """A graph of the small network on free ports; see `watched` for `let_go`."""
    health = {"heartbeat_s": 0.1, "backoff_s": 0.05, "heartbeat_timeout_s": 5.0} | sections.pop("health", {})
    config = PipelineConfig.from_mapping(
        {
            "placement": placement,
            "model": {"checkpoint": str(material.checkpoint), "device": "cpu", "threads": 1},
            "public": {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"},
            "health": health,
            "streams": {name: {"source": material.frames, **stream} for name, stream in streams.items()},
            **sections,
        }
    )
    return Graph(config, keep=keep, load_model=lambda: _load(material, let_go))


def _load(material: Material, let_go: threading.Event | None) -> SSA:
    if let_go is not None:
        assert let_go.wait(60), "nobody listens"
    return open_network(material.checkpoint)


def answers_of_session(
    material: Material,
    prompts: Prompts,
    changes: Mapping[float, Prompts] | None = None,
    source: str | None = None,
    config: PipelineConfig | None = None,
) -> Answers:
    """What a session makes of the stream; `changes` by stream time."""
    settings = None if config is None else config.to_session_config()
    due, results = sorted((changes or {}).items()), []
    with one_model_thread(), open_source(source or material.frames) as opened:
        session = ReferSession(open_network(material.checkpoint), settings, prompts)
        for frame in opened.frames():
            while due and frame.t >= due[0][0]:
                session.set_prompts(due.pop(0)[1])
            results += session.push(frame.image, frame.t, pixel_aspect=frame.pixel_aspect)
        results += session.flush()
    return {(result.frame_index, result.prompt_id): _of_result(result) for result in results if _is_final(result)}


def _is_final(result: MaskResult) -> bool:
    return result.status == "final"


def _of_result(result: MaskResult) -> Answer:
    tracks = tuple(
        (track.track_id, track.score, track.probability, track.box_xyxy, track.area_px, track.mask.tobytes())
        for track in result.tracks
    )
    return result.prompt, result.prompt_version, result.probability, result.after_reset, tracks


def answers_of_graph(packets: Sequence[Packet]) -> Answers:
    """What a graph published, frame by frame.

    Raises:
        AssertionError: Masks of a frame and prompt came twice.
    """
    answers: Answers = {}
    for packet in packets:
        message = packet.message
        assert isinstance(message, MaskMessage)
        key = message.frame.index, message.prompt.id
        assert key not in answers, f"masks of frame {key[0]} for {key[1]} came twice"
        answers[key] = _of_message(message, packet)
    return answers


def _of_message(message: MaskMessage, packet: Packet) -> Answer:
    labels = unpack_labels(message, packet.buffers)
    tracks = tuple(
        (
            track.id,
            track.score,
            track.probability,
            track.box_xyxy,
            track.area_px,
            np.ascontiguousarray(labels.mask(track)).tobytes(),
        )
        for track in message.tracks
    )
    return message.prompt.text, message.prompt.version, message.probability, message.after_reset, tracks
