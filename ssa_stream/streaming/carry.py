"""The memory beyond the window; training folds frames in the same way, so it is part of the model."""

from ssa_stream.model import empty_carry, fold

__all__ = ["empty_carry", "fold"]
