"""Scored masks of all queries in the annotated frames of sentences: what A2D-Sentences, JHMDB and RefCOCO score."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssa_stream.data import ReferringExpression
from ssa_stream.data.windows import sample_window
from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.predict.clip import PreparedClip
from ssa_stream.evaluation.predict.loading import FRAMES_PER_CHUNK
from ssa_stream.model import Stages, TextFeatures, align_chain
from ssa_stream.model.selection import MaskConfidence, mask_confidence, mask_logits, resize_logits, resize_to_output
from ssa_stream.run_lengths import encode_counts

__all__ = ["Sample", "answers_of", "samples_of"]

Answer = dict[str, Any]
"""An entry of a COCO results file."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One annotated frame under one sentence.

    Attributes:
        image_id: What results call it.
        row: Which of the texts is its sentence.
        window: Indices of the frames that the network sees, in order; some may be there twice.
        target: Place of the annotated frame in the window.
    """

    image_id: str | int
    row: int
    window: tuple[int, ...]
    target: int


def samples_of(expressions: Sequence[ReferringExpression], num_frames: int, length: int) -> list[Sample]:
    """All samples of the sentences of one video.

    The window lies around the annotated frame, as published: one more frame before it where `length` is even. Indices
    that lead out of the clip become its first or last one.

    Args:
        expressions: Of one video.
        num_frames: That the clip has.
        length: Of the window; 1 is the annotated frame alone.
    Raises:
        ConfigError: A sentence has no names for its samples, or an annotated frame is not in the clip.
    """
    samples = []
    for row, expression in enumerate(expressions):
        annotated = range(num_frames) if expression.annotated is None else expression.annotated
        if len(annotated) != len(expression.sample_ids):
            raise ConfigError(
                f"expression {expression.expression_id} has {len(expression.sample_ids)} names for "
                f"{len(annotated)} annotated frames; expected one each"
            )
        for index, image_id in zip(annotated, expression.sample_ids, strict=True):
            if not 0 <= index < num_frames:
                raise ConfigError(f"{image_id}: frame {index} is annotated, and the clip has {num_frames}")
            samples.append(Sample(image_id, row, sample_window(index, length, num_frames), length // 2))
    return samples


def answers_of(
    model: Stages, clip: PreparedClip, texts: TextFeatures, samples: Sequence[Sample], *, with_boxes: bool
) -> Iterator[list[Answer]]:
    """Answers of all queries to each sample.

    Args:
        model: The network, in evaluation mode.
        clip: Has all frames of the samples' windows.
        texts: A row for each sentence.
        samples: Of one video.
        with_boxes: Whether answers have a box around the mask, `x1 y1 x2 y2` in pixels; an empty mask has zeros.
    """
    for group in _groups(samples):
        yield from _answers_of_group(model, clip, texts, group, with_boxes=with_boxes)


def _groups(samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    """Samples that go through the network together: as many as have few different frames under their sentences."""
    group: list[Sample] = []
    pairs: set[tuple[int, int]] = set()
    for sample in samples:
        wanted = pairs | {(sample.row, index) for index in sample.window}
        if group and len(wanted) > FRAMES_PER_CHUNK:
            yield group
            group, wanted = [], {(sample.row, index) for index in sample.window}
        group.append(sample)
        pairs = wanted
    if group:
        yield group


@torch.inference_mode()
def _answers_of_group(
    model: Stages, clip: PreparedClip, texts: TextFeatures, samples: Sequence[Sample], *, with_boxes: bool
) -> list[list[Answer]]:
    pairs = list(dict.fromkeys((sample.row, index) for sample in samples for index in sample.window))
    place = {pair: number for number, pair in enumerate(pairs)}
    queries, vectors, features = [], [], []
    for start in range(0, len(pairs), FRAMES_PER_CHUNK):
        chunk = pairs[start : start + FRAMES_PER_CHUNK]
        rows = texts.take(torch.tensor([row for row, _ in chunk], device=model.device))
        frames = list(dict.fromkeys(index for _, index in chunk))
        looks_at = torch.tensor([frames.index(index) for _, index in chunk], device=model.device)
        made = model.generate_queries(model.condition(clip.stem_of(frames), rows, looks_at), rows)
        queries.append(made.queries)
        vectors.append(made.text)
        features.append(made.mask_features)
    windows = torch.tensor(
        [[place[sample.row, index] for index in sample.window] for sample in samples], device=model.device
    )
    aligned, _ = align_chain(model.project_queries(torch.cat(queries)[windows]))
    output = model.decode_window(aligned, torch.cat(vectors)[windows])
    maps = torch.cat(features)
    return [
        _answers(
            clip, sample, output.probability[number], output.mask_embedding[number], maps[windows[number]], with_boxes
        )
        for number, sample in enumerate(samples)
    ]


def _answers(
    clip: PreparedClip, sample: Sample, probability: Tensor, embeddings: Tensor, features: Tensor, with_boxes: bool
) -> list[Answer]:
    """Answers of all queries to one sample.

    Args:
        clip: Knows the sizes.
        sample: Which.
        probability: `(N,)`.
        embeddings: Mask embeddings, `(N, C)`.
        features: Mask features of the window's frames, `(w, C, H/4, W/4)`.
        with_boxes: See `answers_of`.
    """
    sums = []
    masks: NDArray[np.bool_] | None = None
    for position, feature in enumerate(features):
        logits = resize_logits(mask_logits(embeddings[None], feature[None]).transpose(0, 1), clip.sizes)
        sums.append(mask_confidence(logits))
        if position == sample.target:
            masks = (resize_to_output(logits, clip.sizes.output)[:, 0] > 0).cpu().numpy()
    assert masks is not None
    scores = MaskConfidence(*(torch.stack(parts).sum(dim=0) for parts in zip(*sums, strict=True))).score(probability)
    return [
        _answer(sample.image_id, mask, score, with_boxes)
        for mask, score in zip(masks, scores.float().tolist(), strict=True)
    ]


def _answer(image_id: str | int, mask: NDArray[np.bool_], score: float, with_boxes: bool) -> Answer:
    answer: Answer = {"image_id": image_id, "category_id": 1}
    if with_boxes:
        answer["bbox"] = _box(mask)
    answer["segmentation"] = {"size": list(mask.shape), "counts": encode_counts(mask).decode("ascii")}
    return answer | {"score": score}


def _box(mask: NDArray[np.bool_]) -> list[float]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return [0.0, 0.0, 0.0, 0.0]
    return [float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)]
