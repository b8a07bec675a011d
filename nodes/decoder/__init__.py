"""Node `decoder`: queries of frames to queries of the video, in the order of the stream."""
