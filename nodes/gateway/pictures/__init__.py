"""Pictures from cameras to the graph, and from the graph to viewers."""
