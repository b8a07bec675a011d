"""Browsers and other WebRTC peers: cameras in, masks and pictures out, prompts both ways.

A process beside the graph. It reads what the graph publishes and asks for prompts as any client does; pictures of a
browser's camera go to the stream's ingest node through a local socket, newest first. Import from its modules.
"""

__all__: list[str] = []
