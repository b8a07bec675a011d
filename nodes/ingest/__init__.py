"""Node `ingest`: the source of one stream, its frame numbers, its prompts, and its frames in flight."""
