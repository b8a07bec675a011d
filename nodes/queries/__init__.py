"""Node `queries`: feature maps to instance queries of frames."""
