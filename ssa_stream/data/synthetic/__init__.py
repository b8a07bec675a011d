"""Synthetic referring video: seeded scenes of moving shapes, exact masks and sentences with exact targets."""
