"""What a peer sent, received and lost, counted for the gateway's metrics."""

from collections import Counter
from collections.abc import Mapping

from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.protocols import DropReason

__all__ = ["PeerFigures"]

_DROPS = {"frames_overtaken": DropReason.OVERTAKEN, "frames_not_decoded": DropReason.QUEUE_FULL}
"""Figures that are frames of a camera which no node of the graph ever hears of."""


class PeerFigures:
    """Adds the figures of one peer to those of all.

    Args:
        metrics: Of the gateway.
        stream: Which stream the peer is about.
    """

    def __init__(self, metrics: NodeMetrics, stream: str) -> None:
        self._metrics, self._stream = metrics, stream
        self._told: Counter[str] = Counter()

    def tell(self, figures: Mapping[str, int]) -> None:
        """Count what the figures have grown by since the last time.

        Args:
            figures: By name, since the peer came; they only grow.
        """
        now = Counter(figures)
        for name, grown in (now - self._told).items():
            if name in _DROPS:
                self._metrics.dropped(self._stream, _DROPS[name], grown)
            else:
                self._metrics.count(name, grown, self._stream)
        self._told = now

    def limit(self, name: str) -> None:
        """The peer came to a limit."""
        self._metrics.count(f"limit_{name}", stream=self._stream)
