"""Scores of stored predictions: the figures of the published scorers, and where ours would differ."""
