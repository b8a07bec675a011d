"""Which frames a network sees together with the one that is scored."""

__all__ = ["sample_window"]


def sample_window(index: int, size: int, length: int) -> tuple[int, ...]:
    """The frames around one frame, as the published loaders of A2D-Sentences and JHMDB-Sentences take them.

    Frames before the first are the first, frames after the last are the last. JHMDB's rule is written with frames from
    1 on, but names the same frames; there `length` is the number of usable frames.

    Args:
        index: The frame that is scored, from 0.
        size: How many frames, at least 1.
        length: Frames of the video, at least 1.
    Returns:
        `size` indices, ascending; `index` is at position `size // 2`.
    Source: MTTR, datasets/a2d_sentences and datasets/jhmdb_sentences at 2cc35ab.
    """
    first = index - size // 2
    return tuple(min(max(first + offset, 0), length - 1) for offset in range(size))
