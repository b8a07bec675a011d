"""`python -m ssa_stream.nodes.masks`: the node as a process."""

from ssa_stream.nodes.masks.node import run
from ssa_stream.nodes.runtime.main import node_main

node_main(run)
