"""HTTP servers of a graph: who is let in, for how long, what is counted. It needs aiohttp; import it by name."""
