"""How long `ssa-stream score` takes beside a per-pixel scorer written from the published definitions.

    python -m benchmarks.score                      # 200 sentences, a minute
    python -m benchmarks.score --expressions 2000   # the whole set: 80,000 pictures

It writes a set in the MeViS format into a temporary folder: videos of 40 frames of 480x854 with five objects that move,
20 sentences a video that mean one or two of them, and an answer a sentence: the truth, moved by some pixels. From the
third video on, pictures are hard links to those of the first two: drawing them anew would take longer than the rest.

The per-pixel scorer does what the definitions say, on whole pictures, as the published scripts do: all frames of a
sentence are decoded, J is reckoned from arrays of all frames, F of each frame from boundary maps of the whole picture,
dilated with a disk. It scores `--published` sentences, in one process as the published figures were made, and spread
over as many processes as there are cores. `score` is the installed command with all cores, its start included.

It prints times a sentence, of the clock and of the processors (the clock's mean little while others use the machine),
the ratios, and the most memory that any process had. Both scorers' J and F of the same sentences are compared.
"""

import argparse
import json
import math
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

from ssa_stream.evaluation.score.grey_png import decode_grey_png, load_fast_decoding
from ssa_stream.run_lengths import encode_counts

HEIGHT, WIDTH, FRAMES = 480, 854, 40
SENTENCES, OBJECTS, DRAWN_VIDEOS = 20, 5, 2
Mask = NDArray[np.bool_]


def shape(number: int, frame: int) -> Mask:
    """One object of a frame: an ellipse with waves along its edge."""
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    x, y = (
        columns - 130 - 140 * number - (2 + number) * frame,
        rows - 120 - 60 * (number % 4) - 10 * math.sin(frame / 5),
    )
    radius = (60 + 8 * number) * (1 + 0.06 * np.sin(9 * np.arctan2(y, x)))
    return np.asarray(np.hypot(x, y * 0.8) < radius)


def targets_of(sentence: int) -> list[int]:
    """Objects that a sentence means: each object has several sentences, and some mean two."""
    first = sentence % OBJECTS
    return [first] if sentence < SENTENCES * 3 // 4 else [first, (first + 1) % OBJECTS]


def write_set(folder: Path, num_expressions: int) -> tuple[Path, Path]:
    """Write the data set and the answers; returns the root and the folder of answers."""
    root, split, answers = folder / "mevis", folder / "mevis/valid_u", folder / "answers"
    num_videos = math.ceil(num_expressions / SENTENCES)
    names, frames = [f"video{i:04d}" for i in range(num_videos)], [f"{i:05d}" for i in range(FRAMES)]
    objects = [[shape(number, t) for t in range(FRAMES)] for number in range(OBJECTS)]
    tracks = [
        [{"size": [HEIGHT, WIDTH], "counts": encode_counts(mask).decode()} for mask in masks] for masks in objects
    ]
    masks = {f"{i * OBJECTS + number}": track for i in range(num_videos) for number, track in enumerate(tracks)}
    meta = {}
    for i, name in enumerate(names):
        (split / "JPEGImages" / name).mkdir(parents=True)
        Image.new("RGB", (WIDTH, HEIGHT)).save(split / "JPEGImages" / name / f"{frames[0]}.jpg")
        here = range(min(SENTENCES, num_expressions - i * SENTENCES))
        meta[name] = {
            "vid_id": i,
            "frames": frames,
            "expressions": {
                str(n): {
                    "exp": f"sentence {n}",
                    "obj_id": targets_of(n),
                    "anno_id": [i * OBJECTS + target for target in targets_of(n)],
                }
                for n in here
            },
        }
        for n in here:
            out = answers / name / str(n)
            out.mkdir(parents=True)
            for t, frame in enumerate(frames):
                if i < DRAWN_VIDEOS:
                    union = np.any([objects[target][t] for target in targets_of(n)], axis=0)
                    moved = np.roll(union, (3 + n % 5, 2 + i), axis=(0, 1))
                    Image.fromarray(moved.astype(np.uint8) * 255).save(out / f"{frame}.png")
                else:
                    os.link(answers / names[i % DRAWN_VIDEOS] / str(n) / f"{frame}.png", out / f"{frame}.png")
    (split / "meta_expressions.json").write_text(json.dumps({"videos": meta}))
    (split / "mask_dict.json").write_text(json.dumps(masks))
    return root, answers


def boundary_map(mask: Mask) -> Mask:
    """Pixels that differ from their right, lower or lower-right neighbour, of the whole picture."""
    right, below, diagonal = np.zeros_like(mask), np.zeros_like(mask), np.zeros_like(mask)
    right[:, :-1], below[:-1], diagonal[:-1, :-1] = mask[:, 1:], mask[1:], mask[1:, 1:]
    found = (mask ^ right) | (mask ^ below) | (mask ^ diagonal)
    found[-1], found[:, -1] = mask[-1] ^ right[-1], mask[:, -1] ^ below[:, -1]
    found[-1, -1] = False
    return found


def per_pixel_f(answer: Mask, truth: Mask) -> float:
    """F of one frame by its definition."""
    radius = math.ceil(0.008 * float(np.linalg.norm(answer.shape)))
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = (rows**2 + columns**2 <= radius**2).astype(np.uint8)
    first, second = boundary_map(answer), boundary_map(truth)
    near_first, near_second = cv2.dilate(first.astype(np.uint8), disk), cv2.dilate(second.astype(np.uint8), disk)
    num_first, num_second = np.sum(first), np.sum(second)
    matched_first, matched_second = np.sum(first * near_second), np.sum(second * near_first)
    if not num_first or not num_second:
        return float(num_first == num_second)
    precision, recall = matched_first / num_first, matched_second / num_second
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def per_pixel_score(item: tuple[str, list[list[dict[str, object]]]]) -> tuple[float, float]:
    """J and F of one sentence: all frames are decoded first."""
    folder, tracks = item
    answers, truths = (np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8) for _ in range(2))
    for t in range(FRAMES):
        for track in tracks:
            truths[t] += coco.decode(track[t])
        answers[t] = np.asarray(cv2.imread(f"{folder}/{t:05d}.png", cv2.IMREAD_GRAYSCALE))
    found, meant = answers.astype(np.bool_), truths.astype(np.bool_)
    common, union = np.sum(found & meant, axis=(1, 2)), np.sum(found | meant, axis=(1, 2))
    j = np.where(union == 0, 1.0, common / np.maximum(union, 1))
    return float(j.mean()), float(np.mean([per_pixel_f(found[t], meant[t]) for t in range(FRAMES)]))


def items_of(root: Path, answers: Path, number: int) -> list[tuple[str, list[list[dict[str, object]]]]]:
    """The first sentences with their truth."""
    meta = json.loads((root / "valid_u/meta_expressions.json").read_text())["videos"]
    masks = json.loads((root / "valid_u/mask_dict.json").read_text())
    items = []
    for name, video in meta.items():
        for key, expression in video["expressions"].items():
            items.append((f"{answers}/{name}/{key}", [masks[str(one)] for one in expression["anno_id"]]))
            if len(items) == number:
                return items
    return items


def decoding_ms(path: Path, times: int = 100) -> tuple[float, float]:
    """Best times to decode a picture: ours, OpenCV's."""
    load_fast_decoding()
    content = path.read_bytes()
    packed = np.frombuffer(content, np.uint8)
    ways = (lambda: decode_grey_png(content), lambda: cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE))
    best = []
    for way in ways:
        taken = []
        for _ in range(times):
            begun = time.perf_counter()
            way()
            taken.append(time.perf_counter() - begun)
        best.append(1000 * min(taken))
    return best[0], best[1]


def main() -> None:
    """Write the set, run both scorers, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--expressions", type=int, default=200, help="sentences to score (default: 200)")
    parser.add_argument("--published", type=int, default=20, help="sentences for the per-pixel scorer (default: 20)")
    args = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        root, answers = write_set(Path(folder), args.expressions)
        items = items_of(root, answers, min(args.published, args.expressions))
        begun, begun_cpu = time.perf_counter(), time.process_time()
        pairs = [per_pixel_score(item) for item in items]
        one_s, one_cpu_s = (time.perf_counter() - begun) / len(items), (time.process_time() - begun_cpu) / len(items)
        with multiprocessing.get_context("spawn").Pool(cores) as pool:
            pool.map(abs, range(cores))  # its processes have started
            begun = time.perf_counter()
            pool.map(per_pixel_score, items, chunksize=1)
            all_s = (time.perf_counter() - begun) / len(items)
        decoded = decoding_ms(next(answers.glob("*/*/*.png")))
        report = Path(folder) / "report.json"
        command = shutil.which("ssa-stream", path=os.path.dirname(sys.executable)) or "ssa-stream"
        call = [command, "score", "--data", f"mevis:{root}", "--predictions", str(answers), "--json", str(report)]
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ours_s = (time.perf_counter() - begun) / args.expressions
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours_cpu_s = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / args.expressions
        samples = json.loads(report.read_text())["variants"]["published"]["samples"]
    for (path, _), (j, f) in zip(items, pairs, strict=True):
        sample = samples["/".join(Path(path).parts[-2:])]
        assert math.dist((sample["J"], sample["F"]), (j, f)) < 1e-9, path
    print(f"{args.expressions} sentences of {FRAMES} frames of {HEIGHT}x{WIDTH}, {cores} cores; a sentence takes")
    print(f"per pixel, one process       {one_s * 1000:7.1f} ms, of processors {one_cpu_s * 1000:7.1f} ms")
    print(f"per pixel, {cores:3} processes     {all_s * 1000:7.1f} ms")
    print(f"score, all cores, its start  {ours_s * 1000:7.1f} ms, of processors {ours_cpu_s * 1000:7.1f} ms")
    print(f"ratio to one process {ours_s / one_s:.3f}, to {cores} processes {ours_s / all_s:.3f}")
    print(f"ratio of the processors' time {ours_cpu_s / one_cpu_s:.3f}")
    print("decoding one picture: {:.2f} ms, by OpenCV {:.2f} ms".format(*decoded))
    print(f"most memory of a process of score: {after.ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
