"""Live text-prompted video segmentation with the SSA network.

The package is cut into parts that are imported by name: `ssa_stream.model` (the network),
`ssa_stream.streaming` (what changes over time), `ssa_stream.sources` and `ssa_stream.sinks` (video in,
masks out), `ssa_stream.checkpoints` (weights). Nothing is imported here, so that a subscriber on a
machine without torch pays for none of it.
"""

__version__ = "0.1.0"
