"""Figures of peers in the metrics of the gateway."""

from ssa_stream.nodes.gateway.webrtc.figures import PeerFigures
from ssa_stream.nodes.pipeline import GATEWAY
from ssa_stream.nodes.runtime.metrics import NodeMetrics


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
