"""Figures of stored answers against a reader's masks, to compare with those of the published scorers."""

from pathlib import Path

import numpy as np
from PIL import Image

from ssa_stream.data import ReferringData

__all__ = ["frame_ious"]


def frame_ious(data: ReferringData, answers: Path) -> dict[str, list[float]]:
    """IoU of each frame, by `<video>_<expression>`, of those whose video has answers; 1 where both masks are empty."""
    found = {}
    for name in data.videos:
        if not (answers / name).is_dir():
            continue
        video = data.video(name)
        for expression in video.expressions:
            truth = data.masks(name, expression).any(0)
            folder = answers / name / expression.expression_id
            answer = np.stack([np.asarray(Image.open(folder / f"{frame}.png")) > 0 for frame in video.frames])
            both, either = (truth & answer).sum((1, 2)), (truth | answer).sum((1, 2))
            found[f"{name}_{expression.expression_id}"] = np.where(either > 0, both / np.maximum(either, 1), 1).tolist()
    return found
