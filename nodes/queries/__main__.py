"""`python -m ssa_stream.nodes.queries`: the node as a process."""

from ssa_stream.nodes.queries.node import run
from ssa_stream.nodes.runtime.main import node_main

node_main(run)
