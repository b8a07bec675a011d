"""What the sentence vector of a checkpoint's text tower tells: linear probes on sentences of the generator.

The decoders hear of the sentence through this vector alone. A property that no linear probe finds in it is hard to
learn for whatever stands on it. Printed is the accuracy on sentences that the probe was not fitted to, beside that of
always giving the most frequent answer.

    python -m benchmarks.text_probe --checkpoint ssa-tiny
"""

import argparse
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.linear_probe import probe
from ssa_stream.checkpoints import load_checkpoint
from ssa_stream.data import SceneConfig, sample_scene
from ssa_stream.data.synthetic.expressions import EXPRESSION_TYPES, find_expression
from ssa_stream.data.synthetic.truth import observe

_DIRECTIONS = ("left", "right", "up", "down")
_SIDES = ("left", "right", "above|over", "below|under")
_COLOURS = ("red", "blue", "green", "yellow", "orange", "purple", "white", "black", "pink")
_SHAPES = ("circle|disc", "square", "triangle", "star", "ring", "cross|plus", "crescent|moon", "diamond")


class Sentence(NamedTuple):
    """A sentence and its type."""

    text: str
    type: str


def main() -> None:
    """Read the options, print one line a probe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="ssa-tiny", help="weight file, or the name of a shipped checkpoint")
    parser.add_argument("--scenes", type=int, default=450, help="scenes whose sentences are taken")
    options = parser.parse_args()
    model = load_checkpoint(options.checkpoint)
    said = sentences(options.scenes)
    texts = [sentence.text for sentence in said]
    with torch.inference_mode():
        parts = [model.encode_text(texts[i : i + 128]).sentence for i in range(0, len(texts), 128)]
    features = torch.cat(parts).clone()
    types: list[str] = list(EXPRESSION_TYPES)
    _show("type of sentence", features, [types.index(sentence.type) for sentence in said])
    looks = ("appearance", "appearance_motion", "no_target")
    for name, words, kinds in (
        ("direction, motion", _DIRECTIONS, ("motion",)),
        ("direction, appearance and motion", _DIRECTIONS, ("appearance_motion",)),
        ("side, relation", _SIDES, ("relation",)),
        ("colour", _COLOURS, looks),
        ("shape", _SHAPES, looks),
    ):
        _show(name, features, [_word(sentence.text, words) if sentence.type in kinds else -1 for sentence in said])


def sentences(num_scenes: int) -> list[Sentence]:
    """One sentence of each type about each scene."""
    rng = np.random.default_rng(0)
    config = SceneConfig(size=(64, 112), num_frames=8, max_objects=5)
    found = []
    for seed in range(num_scenes):
        truth = observe(sample_scene(seed, config=config), 0, config.num_frames).truth
        for kind in EXPRESSION_TYPES:
            expression = find_expression(truth, rng, kind)
            if expression is not None:
                found.append(Sentence(expression.text, kind))
    return found


def _show(name: str, features: Tensor, labels: Sequence[int]) -> None:
    """Probe the rows that have a label, print one line."""
    rows = [row for row, label in enumerate(labels) if label >= 0]
    result = probe(features[rows], torch.tensor([labels[row] for row in rows]))
    print(f"{name:34s} {result.right:6.1%}   most frequent answer {result.usual:6.1%}   of {result.rows}")


def _word(text: str, words: Sequence[str]) -> int:
    """Which of the words comes first in the list and occurs; -1 for none."""
    return next((i for i, word in enumerate(words) if re.search(rf"\b(?:{word})", text)), -1)


if __name__ == "__main__":
    main()
