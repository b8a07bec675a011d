"""`ssa-stream demo`: the main job on a made-up video, with nothing to prepare."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from ssa_stream.cli.console import errors, progress_bar
from ssa_stream.errors import SinkError

__all__ = ["demo", "write_scene"]

_WIDTH, _HEIGHT, _FPS = 640, 360, 30
_FIRST, _SECOND = "the red circle", "the blue square moving left"


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the video and the results.")] = Path("demo"),
    seconds: Annotated[float, typer.Option(min=1.0, max=600.0, help="Length of the video.")] = 10.0,
) -> None:
    """Make a video, segment it by a sentence, and change the sentence half-way.

    Writes input.mp4, overlay.mp4 and masks.jsonl, and prints fps, latency and drops. It is `ssa-stream run` on a
    file; the command that does the same is printed first.
    """
    from ssa_stream.cli.run import run

    video, overlay, masks = out / "input.mp4", out / "overlay.mp4", out / "masks.jsonl"
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"cannot create the folder {out} ({error.strerror}); choose another one with --out") from error
    write_scene(video, round(seconds * _FPS))
    change = f"{seconds / 2:g}={_SECOND}"
    errors().print(
        f"$ ssa-stream run {video} -p '{_FIRST}' --at '{change}' -o {overlay} -o {masks} --random-weights",
        soft_wrap=True,
    )
    run(str(video), [_FIRST], at=[change], output=[str(overlay), str(masks)], random_weights=True)


def write_scene(path: Path, num_frames: int) -> None:
    """Encode the demo scene as H.264 video.

    Raises:
        SinkError: It cannot be written.
    """
    import av

    from ssa_stream.data import demo_scene, render

    scene = demo_scene(_WIDTH, _HEIGHT, _FPS)
    try:
        with av.open(str(path), "w") as container, progress_bar() as progress:
            stream = container.add_stream("libx264", rate=_FPS, options={"crf": "18", "preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
            stream.time_base = Fraction(1, _FPS)
            for index in progress.track(range(num_frames), description=f"drawing {path}"):
                picture = av.VideoFrame.from_ndarray(render(scene, index).image, format="rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
    except (OSError, av.FFmpegError) as error:
        raise SinkError(f"cannot write {path} ({error}); choose another folder with --out") from error
