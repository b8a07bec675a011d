"""Puts the nodes of a graph together, in one process or in several, and keeps them alive. Imports no torch."""

from ssa_stream.nodes.broker.saved_prompts import SavedPrompts
from ssa_stream.nodes.launcher.graph import Graph, run_graph
from ssa_stream.nodes.launcher.observer import GraphReport

__all__ = ["Graph", "GraphReport", "SavedPrompts", "run_graph"]
