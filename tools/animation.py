"""Make a small looping animation of a video, for pages that show pictures only.

python tools/animation.py demo/overlay.mp4 docs/demo.webp
"""

import argparse
from pathlib import Path

import av
from PIL import Image


def main() -> None:
    """Read the options, write the animation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("out", type=Path, help=".webp or .gif")
    parser.add_argument("--width", type=int, default=480, help="in pixels")
    parser.add_argument("--fps", type=float, default=10.0, help="pictures per second")
    parser.add_argument("--quality", type=int, default=60, help="of .webp, 0 to 100")
    options = parser.parse_args()
    pictures = sampled(options.video, options.width, options.fps)
    if not pictures:
        raise SystemExit(f"error: {options.video} holds no pictures")
    pictures[0].save(
        options.out,
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 / options.fps),
        loop=0,
        quality=options.quality,
        method=6,
    )
    print(f"wrote {options.out}: {len(pictures)} pictures, {options.out.stat().st_size / 1e6:.2f} MB")


def sampled(video: Path, width: int, fps: float) -> list[Image.Image]:
    """Pictures of a video at a lower rate and size."""
    pictures: list[Image.Image] = []
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time * fps >= len(pictures) - 1e-6:
                image = Image.fromarray(frame.to_ndarray(format="rgb24"))
                pictures.append(image.resize((width, round(image.height * width / image.width))))
    return pictures


if __name__ == "__main__":
    main()
