"""Health and metrics of a graph: as values, in Prometheus' format, and over HTTP.

All of it is made of a `GraphState`. What is here needs neither aiohttp nor prometheus-client; `server` and `metrics`
do and are imported by name.
"""

from ssa_stream.nodes.health.view import HealthView, NodeHealth, Verdict

__all__ = ["HealthView", "NodeHealth", "Verdict"]
