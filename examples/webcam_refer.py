"""Segment what you name in a live picture, and name something else while it runs.

What you will see: the camera's picture with masks and track ids on whatever the sentence refers to. Type
another sentence into the terminal and press Enter: the masks follow. Several sentences are separated by semicolons.
Without a display the picture goes to webcam_refer.mp4. Without a camera a made-up scene is shown.

    python examples/webcam_refer.py "the red circle" --source synthetic --num-frames 100
    python examples/webcam_refer.py "the person on the left" --checkpoint ssa.safetensors

The shipped checkpoint knows drawn shapes, not the world; for a real camera give one that does (docs/checkpoints.md).
The first command prints something like this:

    checkpoint: ssa-tiny
    source: synthetic, prompts: the red circle
    type another sentence and press Enter to change what is looked for; Ctrl-C ends
    100 frames at 14.8 fps, 97 dropped as stale
    target found in 98 of 100 frames
    wrote webcam_refer.mp4
"""

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ssa_stream.addresses import is_synthetic
from ssa_stream.checkpoints import read_info
from ssa_stream.errors import SsaStreamError
from ssa_stream.knowledge import Knowledge, knowledge_of
from ssa_stream.outputs import NamedPath, check_outputs
from ssa_stream.printable import printable
from ssa_stream.sinks import OverlayVideoSink
from ssa_stream.sources import Freshest, Prefetch, check_source, list_cameras, open_source
from ssa_stream.streaming.prompts import clean_text
from ssa_stream.viz import LiveDisplay, draw_overlay, has_display

if TYPE_CHECKING:
    from ssa_stream.streaming import ReferSession


def main() -> None:
    """Read the options, run until the source ends, the display is closed or Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompt", nargs="+", help="what to look for, in plain words")
    parser.add_argument("--source", help="camera index or device, file, rtsp:// address, or synthetic")
    parser.add_argument("--checkpoint", default="ssa-tiny", help="weight file, or the name of a shipped checkpoint")
    parser.add_argument("--output", default="webcam_refer.mp4", help="overlay video when there is no display")
    parser.add_argument("--no-window", action="store_true", help="write the video even if there is a screen")
    parser.add_argument("--num-frames", type=int, help="stop after that many frames")
    options = parser.parse_args()
    try:
        spec = options.source or first_camera()
        prompts = [clean_text(text) for text in options.prompt]
        check_source(spec)
        check_outputs([NamedPath("--output", options.output)], [NamedPath("--source", spec)], overwrite=True)
        read_info(options.checkpoint)
        knowledge = knowledge_of(options.checkpoint)
        print(printable(knowledge.introduction(is_synthetic=is_synthetic(spec))), flush=True)
        say_unknown_words(knowledge, prompts)
        # These import torch, which takes seconds: after all that can be wrong without it.
        from ssa_stream.checkpoints import load_checkpoint
        from ssa_stream.streaming import ReferSession

        session = ReferSession(load_checkpoint(options.checkpoint), prompts=prompts)
        run(session, knowledge, spec, options.output, options.no_window, options.num_frames)
    except SsaStreamError as error:
        sys.exit(f"error: {error}")


def first_camera() -> str:
    """The first camera, or the made-up scene where there is none."""
    cameras = list_cameras()
    if cameras:
        return next(iter(cameras))
    print("no camera found: showing a made-up scene; name a camera, a file or an address with --source")
    return "synthetic"


def say_unknown_words(knowledge: Knowledge, prompts: Iterable[str]) -> None:
    """Say of sentences which words the checkpoint does not know."""
    for hint in filter(None, map(knowledge.hint, prompts)):
        print(printable(hint))


def run(
    session: "ReferSession", knowledge: Knowledge, spec: str, output: str, no_window: bool, num_frames: int | None
) -> None:
    """Segment frames and show them."""
    frames = shown = epoch = 0
    source = open_source(spec)
    with ExitStack() as stack:
        # Live: always the newest frame, late ones are dropped. A file: every frame.
        reader = stack.enter_context(Freshest(source) if source.info.live else Prefetch(source))
        sentences = ", ".join(prompt.text for prompt in session.prompts)
        print(f"source: {printable(source.info.name)}, prompts: {printable(sentences)}")
        print("type another sentence and press Enter to change what is looked for; Ctrl-C ends")
        threading.Thread(target=follow_terminal, args=(session.set_prompts, knowledge), daemon=True).start()
        display = stack.enter_context(LiveDisplay("ssa_stream")) if has_display() and not no_window else None
        video = None if display else stack.enter_context(OverlayVideoSink(output, source.info.fps or 30.0))
        started = time.monotonic()
        try:
            for frame in reader.frames():
                if frame.epoch != epoch:  # the source began anew or changed its size
                    session.reset()
                    epoch = frame.epoch
                results = session.push(frame.image, frame.t, pixel_aspect=frame.pixel_aspect)
                frames += 1
                shown += any(result.target_present for result in results)
                if video:
                    video.write(frame, results)
                if (display and not display.show(draw_overlay(frame.image, results))) or frames == num_frames:
                    break
        except KeyboardInterrupt:
            print()
        rate = frames / max(time.monotonic() - started, 1e-9)
        dropped = reader.dropped if isinstance(reader, Freshest) else 0
        print(f"{frames} frames at {rate:.1f} fps, {dropped} dropped as stale")
        print(f"target found in {shown} of {frames} frames")
        if frames and not shown:
            print(printable(knowledge.advice(is_synthetic=is_synthetic(spec))))
    if video:
        print(f"wrote {output}")


def follow_terminal(set_prompts: Callable[[list[str]], object], knowledge: Knowledge) -> None:
    """Give every line typed to the session; semicolons separate several prompts."""
    for line in sys.stdin:
        prompts = [part.strip() for part in line.split(";") if part.strip()]
        if prompts:
            try:
                set_prompts(prompts)
            except SsaStreamError as error:  # an arrow key, say, is no sentence
                print(error)
            else:
                print(f"now looking for: {printable(', '.join(prompts))}")
                say_unknown_words(knowledge, prompts)


if __name__ == "__main__":
    main()
