"""`python -m ssa_stream.nodes.decoder`: the node as a process."""

from ssa_stream.nodes.decoder.node import run
from ssa_stream.nodes.runtime.main import node_main

node_main(run)
