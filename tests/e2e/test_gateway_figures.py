"""What a gateway counts is published as nodes' figures are, with a broker and without a graph."""

import functools
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ssa_stream.client import UpdateSubscription
from ssa_stream.client.graph_state import GraphState
from ssa_stream.nodes.gateway.settings import ControlAccess, control_socket
from ssa_stream.nodes.health.metrics import exposition
from ssa_stream.nodes.pipeline import GATEWAY
from tests.support.gateway import SDP, CameraTrack, Peer, gateway
from tests.support.scripted_nodes import Graph, graph, pipeline
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("no_idle_threads", "media_on_loopback")]


def _control(folder: Path) -> ControlAccess:
    return ControlAccess(address=f"ipc://{control_socket(folder)}", heartbeat_s=0.05, heartbeat_timeout_s=0.5)


def _of_gateway(running: Graph) -> dict[tuple[str, str], float]:
    """Its metrics by name and stream, as Prometheus reads them."""
    text = exposition(running.broker.health()).decode()
    return {
        (sample.name.removeprefix("ssa_stream_"), sample.labels.get("stream", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("node") == GATEWAY
    }


def _is_ready(running: Graph) -> bool:
    return running.broker.health().nodes[GATEWAY].ready


async def test_figures_of_a_gateway_are_metrics(tmp_path: Path) -> None:
    """Peers that are here, what they sent, who was refused, and which limits they came to, while it happens."""
    control = _control(tmp_path)
    limits = {"peers": 1, "message_bytes": 50}
    async with graph(pipeline(cam={}, file={}), gateway=control.address) as running:
        assert not running.broker.health().ready().ok
        async with gateway(tmp_path, control=control, limits=limits) as url, aiohttp.ClientSession() as session:
            await until(lambda: _is_ready(running), "the gateway is ready")
            await until(lambda: _of_gateway(running).get(("queue_peers_capacity", "")) == 1, "a gauge")
            peer = Peer(CameraTrack([np.full((48, 64, 3), 128, dtype=np.uint8)]))
            await peer.begin(session, url + "whip/cam")
            async with session.post(url + "whep/cam", data=b"v=0", headers=SDP) as refused:
                assert refused.status == 503
            peer.prompts.send("x" * 60)
            expected = {
                ("queue_peers_length", ""): 1.0,
                ("count_refused_503_total", ""): 1.0,
                ("count_limit_command_bytes_total", "cam"): 1.0,
            }
            await until(lambda: expected.items() <= _of_gateway(running).items(), "figures")
            # Nobody asks for pictures here: each replaces the one before.
            await until(lambda: _of_gateway(running).get(("count_frames_not_fetched_total", "cam"), 0) > 3)
            state = GraphState()
            async with UpdateSubscription(running.broker.publish_address) as subscribed:
                while state.nodes.get(GATEWAY) is None or state.nodes[GATEWAY].statistics is None:
                    update = await subscribed.next_async(20.0)
                    assert update is not None
                    state.take(update.message, now_ns=0)
            await peer.close()
            await until(lambda: _of_gateway(running)["queue_peers_length", ""] == 0, "the peer is gone")


async def test_gateway_says_hello_again_when_control_is_back(tmp_path: Path) -> None:
    """It goes on without: peers keep what they have."""
    control = _control(tmp_path)
    async with gateway(tmp_path, control=control) as url:
        for _ in range(2):
            async with graph(pipeline(cam={}), gateway=control.address) as running:
                await until(functools.partial(_is_ready, running), "the gateway said hello")
        async with aiohttp.ClientSession() as session, session.get(url) as page:
            assert page.status == 200


async def test_gateway_that_is_lost_is_told(tmp_path: Path) -> None:
    """And its next start is taken in."""
    control = _control(tmp_path)
    async with graph(pipeline(cam={}), gateway=control.address) as running:
        async with gateway(tmp_path, control=control):
            await until(lambda: _is_ready(running), "the first start")
        await running.broker.node_lost(GATEWAY, 0, "exited", "ended by SIGKILL")
        assert any(
            "gateway-0 is not ready (lost: ended by SIGKILL)" in one for one in running.broker.health().ready().reasons
        )
        async with gateway(tmp_path, control=control, incarnation=1):
            await until(lambda: _is_ready(running), "the second start")
        assert running.broker.health().nodes[GATEWAY].losses == 1
