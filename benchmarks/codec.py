"""What the protocol costs: making and reading messages, beside plain ways of sending the same.

    python benchmarks/codec.py            # a few seconds

Masks of three tracks at 1080p, and mask features of 448x800 in fp16 (11.5 MB). Each figure is the median of many runs;
in brackets the fastest. Nothing is sent: transport is measured by another benchmark.
"""

import argparse
import pickle
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ssa_stream.protocols import (
    AppliesFrom,
    Buffers,
    FrameIdentity,
    FrameSizes,
    FrameWork,
    Limits,
    MaskFeaturesMessage,
    MaskMessage,
    Prompt,
    StageTime,
    Track,
    WorkPrompt,
    decode,
    encode,
    pack_labels,
    unpack_labels,
)

SIZE = (1080, 1920)
FRAME = FrameIdentity(
    stream="cam0",
    epoch=1,
    seq=7,
    index=7,
    t=0.5,
    t_receive_ns=10**12,
    receive_clock="monotonic:host",
    pts=7,
    time_base=(1, 30),
)
PROMPT = Prompt(id="p1", text="the person carrying the box", version=1)
TIMES = tuple(
    StageTime(role=role, node=f"{role}-0", clock="monotonic:host", received_ns=10**12, begin_ns=10**12, end_ns=10**12)
    for role in ("ingest", "encoder", "queries", "decoder", "masks")
)
Box = tuple[int, int, int, int]


def discs() -> tuple[list[NDArray[np.bool_]], list[Box]]:
    """Three discs with rough edges, of which two overlap, and their boxes."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    rough = np.random.default_rng(0).normal(0, 4, SIZE)
    masks, boxes = [], []
    for x, y, radius in ((500, 400, 250), (850, 500, 200), (1500, 700, 300)):
        mask = np.hypot(columns - x, rows - y) + rough < radius
        at_row, at_column = np.nonzero(mask)
        masks.append(mask)
        boxes.append((int(at_column.min()), int(at_row.min()), int(at_column.max()) + 1, int(at_row.max()) + 1))
    return masks, boxes


def mask_message(masks: list[NDArray[np.bool_]], boxes: list[Box]) -> tuple[MaskMessage, Buffers]:
    """What a masks node sends."""
    buffers = Buffers()
    layers, places = pack_labels(masks, buffers, boxes)
    tracks = tuple(
        Track(
            id=i,
            score=0.9,
            probability=0.95,
            box_xyxy=box,
            area_px=int(np.count_nonzero(mask)),
            layer=place.layer,
            label=place.label,
        )
        for i, (mask, box, place) in enumerate(zip(masks, boxes, places, strict=True), start=1)
    )
    message = MaskMessage(
        frame=FRAME,
        prompt=PROMPT,
        model="ssa-large",
        source_size=SIZE,
        size=SIZE,
        probability=0.95,
        target_present=True,
        tracks=tracks,
        layers=layers,
        times=TIMES,
    )
    return message, buffers


def features_message(features: NDArray[np.float16]) -> list[bytes | memoryview]:
    """What a queries node sends to masks."""
    buffers = Buffers()
    work = FrameWork(
        frame=FRAME,
        sizes=FrameSizes(source=SIZE, network=(448, 796), padded=(448, 800)),
        prompts=(WorkPrompt(prompt=PROMPT),),
        prompts_version=1,
        applies_from=AppliesFrom(epoch=0, seq=0),
        memory=0,
        times=TIMES,
    )
    message = MaskFeaturesMessage(work=work, first_row=0, rows=(0,), mask_features=(buffers.add(features),))
    return encode(message, buffers)


def show(title: str, work: Callable[[], object], runs: int) -> None:
    """Time something and print a line."""
    times_ms = []
    for _ in range(runs):
        start_s = time.perf_counter()
        work()
        times_ms.append((time.perf_counter() - start_s) * 1e3)
    print(f"{title:<56}{statistics.median(times_ms):>9.3f} ms  ({min(times_ms):.3f})")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    runs: int = parser.parse_args().runs
    masks, boxes = discs()
    message, buffers = mask_message(masks, boxes)
    parts = encode(message, buffers)
    packet = decode(parts, Limits())
    labels = unpack_labels(message, packet.buffers)
    print(f"masks, 1920x1080, 3 tracks, {len(message.layers)} layers: {sum(map(len, parts))} bytes")
    show("  masks to label maps, packed (pack_labels)", lambda: pack_labels(masks, Buffers(), boxes), runs)
    show("  message to parts (encode)", lambda: encode(message, buffers), runs)
    show("  parts to message (decode)", lambda: decode(parts, Limits()), runs)
    show("  label maps unpacked (unpack_labels)", lambda: unpack_labels(message, packet.buffers), runs)
    show("  three bool masks out of them", lambda: [labels.mask(track) for track in message.tracks], runs)
    packed = [np.packbits(mask) for mask in masks]
    print(f"beside it, one bit per pixel and track: {sum(item.nbytes for item in packed)} bytes")
    show("  numpy.packbits", lambda: [np.packbits(mask) for mask in masks], runs)
    show("  numpy.unpackbits", lambda: [np.unpackbits(item).reshape(SIZE).view(np.bool_) for item in packed], runs)
    features = np.zeros((256, 112, 200), dtype=np.float16)
    parts = features_message(features)
    print(f"mask features, 256x112x200 fp16: {sum(map(len, parts))} bytes")
    show("  message to parts (encode)", lambda: features_message(features), runs)
    show("  parts to message and array (decode)", lambda: decode(parts, Limits()).buffers[0], runs)
    print("beside it, pickle of the same array")
    show("  pickle.dumps", lambda: pickle.dumps(features, protocol=5), runs)


if __name__ == "__main__":
    main()
