"""What a checkpoint knows of looks: objects told apart from their twins, and linear probes on the frozen trunk.

A twin is alike but for one property: shape, colour or texture. Asked for by that property ("the star"), the object has
to get the mask and not its twin; asked for by a value that neither has, none should. Then linear probes tell what is in
the maps of CLIP's trunk, averaged over an object's true mask: what they do not hold, SSA hardly learns. Last, what is
left of it after each layer of the pixel decoder, at stride 8, while the sentence is about another object.

    python -m benchmarks.look_probe --checkpoint ssa-tiny
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from benchmarks.linear_probe import probe
from ssa_stream.checkpoints import load_checkpoint
from ssa_stream.data import ATTRIBUTES, SceneConfig, sample_captioned_picture, sample_scene
from ssa_stream.data.synthetic.appearance import COLOURS, Appearance
from ssa_stream.data.synthetic.render import renderer
from ssa_stream.model import SSA
from ssa_stream.streaming import ReferSession, SessionConfig
from ssa_stream.training.data.batch import normalize
from ssa_stream.training.objectives.objective import set_dropout
from ssa_stream.training.tiny.attributes import mean_over_masks, object_features

_LEAST_PX = 60


@dataclass(frozen=True)
class Pair:
    """A picture of two objects that differ in one property.

    Attributes:
        image: `(H, W, 3)` uint8.
        masks: Of the object and of its twin, `(2, H, W)` bool.
        value: The object's value of the property.
        absent: One that neither has.
    """

    image: np.ndarray
    masks: np.ndarray
    value: str
    absent: str


def main() -> None:
    """Read the options, print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="ssa-tiny", help="weight file, or the name of a shipped checkpoint")
    parser.add_argument("--pairs", type=int, default=100, help="pictures of each property")
    parser.add_argument("--height", type=int, default=128, help="of the pictures; the width is 7/4 of it")
    options = parser.parse_args()
    size = (options.height, options.height * 7 // 4 // 32 * 32)
    model = load_checkpoint(options.checkpoint)
    print(
        f"twins, {options.pairs} pairs of {size[0]} x {size[1]}: right (guessing: 50 %), and none for an absent value"
    )
    for attribute in ATTRIBUTES:
        right, none = judge(model, attribute, size, options.pairs)
        print(f"  {attribute:8} right {right:4.0%}   absent: none {none:4.0%}")
    print("linear probes on the trunk's maps, stages of stride 4, 8, 16, 32 (always the most frequent answer)")
    _print_probes(probes(model, size, 4 * options.pairs, trunk_features))
    print("linear probes on the pixel decoder's maps of stride 8 after each layer, of objects that are not meant")
    _print_probes(probes(model, size, 4 * options.pairs, pixel_decoder_features))


def _print_probes(table: dict[str, tuple[list[float], float]]) -> None:
    for attribute, (found, frequent) in table.items():
        print(f"  {attribute:8} {'  '.join(f'{part:4.0%}' for part in found)}   ({frequent:.0%})")


def pairs(attribute: str, size: tuple[int, int], count: int) -> Iterator[Pair]:
    """Draw pictures of twins."""
    rng, seed, found = np.random.default_rng(0), 0, 0
    while found < count:
        seed += 1
        config = SceneConfig(size=size, min_objects=2, max_objects=2, occluders=0.0)
        scene = sample_scene(seed, config=config)
        one, other = scene.objects
        value = getattr(one.appearance, attribute)
        others = [name for name in ATTRIBUTES[attribute] if name != value]
        different, absent = (str(name) for name in rng.choice(others, 2, replace=False))
        look = replace(one.appearance, outlined=False)
        alike = replace(look, size=other.appearance.size, radius=other.appearance.radius)
        twin = _with(alike, attribute, different)
        things = (replace(one, appearance=look), replace(other, appearance=twin))
        image, labels = renderer(replace(scene, objects=things)).frame(3)
        held_out = look.is_held_out or twin.is_held_out
        if not held_out and (labels.masks.sum(axis=(1, 2)) >= _LEAST_PX).all():
            found += 1
            yield Pair(image, labels.masks, value, absent)


def _with(look: Appearance, attribute: str, value: str) -> Appearance:
    match attribute:
        case "shape":
            return replace(look, shape=value)
        case "colour":
            return replace(look, colour=value, rgb=COLOURS[value])
        case _:
            return replace(look, texture=value)


def judge(model: SSA, attribute: str, size: tuple[int, int], count: int) -> tuple[float, float]:
    """How often the object gets more of the mask than its twin, and how often an absent value gets no mask."""
    right, none = [], []
    for pair in pairs(attribute, size, count):
        noun = "" if attribute == "shape" else " object"
        present, absent = (_mask(model, pair.image, f"the {value}{noun}") for value in (pair.value, pair.absent))
        mine, twins = ((present & mask).sum() / mask.sum() for mask in pair.masks)
        right.append(float(mine > twins) if mine != twins else 0.5)
        none.append(not absent.any())
    return float(np.mean(right)), float(np.mean(none))


def _mask(model: SSA, image: np.ndarray, text: str) -> np.ndarray:
    """The mask of a sentence, `(H, W)` bool."""
    session = ReferSession(model, SessionConfig(short_edge_px=min(image.shape[:2]), long_edge_px=max(image.shape[:2])))
    session.set_prompts([text])
    (result,) = [*session.push(image), *session.flush()]
    return result.merged()


Features = Callable[[SSA, Tensor, Tensor, str], list[Tensor]]
"""From a network, pixels `(1, 3, H, W)`, masks `(R, H, W)` and a sentence to features `(R, C)` of several maps."""


def trunk_features(model: SSA, pixels: Tensor, masks: Tensor, text: str) -> list[Tensor]:
    """Of the trunk, whatever the sentence."""
    return object_features(model.clip, pixels, masks, torch.zeros(len(masks), dtype=torch.int64))


def pixel_decoder_features(model: SSA, pixels: Tensor, masks: Tensor, text: str) -> list[Tensor]:
    """Of the pixel decoder's finest level after each layer."""
    rows = model.encode_text([text])
    set_dropout(model.train(), 0.0)
    depths = model.generate_queries(model.encode_frame(pixels, rows), rows).depths
    model.eval()
    return [mean_over_masks(levels[-1], masks, torch.zeros(len(masks), dtype=torch.int64)) for levels in depths]


def probes(
    model: SSA, size: tuple[int, int], count: int, features_of: Features
) -> dict[str, tuple[list[float], float]]:
    """Accuracy of a linear layer for each map, and that of always the same answer, by attribute.

    The sentence is about the first object of each picture, which is left out.
    """
    features: list[list[Tensor]] = []
    answers = []
    for seed in range(count):
        picture = sample_captioned_picture(seed, size)
        if len(picture.objects) < 2:
            continue
        meant, *others = picture.objects
        masks = torch.from_numpy(np.stack([item.mask for item in others]).astype(np.uint8))
        with torch.no_grad():
            features.append(features_of(model, normalize(torch.from_numpy(picture.image)[None]), masks, meant.caption))
        answers += [
            [values.index(getattr(item.appearance, name)) for name, values in ATTRIBUTES.items()] for item in others
        ]
    maps = [torch.cat(of_stage) for of_stage in zip(*features, strict=True)]
    table = {}
    for name, labels in zip(ATTRIBUTES, torch.tensor(answers).unbind(1), strict=True):
        results = [probe(of_stage, labels) for of_stage in maps]
        table[name] = ([result.right for result in results], results[0].usual)
    return table


if __name__ == "__main__":
    main()
