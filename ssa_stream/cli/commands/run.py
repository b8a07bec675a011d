"""`ssa-stream run`: segment one stream by sentences."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ssa_stream.cli.options.files import Overwrite, existing, named
from ssa_stream.cli.options.logs import LogFormatOption, LogLevelOption, use_log_options
from ssa_stream.cli.options.model import (
    Checkpoint,
    Clip,
    Device,
    DownloadClip,
    Dtype,
    Engine,
    ModelName,
    Precision,
    RandomWeights,
    Threads,
)
from ssa_stream.cli.options.summary import JsonFile, Strict, write_json
from ssa_stream.errors import ConfigError, SinkError, SsaStreamError
from ssa_stream.outputs import NamedPath, check_outputs, sink_files

if TYPE_CHECKING:
    from ssa_stream.cli.runner import PromptChange
    from ssa_stream.sinks import Sink, SinkGroup

__all__ = ["run"]

_STREAM, _LIVE, _OUTPUT, _SESSION = "Stream", "Cameras and addresses", "Output", "Session"


def run(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A video file, numbered pictures (frames/%03d.png), - for standard input, a camera (0 or "
            "/dev/video0), an address (rtsp://...), or 'synthetic': a made-up scene that needs nothing. #stream=1 at "
            "its end reads the second video stream.",
        ),
    ],
    prompt: Annotated[
        list[str],
        typer.Option("--prompt", "-p", help="What to look for, in plain words. Repeat it to look for several things."),
    ],
    at: Annotated[
        list[str] | None,
        typer.Option(
            "--at",
            metavar="SECONDS=TEXT",
            help="Change the prompt at that time of the stream: --at '5=the blue square'. Several with the same time "
            "replace the prompts together.",
            rich_help_panel=_STREAM,
        ),
    ] = None,
    max_frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after that many frames.", rich_help_panel=_STREAM)
    ] = None,
    realtime: Annotated[
        bool,
        typer.Option(
            help="Play a file at its own pace, like a camera: late frames are dropped.", rich_help_panel=_STREAM
        ),
    ] = False,
    rtsp_transport: Annotated[
        Literal["tcp", "udp"] | None,
        typer.Option(help="How pictures come by rtsp://; tcp if not given.", rich_help_panel=_LIVE),
    ] = None,
    connect_timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Longest wait for a connection.", rich_help_panel=_LIVE)
    ] = 5.0,
    stall_timeout: Annotated[
        float,
        typer.Option(
            min=0.1, metavar="SECONDS", help="Silence after which the connection is made anew.", rich_help_panel=_LIVE
        ),
    ] = 5.0,
    recover: Annotated[
        bool,
        typer.Option(help="Connect again when the source is lost, for as long as it takes.", rich_help_panel=_LIVE),
    ] = True,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Wait for a source that is not there at the start, too.", rich_help_panel=_LIVE),
    ] = False,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            help="Where results go: overlay.mp4 (video with masks drawn), masks.jsonl (JSON lines with RLE masks), - "
            "(JSON lines on standard output), or a plug-in's scheme:... Repeat it for several.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    overwrite: Overwrite = False,
    json_file: JsonFile = None,
    strict: Strict = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress, no summary.", rich_help_panel=_OUTPUT)
    ] = False,
    log_format: LogFormatOption = "text",
    log_level: LogLevelOption = "info",
    checkpoint: Checkpoint = None,
    clip: Clip = None,
    download_clip: DownloadClip = None,
    random_weights: RandomWeights = False,
    model: ModelName = "ssa-tiny",
    device: Device = "auto",
    dtype: Dtype = "float32",
    precision: Precision = "auto",
    engine: Engine = "auto",
    threads: Threads = None,
    window: Annotated[
        int, typer.Option(min=1, help="Frames that the video decoder sees at once.", rich_help_panel=_SESSION)
    ] = 8,
    half_life: Annotated[
        float,
        typer.Option(
            min=0, help="Frames after which the memory beyond the window halves; inf or 0.", rich_help_panel=_SESSION
        ),
    ] = 16.0,
    lookahead: Annotated[
        int, typer.Option(min=0, help="Frames to wait for before masks are final.", rich_help_panel=_SESSION)
    ] = 0,
    threshold: Annotated[
        float, typer.Option(help="Least probability of a selected object.", rich_help_panel=_SESSION)
    ] = 0.5,
    single: Annotated[
        bool, typer.Option("--single", help="At most the one best object per prompt.", rich_help_panel=_SESSION)
    ] = False,
    short_edge: Annotated[
        int | None,
        typer.Option(min=32, help="Shortest edge at the network in pixels.", rich_help_panel=_SESSION),
    ] = None,
    max_gap: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            metavar="SECONDS",
            help="A longer pause clears the memory. [default: 2, or four frames' time where they come more slowly]",
            show_default=False,
            rich_help_panel=_SESSION,
        ),
    ] = None,
) -> None:
    """Segment what sentences refer to in a video stream.

    A file is processed whole, frame by frame. A camera or an address is live: the newest frame is taken, late ones
    are dropped and counted, and when it is lost it is connected again. Ctrl-C ends a run; its files are complete.
    Until then they are called overlay.partial.mp4 and masks.partial.jsonl.

    The shipped checkpoint knows drawn shapes, not the world; give one that does with --checkpoint.

        ssa-stream run synthetic -p "the red circle" -o overlay.mp4 --max-frames 300

        ssa-stream run street.mp4 -p "the person carrying the box" -o overlay.mp4 -o masks.jsonl -c ssa.safetensors
    """
    use_log_options("run", log_format, log_level)
    from ssa_stream.addresses import is_synthetic
    from ssa_stream.cli.checks.arguments import check_prompts
    from ssa_stream.cli.options.engine import ModelChoice, all_cores_but_one, open_model, with_engine
    from ssa_stream.cli.runner import RunReport, paced, run_stream
    from ssa_stream.cli.views.console import print_warning
    from ssa_stream.cli.views.model_words import ModelWords
    from ssa_stream.cli.views.run_view import (
        live_line,
        print_connections,
        print_overload,
        print_source_status,
        print_summary,
    )
    from ssa_stream.cli.views.terminal import Interrupts
    from ssa_stream.input_warnings import require_complete
    from ssa_stream.knowledge import knowledge_of
    from ssa_stream.sinks import Background
    from ssa_stream.sources import RecoveryPolicy, check_source, open_source
    from ssa_stream.streaming import SessionConfig

    check_outputs(
        [*sink_files("--output", output), *named(json=json_file)],
        [NamedPath("the source", source), *existing(checkpoint=checkpoint, clip=clip, model=model)],
        overwrite=overwrite,
    )
    transport = _transport_options(source, rtsp_transport)
    changes = _merge(_parse_change(text) for text in at or [])
    config = SessionConfig(
        window=window,
        half_life_frames=half_life,
        lookahead=lookahead,
        threshold=threshold,
        mode="single" if single else "multi",
        short_edge_px=short_edge,
        max_gap_s=max_gap,
    )
    check_prompts(config, prompt, *(change.prompts for change in changes))
    check_source(source, live=True if realtime else None)
    choice = ModelChoice(
        model=model,
        checkpoint=checkpoint,
        random_weights=random_weights,
        clip=clip,
        download_clip=download_clip,
        device=device,
        dtype=dtype,
        precision=precision,
        engine=engine,
    )
    choice.check()
    words = ModelWords(knowledge_of(checkpoint, random_weights=random_weights), is_synthetic(source))
    if not quiet:
        words.introduce()
    hints = words.hints([*prompt, *(text for change in changes for text in change.prompts)])
    network = with_engine(open_model(choice, threads=threads or all_cores_but_one()), choice.engine, window=window)
    from ssa_stream.streaming import ReferSession  # imports torch: after all that can be told without it

    session = ReferSession(network, config, prompt)
    opened = paced(
        open_source(
            source,
            live=True if realtime else None,
            open_timeout_s=connect_timeout,
            read_timeout_s=stall_timeout,
            options=transport,
            recovery=RecoveryPolicy(patient_start=wait) if recover else None,
            on_state=None if quiet else print_source_status,
        )
    )
    report, failure, sinks = RunReport(warnings=hints), None, None
    try:
        info = opened.info
        sinks = _opened_outputs(output or [], info.fps or 30.0, overwrite)
        # Interrupts end after the outputs are closed: no second signal cuts that short.
        with Interrupts(), Background(sinks) as sink:
            with live_line(_smaller(info.frame_count, max_frames), quiet=quiet) as on_frame:
                run_stream(
                    opened,
                    session,
                    sink,
                    changes=changes,
                    max_frames=max_frames,
                    on_frame=on_frame,
                    on_warning=print_warning,
                    **({} if quiet else {"on_overload": print_overload}),
                    report=report,
                )
    except SsaStreamError as error:
        failure, report.failure = error, str(error)
    finally:
        opened.close()
    if sinks is not None:
        report.outputs = sinks.reports
    if not quiet:
        print_summary(report)
        print_connections(opened.source)
        words.found({"": report.found})
    if json_file is not None:
        write_json(report.to_mapping(), json_file, overwrite=overwrite)
    if failure is not None:
        raise failure
    if strict:
        require_complete(report.warnings)


def _opened_outputs(specs: Sequence[str], fps: float, overwrite: bool) -> "SinkGroup":
    """Open all outputs, or none."""
    from ssa_stream.sinks import SinkGroup, open_sink

    sinks: list[Sink] = []
    try:
        for spec in specs:
            sinks.append(open_sink(spec, fps=fps, overwrite=overwrite))
    except SinkError:
        SinkGroup(sinks).close()
        raise
    return SinkGroup(sinks, specs)


def _transport_options(source: str, rtsp_transport: str | None) -> dict[str, str]:
    if rtsp_transport is None:
        return {}
    if not source.lower().startswith(("rtsp:", "rtsps:")):
        raise ConfigError("--rtsp-transport is for rtsp:// and rtsps:// addresses: leave it out")
    return {"rtsp_transport": rtsp_transport}


def _parse_change(text: str) -> "PromptChange":
    """Read `SECONDS=TEXT`.

    Raises:
        ConfigError: It is something else.
    """
    from ssa_stream.cli.runner import PromptChange

    seconds, separator, prompt = text.partition("=")
    try:
        at_s = float(seconds.strip().removesuffix("s"))
    except ValueError:
        at_s = -1.0
    if not separator or not at_s >= 0 or not prompt.strip():
        raise ConfigError(f"--at {text!r}: expected SECONDS=TEXT, such as --at '5=the blue square'")
    return PromptChange(at_s, (prompt.strip(),))


def _merge(changes: Iterable["PromptChange"]) -> list["PromptChange"]:
    """Changes at the same time become one change to several prompts."""
    from ssa_stream.cli.runner import PromptChange

    by_time: dict[float, tuple[str, ...]] = {}
    for change in changes:
        by_time[change.at_s] = (*by_time.get(change.at_s, ()), *change.prompts)
    return [PromptChange(at_s, prompts) for at_s, prompts in by_time.items()]


def _smaller(a: int | None, b: int | None) -> int | None:
    return min((value for value in (a, b) if value is not None), default=None)
