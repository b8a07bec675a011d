"""What a robot does with masks: the freshest ones of a running graph, and nothing older than it may act on.

What you will see: a line for each frame and prompt with the tracks, the centre of each mask and the age of the
picture. Needs the base installation only, no torch. Start a graph first, in another terminal:

    ssa-stream up demo --keep
    python examples/mask_subscriber.py --num-frames 3 --max-age 60

The second command prints something like this:

    scene 0.112 'the red circle': 3 at (412, 180)  age 65 ms, missed 0
    scene 0.113 'the red circle': 3 at (409, 181)  age 61 ms, missed 0
    scene 0.114 'the red circle': 3 at (406, 183)  age 64 ms, missed 0

With `--pictures FOLDER` it also saves the pictures that the masks were made of, if the graph sends them: its pipeline
has `masks: {picture: jpeg}`.
"""

import argparse
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ssa_stream.client import DEFAULT_PUBLISH_ADDRESS, MaskView, masks
from ssa_stream.errors import SsaStreamError


def main() -> None:
    """Print what comes, until Ctrl-C or after some messages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default=DEFAULT_PUBLISH_ADDRESS, help="where the graph publishes")
    parser.add_argument("--stream", help="only this stream")
    parser.add_argument("--max-age", type=float, default=0.2, help="seconds; pass over older masks")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds; stop when nothing comes for so long")
    parser.add_argument("--num-frames", type=int, help="stop after that many messages")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="save the pictures of the masks here")
    options = parser.parse_args()
    try:
        views = masks(options.address, options.stream, max_age_s=options.max_age, timeout_s=options.timeout)
        follow(itertools.islice(views, options.num_frames), options.pictures)
    except SsaStreamError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        pass


def follow(views: Iterable[MaskView], pictures: Path | None) -> None:
    """The part to copy."""
    for view in views:
        places = []
        for track in view.tracks:
            rows, columns = np.nonzero(view.mask(track))  # (H, W) bool, at the size of the source
            places.append(f"{track.id} at ({columns.mean():.0f}, {rows.mean():.0f})")
        age = "?" if view.age_s is None else f"{view.age_s * 1e3:.0f} ms"
        where = ", ".join(places) or "nothing"
        frame = view.frame
        print(f"{frame.stream} {frame.epoch}.{frame.seq} {view.prompt.text!r}: {where}  age {age}, missed {view.gap}")
        if pictures is not None and (jpeg := view.picture_jpeg) is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            (pictures / f"{frame.stream}-{frame.epoch}.{frame.seq}.jpg").write_bytes(jpeg)


if __name__ == "__main__":
    main()
