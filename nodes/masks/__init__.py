"""Node `masks`: queries of the video and mask features to tracked masks, published and written."""
