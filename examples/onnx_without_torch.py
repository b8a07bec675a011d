"""Masks of pictures and a sentence by ONNX Runtime alone: no torch, no ssa_stream, a file to begin your own from.

What you will see: a line for each picture, and a black and white mask of it in the folder OUT. Needs
`pip install numpy onnxruntime pillow scipy tokenizers`, the files of a network, which are made on a machine that has
ssa_stream, and pictures of one size and the shape that the files were made for:

    ssa-stream engine export onnx --size 640x360
    python examples/onnx_without_torch.py onnx "the red circle" pictures/*.png --out masks

The second command prints something like this:

    '0000.png': objects 1, pixels 4210, probability 0.98
    '0001.png': objects 1, pixels 4187, probability 0.99

docs/engines.md has the inputs and outputs of every file. A session of ssa_stream also remembers what was before the
window, follows objects, and resolves overlaps of their masks.
"""

import argparse
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image
from scipy.optimize import linear_sum_assignment
from tokenizers import Tokenizer

Floats = NDArray[np.float32]


def main() -> None:
    """Segment pictures, in order of time, by one sentence."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, help="folder that ssa-stream engine export made")
    parser.add_argument("sentence", help="what to look for")
    parser.add_argument("pictures", type=Path, nargs="+", help="in order of time, all of one size")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="folder for the masks")
    parser.add_argument("--threshold", type=float, default=0.5, help="least probability of an object")
    parser.add_argument("--provider", default="CPUExecutionProvider", help="of ONNX Runtime")
    options = parser.parse_args()
    network = Network(options.files, options.provider)
    video = Video(network, options.sentence)
    options.out.mkdir(parents=True, exist_ok=True)
    for path in options.pictures:
        found = video.push(Image.open(path).convert("RGB"), options.threshold)
        union = found.masks.any(axis=0)
        Image.fromarray(union).save(options.out / f"{path.stem}.png")
        pixels = np.count_nonzero(union)
        print(f"{path.name!r}: objects {len(found.masks):d}, pixels {pixels:d}, probability {found.probability:.2f}")


class Network:
    """The files of a network, one for each stage."""

    def __init__(self, folder: Path, provider: str) -> None:
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3  # errors
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")  # leave the cores to others

        def opened(name: str) -> onnxruntime.InferenceSession:
            return onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), settings, providers=[provider])

        names = ("text", "stem", "condition", "queries", "project", "window")
        self._stages = {name: opened(name) for name in names}
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        facts = self._stages["stem"].get_modelmeta().custom_metadata_map
        self.padded = _pair(facts["padded_size"])
        self.size = _pair(facts["network_size"])
        self.window = int(facts["window"])
        self.mean, self.std = _numbers(facts["pixel_mean"]), _numbers(facts["pixel_std"])

    def __call__(self, stage: str, **inputs: NDArray[np.generic]) -> dict[str, Floats]:
        """Run a stage."""
        session = self._stages[stage]
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))


@dataclass
class Found:
    """What was found in a picture: a mask for each object, `(K, height, width)` bool, and the best probability."""

    masks: NDArray[np.bool_]
    probability: float


class Video:
    """The part to copy: pictures one by one, and a window of what was seen."""

    def __init__(self, network: Network, sentence: str) -> None:
        self._network = network
        tokens = np.array([network.tokenizer.encode(sentence).ids], dtype=np.int64)  # (1, 77)
        self._text = network("text", tokens=tokens)
        self._aligned: deque[Floats] = deque(maxlen=network.window)  # (1, N, C) each, in slot order
        self._sentences: deque[Floats] = deque(maxlen=network.window)  # (1, C) each

    def push(self, picture: Image.Image, threshold: float) -> Found:
        """Take the next picture."""
        network = self._network
        stem = network("stem", images=self._pixels(picture))["stem"]
        maps = network("condition", stem=stem, **self._text)
        made = network("queries", **maps, sentence=self._text["sentence"])
        queries = network("project", queries=made["queries"])["projected"]
        if self._aligned:
            queries = queries[:, _slots(self._aligned[-1][0], queries[0])]
        self._aligned.append(queries)
        self._sentences.append(made["text"])
        # Nothing is remembered from before the window; a session of ssa_stream goes on with it here.
        _, slots, width = queries.shape
        decoded = network(
            "window",
            aligned=np.stack(self._aligned, axis=1),
            text=np.stack(self._sentences, axis=1),
            log_weight=np.full((1, slots), -np.inf, dtype=np.float32),
            mean=np.zeros((1, slots, width), dtype=np.float32),
        )
        probability = decoded["probability"][0]
        embeddings = decoded["mask_embedding"][0, probability > threshold]
        logits = np.einsum("nc,chw->nhw", embeddings, made["mask_features"][0])
        height, width = picture.height, picture.width
        masks = [self._enlarged(one, (height, width)) > 0 for one in logits]
        return Found(np.array(masks, dtype=bool).reshape(-1, height, width), float(probability.max()))

    def _pixels(self, picture: Image.Image) -> Floats:
        """A picture as the network takes it, `(1, 3, H, W)`: resized, normalised, padded on the right and bottom."""
        height, width = self._network.size
        shape = picture.height / picture.width
        if abs(shape * width - height) > 1:
            sys.exit(
                f"a picture is {picture.width}x{picture.height}, the files are for the shape {width}x{height}; make "
                f"others: ssa-stream engine export DIR --size {picture.width}x{picture.height}"
            )
        small = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32)
        pixels = np.zeros((1, 3, *self._network.padded), dtype=np.float32)
        pixels[0, :, :height, :width] = ((small - self._network.mean) / self._network.std).transpose(2, 0, 1)
        return pixels

    def _enlarged(self, logits: Floats, size: tuple[int, int]) -> Floats:
        """Logits at stride 4 as they are at the size of the picture; padding is cut off in between."""
        height, width = self._network.size
        return _bilinear(_bilinear(logits, self._network.padded)[:height, :width], size)


def _slots(before: Floats, queries: Floats) -> NDArray[np.int64]:
    """Which query goes on in which slot: the assignment with the largest sum of cosines."""
    before = before / np.linalg.norm(before, axis=1, keepdims=True)
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    return np.asarray(linear_sum_assignment(before @ queries.T, maximize=True)[1])


def _bilinear(values: Floats, size: tuple[int, int]) -> Floats:
    """Resize without antialiasing; pixel centres stay where they are."""
    for axis, length in enumerate(size):
        known = values.shape[axis]
        place = np.clip((np.arange(length) + 0.5) * known / length - 0.5, 0, None)
        first = np.minimum(place.astype(int), known - 1)
        share = (place - first).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
        values = values.take(first, axis) * (1 - share) + values.take(np.minimum(first + 1, known - 1), axis) * share
    return values


def _pair(text: str) -> tuple[int, int]:
    height, width = map(int, text.split())
    return height, width


def _numbers(text: str) -> Floats:
    return np.array(text.split(), dtype=np.float32)


if __name__ == "__main__":
    main()
