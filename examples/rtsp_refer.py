"""Follow what you name in the pictures of an RTSP camera, while the camera comes and goes.

What you will see: a line for every change of the camera's state, and one for each object that is found. Pull the
camera's plug and put it in again: the example says what is wrong, tries again, and goes on.

    python examples/rtsp_refer.py rtsp://camera/stream "the person on the left" --checkpoint ssa.safetensors

    checkpoint: ssa.safetensors
    camera: connecting
    camera: live
      2.133 s, the person on the left: #1 0.86 at 402,254-473,325, 58 ms old
      2.200 s, the person on the left: #1 0.87 at 403,254-474,325, 61 ms old
    camera: stalled: no frame for 2 s
    camera: reconnecting, attempt 1 in 0.4 s: rtsp://camera/stream: stalled: no frame for 5 s
    camera: live again after 8.3 s
    ...
    target found in 212 of 340 frames

Ctrl-C ends it. The shipped checkpoint knows drawn shapes, not the world; for a real camera give one that does
(docs/checkpoints.md). What states and limits mean is in docs/sources.md.
"""

import argparse
import itertools
import sys
import time
from typing import TYPE_CHECKING

from ssa_stream.checkpoints import read_info
from ssa_stream.errors import SsaStreamError
from ssa_stream.knowledge import knowledge_of
from ssa_stream.printable import printable
from ssa_stream.sources import Frame, Freshest, RecoveryPolicy, SourceStatus, check_source, open_source
from ssa_stream.streaming import MaskResult
from ssa_stream.streaming.prompts import clean_text

if TYPE_CHECKING:
    from ssa_stream.streaming import ReferSession


def main() -> None:
    """Read the command line; follow until Ctrl-C, after some frames, or until there is nothing to follow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="such as rtsp://USER:PASSWORD@camera/stream")
    parser.add_argument("prompt", nargs="+", help="what to look for, in plain words")
    parser.add_argument("--checkpoint", default="ssa-tiny", help="weight file, or the name of a shipped checkpoint")
    parser.add_argument("--transport", choices=("tcp", "udp"), default="tcp", help="how pictures come")
    parser.add_argument("--wait", action="store_true", help="for a camera that is not there yet, instead of an error")
    parser.add_argument("--num-frames", type=int, help="stop after that many frames")
    options = parser.parse_args()
    try:
        prompts = [clean_text(text) for text in options.prompt]
        check_source(options.address)
        read_info(options.checkpoint)
        knowledge = knowledge_of(options.checkpoint)
        print(printable(knowledge.introduction(is_synthetic=False)), flush=True)
        for hint in filter(None, map(knowledge.hint, prompts)):
            print(printable(hint), flush=True)
        # These import torch, which takes seconds: after all that can be wrong without it.
        from ssa_stream.checkpoints import load_checkpoint
        from ssa_stream.streaming import ReferSession

        session = ReferSession(load_checkpoint(options.checkpoint), prompts=prompts)
        follow(session, options.address, options.transport, options.wait, options.num_frames)
    except SsaStreamError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        pass


def follow(session: "ReferSession", address: str, transport: str, wait: bool, num_frames: int | None) -> None:
    """The part to copy: always the newest frame, over any number of connections."""
    patience = RecoveryPolicy(patient_start=wait)
    source = open_source(address, options={"rtsp_transport": transport}, recovery=patience, on_state=show_state)
    last: Frame | None = None
    frames = shown = 0
    try:
        with Freshest(source) as camera:
            for frame in itertools.islice(camera.frames(), num_frames):
                if last is not None and not frame.continues(last):  # the picture has another size
                    session.reset()
                last = frame
                results = session.push(frame.image, frame.t, pixel_aspect=frame.pixel_aspect)
                frames += 1
                shown += any(result.target_present for result in results)
                for result in results:
                    show_masks(result, time.monotonic_ns() - (frame.t_capture_ns or frame.t_receive_ns))
    finally:
        print(f"target found in {shown} of {frames} frames", flush=True)


def show_state(status: SourceStatus) -> None:
    """Say how the camera fares and, if it does not, what is wrong; never a password."""
    match status:
        case SourceStatus(stage="live", outage_s=float(seconds)):
            line = f"live again after {seconds:.1f} s"
        case SourceStatus(stage="connecting" | "reconnecting", retry_in_s=float(seconds)):
            line = f"{status.stage}, attempt {status.attempt + 1} in {seconds:.1f} s: {status.text}"
        case SourceStatus(stage="reconnecting"):
            return  # the attempt that was announced
        case _:
            line = status.stage + (f": {status.text}" if status.text else "")
    print(f"camera: {printable(line)}", flush=True)


def show_masks(result: MaskResult, age_ns: int) -> None:
    """Say where something was found; `track.mask` is the mask, `(H, W)` bool, at the size of the picture."""
    for track in result.tracks:
        left, top, right, bottom = track.box_xyxy
        where = f"#{track.track_id} {track.score:.2f} at {left},{top}-{right},{bottom}"
        print(f"{result.t:7.3f} s, {printable(result.prompt)}: {where}, {age_ns / 1e6:.0f} ms old", flush=True)


if __name__ == "__main__":
    main()
