"""Pictures on their way: from cameras to the graph, and from the graph to viewers."""
