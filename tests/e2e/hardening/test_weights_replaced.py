"""A checkpoint that is replaced while its graph runs: no mask is made with weights of two files."""

import functools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import torch
from msgspec import UNSET

from ssa_stream.checkpoints import load_checkpoint, save_checkpoint
from ssa_stream.client import ReloadedWeights, reload_weights
from ssa_stream.errors import ConfigError
from ssa_stream.nodes.launcher import Graph
from ssa_stream.protocols import Event, Heartbeat, MaskMessage
from ssa_stream.weight_files import WeightFile
from tests.support.graph_streams import Material, graph_of, make_material
from tests.support.graphs import Watched, watched
from tests.support.threads import in_thread
from tests.support.tiny_model import tiny_config, tiny_model
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

_WITH_WEIGHTS = ("encoder-0", "queries-0", "decoder-0", "masks-0")
_STREAM = {"source": "synthetic@64x48,20fps", "live": True, "prompts": ["a dog"]}


@pytest.fixture
def material(tmp_path: Path) -> Material:
    """Weights of a small network, in a file that the test may replace."""
    return make_material(tmp_path, num_frames=1)


@pytest.fixture
def files(material: Material) -> dict[str, bytes]:
    """Contents that the file may have: as it is, with other weights, cut off, of another network."""
    path, known = material.checkpoint.with_name("other.safetensors"), material.checkpoint.read_bytes()
    network = load_checkpoint(material.checkpoint)
    with torch.no_grad():
        network.video_mask_features.get_parameter("bias").add_(0.25)
    save_checkpoint(path, network, tiny_config())
    others = path.read_bytes()
    save_checkpoint(path, tiny_model(5), tiny_config(5))
    return {"known": known, "others": others, "cut off": others[:-100], "another network": path.read_bytes()}


@asynccontextmanager
async def _live(material: Material, placement: str = "processes") -> AsyncIterator[Watched]:
    """A graph with a live stream, when its masks flow."""
    config = graph_of(material, placement, {"cam0": _STREAM}, health={"max_restarts": 1}).config
    async with watched(Graph(config)) as seen:
        await seen.frames(5)
        assert _weights(seen) == dict.fromkeys(_WITH_WEIGHTS, _fingerprint(material.checkpoint))
        yield seen


def _fingerprint(path: Path) -> str:
    return WeightFile.read(path).fingerprint


def _weights(seen: Watched) -> dict[str, str]:
    """What every node that is ready says of its weights."""
    said = {beat.node: beat for beat in seen.listener.messages(Heartbeat)}
    return {
        name: said[name].weights
        for name in _WITH_WEIGHTS
        if name in said and said[name].ready and said[name].weights is not UNSET
    }


def _events(seen: Watched, kind: str) -> list[Event]:
    return [event for event in seen.listener.messages(Event) if event.kind == kind]


async def _reload(graph: Graph) -> ReloadedWeights:
    return await in_thread(lambda: reload_weights(graph.requests_address))


async def _more_masks(seen: Watched) -> None:
    """Masks of frames that are made from now on."""
    await seen.frames(len(seen.listener.indices()) + 10)


async def test_replaced_weights_are_taken_by_all_nodes_or_none(material: Material, files: dict[str, bytes]) -> None:
    """A node that is lost does not come back with other weights; `reload` lets all of them take these together."""
    async with _live(material) as seen:
        graph, former = seen.graph, _fingerprint(material.checkpoint)
        replace = functools.partial(_replace, material, files)

        # A node dies after the file was replaced: it waits until the former file is back.
        replace("others")
        graph.kill("encoder-0")
        await until(lambda: bool(_events(seen, "weights_changed")), "the replaced file is told")
        (event,) = _events(seen, "weights_changed")
        assert event.about_node == "encoder-0"
        assert "ssa-stream reload" in event.text
        health = graph.health()
        assert health is not None
        assert any("encoder-0 is not ready" in reason for reason in health.ready().reasons)
        assert graph.pid("encoder-0") is None
        replace("known")
        await _more_masks(seen)
        assert _weights(seen) == dict.fromkeys(_WITH_WEIGHTS, former)

        # A file that cannot be used is refused, and no node is ended for it.
        pids = {name: graph.pid(name) for name in _WITH_WEIGHTS}
        replace("cut off")
        with pytest.raises(ConfigError, match=r"the weights are not taken: .*not a whole safetensors file"):
            await _reload(graph)
        replace("another network")
        with pytest.raises(ConfigError, match="holds another network than the graph runs"):
            await _reload(graph)
        await _more_masks(seen)
        assert {name: graph.pid(name) for name in _WITH_WEIGHTS} == pids

        # Other weights of the same network are taken by all; it is no loss of a node.
        replace("others")
        wanted, last_epoch = _fingerprint(material.checkpoint), _last_epoch(seen)
        answer = await _reload(graph)
        assert (answer.fingerprint, sorted(answer.nodes)) == (wanted, sorted(_WITH_WEIGHTS))
        await until(lambda: _last_epoch(seen) > last_epoch, "masks of a new epoch")
        await _more_masks(seen)
        assert _weights(seen) == dict.fromkeys(_WITH_WEIGHTS, wanted)
        assert len(_events(seen, "weights_reloaded")) == 1
        assert await _reload(graph) == ReloadedWeights(wanted, ())
        assert [event.about_node for event in _events(seen, "node_lost")] == ["encoder-0"]


def _replace(material: Material, files: dict[str, bytes], name: str) -> None:
    """Put another file in the place of the checkpoint, at once."""
    partial = material.checkpoint.with_suffix(".partial")
    partial.write_bytes(files[name])
    shutil.move(partial, material.checkpoint)


def _last_epoch(seen: Watched) -> int:
    epochs: list[int] = [message.frame.epoch for message in seen.listener.messages(MaskMessage)]
    return max(epochs)


async def test_graph_in_one_process_refuses_to_reload(material: Material, files: dict[str, bytes]) -> None:
    """It has one network, and says what to do."""
    async with _live(material, "fused") as seen:
        _replace(material, files, "others")
        with pytest.raises(ConfigError, match=r"one process \(placement: fused\)"):
            await _reload(seen.graph)
        await _more_masks(seen)
