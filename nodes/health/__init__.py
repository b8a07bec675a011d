"""Health and metrics of a graph: as values, in Prometheus' format, and over HTTP.

What is here needs neither aiohttp nor prometheus-client; `routes`, `server` and `metrics` do and are imported by name.
"""

from ssa_stream.nodes.health.record import HealthRecord
from ssa_stream.nodes.health.view import HealthView, NodeHealth, Verdict

__all__ = ["HealthRecord", "HealthView", "NodeHealth", "Verdict"]
