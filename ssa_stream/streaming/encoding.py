"""From frames and sentences to frame queries: which pairs are run together, and running them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ssa_stream.model import FeatureMaps, Stages, TextFeatures
from ssa_stream.model.transfers import to_device

__all__ = [
    "MAX_ROWS",
    "EncodedRows",
    "Row",
    "RowQueries",
    "encode_newest",
    "encode_rows",
    "generate_joint_rows",
    "generate_rows",
    "plan_rows",
]

MAX_ROWS = 16
"""Rows that pass the per-frame stages together; bounds memory when prompts are replayed."""


class Row(NamedTuple):
    """A frame under a prompt.

    Attributes:
        prompt: Position of the prompt.
        age: Frames since then; 0 is the newest frame.
    """

    prompt: int
    age: int


class EncodedRows(NamedTuple):
    """Features of `R` rows: adapted maps, `(R, C_i, H_i, W_i)` at strides 4 to 32, and CLIP's sentences, `(R, E)`."""

    maps: FeatureMaps
    sentence: Tensor


class RowQueries(NamedTuple):
    """What decoding and masking need of `R` rows.

    Attributes:
        queries: Frame queries as generated, `(R, N, C)`.
        text: Sentence fused with the frame, `(R, C)`.
        mask_features: `(R, C, H/4, W/4)`.
    """

    queries: Tensor
    text: Tensor
    mask_features: Tensor


def plan_rows(counts: Sequence[int]) -> Iterator[tuple[Row, ...]]:
    """Rows of one frame in batches: the newest frame under all prompts, then for each prompt the frames before it.

    Networks round differently in batches of different sizes. So a batch never depends on whether frames are replayed
    beside it for other prompts, or for a memory that turns out to be there still: results are the same to the bit.

    Args:
        counts: Of how many of the newest frames each prompt needs queries, at least 1.
    Returns:
        At most `MAX_ROWS` rows at a time; a prompt's earlier frames from oldest to newest.
    """
    newest = [Row(prompt, 0) for prompt in range(len(counts))]
    earlier = [[Row(prompt, age) for age in range(count - 1, 0, -1)] for prompt, count in enumerate(counts)]
    for rows in (newest, *earlier):
        for start in range(0, len(rows), MAX_ROWS):
            yield tuple(rows[start : start + MAX_ROWS])


def encode_rows(
    model: Stages, stems: Sequence[Tensor], texts: Sequence[TextFeatures], rows: Sequence[Row]
) -> EncodedRows:
    """Run the text-conditioned trunk on one batch of `plan_rows`.

    Args:
        model: The network.
        stems: Prompt-free features of the newest frames, oldest first, `(1, C0, H/4, W/4)` each.
        texts: One row per prompt.
        rows: The batch.
    """
    all_texts = TextFeatures(*(torch.cat(fields) for fields in zip(*texts, strict=True)))
    frames = [len(stems) - 1 - row.age for row in rows]
    used = sorted(set(frames))
    text = all_texts.take(to_device(torch.tensor([row.prompt for row in rows]), model.device))
    frame_index = to_device(torch.tensor([used.index(frame) for frame in frames]), model.device)
    return EncodedRows(model.condition(torch.cat([stems[i] for i in used]), text, frame_index), text.sentence)


def generate_rows(model: Stages, encoded: EncodedRows) -> RowQueries:
    """Make the queries of one batch of rows."""
    rows = len(encoded.sentence)
    unused = encoded.sentence.new_zeros(rows, 0)  # of the text, only the sentence is looked at
    made = model.generate_queries(encoded.maps, TextFeatures(unused.long(), unused, unused.bool(), encoded.sentence))
    return RowQueries(made.queries, made.text, made.mask_features)


def encode_newest(model: Stages, stems: Tensor, texts: Sequence[Sequence[TextFeatures]]) -> list[EncodedRows]:
    """Run the text-conditioned trunk on the newest frames of several streams, as one batch.

    The numbers are those of `encode_rows` on each stream but for rounding.

    Args:
        model: The network.
        stems: Prompt-free features of `F` frames, `(F, C0, H/4, W/4)`.
        texts: One row per prompt, for each frame; every frame has some.
    Returns:
        The rows of each frame.
    """
    text = TextFeatures(*(torch.cat(fields) for fields in zip(*(row for rows in texts for row in rows), strict=True)))
    counts = [len(rows) for rows in texts]
    frame_index = torch.arange(len(stems)).repeat_interleave(torch.tensor(counts)).to(model.device)
    maps = [one.split(counts) for one in model.condition(stems, text, frame_index)]
    return [
        EncodedRows((one, two, three, four), sentence)
        for one, two, three, four, sentence in zip(*maps, text.sentence.split(counts), strict=True)
    ]


def generate_joint_rows(model: Stages, encoded: Sequence[EncodedRows]) -> list[RowQueries]:
    """Make the queries of rows of several streams as one batch; as `generate_rows` of each but for rounding."""
    counts = [len(rows.sentence) for rows in encoded]
    stride4, stride8, stride16, stride32 = (
        torch.cat(maps) for maps in zip(*(rows.maps for rows in encoded), strict=True)
    )
    joint = EncodedRows((stride4, stride8, stride16, stride32), torch.cat([rows.sentence for rows in encoded]))
    made = generate_rows(model, joint)
    return [RowQueries(*fields) for fields in zip(*(one.split(counts) for one in made), strict=True)]
