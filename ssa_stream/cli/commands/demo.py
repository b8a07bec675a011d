"""`ssa-stream demo`: prompts followed through a synthetic video, with nothing to prepare."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer

from ssa_stream.cli.options.logs import LogFormatOption, LogLevelOption, use_log_options
from ssa_stream.cli.views.console import notice, progress_bar
from ssa_stream.errors import SinkError, misnamed
from ssa_stream.files import replacing

__all__ = ["demo", "write_scene"]

_WIDTH, _HEIGHT, _FPS = 640, 360, 30
_PRINTED_EVERY = 30
_FIRST, _SECOND = "the red circle", "the blue square moving left"


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the video and the results.")] = Path("demo"),
    seconds: Annotated[float, typer.Option(min=1.0, max=600.0, help="Length of the video.")] = 10.0,
    placement: Annotated[
        str,
        typer.Option(
            metavar="fused|processes",
            help="All nodes in one process; or a process each, with a subscriber that prints what a robot would see.",
        ),
    ] = "fused",
    log_format: LogFormatOption = "text",
    log_level: LogLevelOption = "info",
) -> None:
    """Make a video, segment it by a sentence, and change the sentence half-way.

    Writes input.mp4, pipeline.yaml, overlay.mp4 and masks.jsonl, replacing files of these names in its folder and no
    others, and prints fps, latency and drops. It is `ssa-stream up` on a pipeline of one file; the command that does
    the same is printed first.
    """
    use_log_options("launcher", log_format, log_level)
    from ssa_stream.cli.commands.up import expect_no_failures, run_pipeline
    from ssa_stream.nodes.pipeline import PipelineConfig, save_pipeline

    video, pipeline = out / "input.mp4", out / "pipeline.yaml"
    outputs = [str(out / "overlay.mp4"), str(out / "masks.jsonl")]
    config = PipelineConfig.from_mapping(_pipeline(str(video), outputs, placement, seconds / 2), origin="command line")
    try:
        out.mkdir(parents=True, exist_ok=True)
        save_pipeline(config, pipeline)
    except OSError as error:
        told = SinkError(f"cannot write into {out} ({error.strerror}); choose another folder with --out")
        is_folder = not isinstance(error, FileExistsError | NotADirectoryError)
        raise (told if is_folder else misnamed(told)) from error
    write_scene(video, round(seconds * _FPS))
    notice(f"$ ssa-stream up {pipeline}", event="begins", pipeline=str(pipeline))
    report = run_pipeline(config, beside=_print_what_a_robot_sees if placement == "processes" else None, is_drawn=True)
    expect_no_failures(report)
    for path in outputs:
        notice(f"wrote {path}", event="written", file=path)


def _pipeline(video: str, outputs: list[str], placement: str, change_at_s: float) -> dict[str, Any]:
    stream = {
        "source": video,
        "prompts": [_FIRST],
        "changes": [{"at_s": change_at_s, "prompts": [_SECOND]}],
        "outputs": outputs,
    }
    return {
        "name": "demo",
        "placement": placement,
        "overwrite": True,
        "public": {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"},
        "streams": {"scene": stream},
    }


async def _print_what_a_robot_sees(address: str) -> None:
    """Subscribe as a robot would, and print a line for every so many frames."""
    from ssa_stream.cli.commands.watch import as_line
    from ssa_stream.client import MaskSubscription

    async with MaskSubscription(address) as subscribed:
        async for view in subscribed:
            if view.frame.index % _PRINTED_EVERY == 0:
                notice(f"robot: {as_line(view)}", event="robot")


def write_scene(path: Path, num_frames: int) -> None:
    """Encode the demo scene as H.264 video.

    Raises:
        SinkError: It cannot be written.
    """
    import av

    from ssa_stream.data import demo_scene, render

    scene = demo_scene(_WIDTH, _HEIGHT, _FPS)
    try:
        with (
            replacing(path) as partial,
            av.open(str(partial), "w", format="mp4") as container,
            progress_bar() as progress,
        ):
            stream = container.add_stream("libx264", rate=_FPS, options={"crf": "18", "preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
            stream.time_base = Fraction(1, _FPS)
            for index in progress.track(range(num_frames), description=f"drawing {path}"):
                picture = av.VideoFrame.from_ndarray(render(scene, index).image, format="rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
    except (OSError, av.FFmpegError) as error:
        raise SinkError(f"cannot write {path} ({error}); choose another folder with --out") from error
