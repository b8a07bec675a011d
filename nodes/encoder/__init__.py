"""Node `encoder`: pictures and sentences to text-conditioned feature maps."""
