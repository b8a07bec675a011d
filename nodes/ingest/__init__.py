"""Node `ingest`: the source of one stream, its numbers, its prompts, and the frames that are in flight."""
