"""How large mask messages are, with and without pictures, and what pictures and polygons cost.

    python -m benchmarks.message_sizes                      # a few seconds
    python -m benchmarks.message_sizes --source street.mp4  # pictures of your own source, in the size that they have

A message has three tracks, discs with wavy edges. Without `--source` there are two pictures of each size: the drawn
scene of `synthetic`, which is smoother than what cameras give, and noise whose contrast falls with frequency as that of
photographs does. Polygons are those of all three masks, with a tolerance of 1 pixel and exact. Times are medians.
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ssa_stream.client.polygons import mask_polygons
from ssa_stream.data import demo_scene, render
from ssa_stream.nodes.masks.messages import mask_message
from ssa_stream.nodes.masks.pictures import jpeg_picture
from ssa_stream.nodes.pipeline import MasksSection
from ssa_stream.protocols import FrameIdentity, FrameSizes, encode
from ssa_stream.sources import open_source
from ssa_stream.streaming import MaskResult, TrackMask

SIZES = ((360, 640), (720, 1280), (1080, 1920))
FRAME = FrameIdentity(
    stream="cam0", epoch=1, seq=7, index=7, t=0.5, t_receive_ns=10**12, receive_clock="monotonic:host"
)
Mask = NDArray[np.bool_]
Picture = NDArray[np.uint8]


def discs(size: tuple[int, int]) -> list[Mask]:
    """Three discs with wavy edges, of which two overlap."""
    height, width = size
    rows, columns = np.mgrid[:height, :width] / height
    found = []
    for x, y, radius in ((0.46, 0.37, 0.23), (0.79, 0.46, 0.19), (1.39, 0.65, 0.28)):
        angle = np.arctan2(rows - y, columns - x)
        waves = 1 + 0.1 * np.sin(7 * angle) + 0.03 * np.sin(31 * angle)
        found.append(np.asarray(np.hypot(columns - x, rows - y) < radius * waves))
    return found


def noise(size: tuple[int, int]) -> Picture:
    """A picture with the spectrum of photographs: amplitude is the reciprocal of frequency."""
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = np.inf
    random = np.random.default_rng(0)
    channels = []
    for _ in range(3):
        values = np.fft.irfft2(np.fft.rfft2(random.normal(size=size)) / frequency, s=size)
        channels.append(values / values.std())
    grey, *_ = channels
    mixed = np.stack([0.9 * grey + 0.3 * one for one in channels], axis=-1)  # colours differ less than brightness
    return np.asarray(np.clip(128 + 25 * mixed, 0, 255), dtype=np.uint8)


def pictures(source: str | None) -> Iterator[tuple[str, Picture]]:
    """What is measured, with a name."""
    if source is not None:
        with open_source(source) as opened:
            for frame in itertools.islice(opened.frames(), 30):
                if frame.seq % 10 == 0:
                    yield f"frame {frame.seq}", frame.image
        return
    for height, width in SIZES:
        yield "drawn", render(demo_scene(width, height, 30.0), t=30).image
        yield "noise", noise((height, width))


def median_ms(work: Callable[[], object], runs: int = 15) -> float:
    """How long something takes."""
    times = []
    for _ in range(runs):
        begin_s = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin_s)
    return statistics.median(times) * 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", help="a file, a camera or an address, instead of drawn pictures")
    parser.add_argument("--quality", type=int, default=80, help="of the JPEG")
    options = parser.parse_args()
    print("| pictures of | size | masks, kB | picture, kB | encoding, ms | polygons, kB | ms | exact, ms |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, image in pictures(options.source):
        print(row(name, image, options.quality))


def row(name: str, image: Picture, quality: int) -> str:
    """A line of the table."""
    size = (image.shape[0], image.shape[1])
    masks = discs(size)
    boxes = [_box(mask) for mask in masks]
    tracks = tuple(TrackMask(i, 0.9, 0.95, boxes[i], int(mask.sum()), mask) for i, mask in enumerate(masks))
    result = MaskResult("p1", "the person carrying the box", 1, 7, 0.5, size, tracks, 0.95, "final", 0, False)
    message, buffers = mask_message(result, FRAME, FrameSizes(source=size, network=size, padded=size), model="ssa-tiny")
    section = MasksSection(picture="jpeg", picture_quality=quality)
    jpeg = jpeg_picture(image, section)
    outlines = [[polygon.exterior.tolist() for polygon in mask_polygons(mask, 1.0)] for mask in masks]
    figures = (
        sum(map(len, encode(message, buffers))) / 1e3,
        len(jpeg.data) / 1e3,
        median_ms(lambda: jpeg_picture(image, section)),
        len(json.dumps(outlines, separators=(",", ":"))) / 1e3,
        median_ms(lambda: [mask_polygons(mask, 1.0) for mask in masks]),
        median_ms(lambda: [mask_polygons(mask) for mask in masks]),
    )
    return f"| {name} | {size[1]}x{size[0]} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |"


def _box(mask: Mask) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


if __name__ == "__main__":
    main()
