"""Predictions on disk, in each data set's own submission form."""
