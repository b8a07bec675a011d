"""`ssa-stream up`: run a graph of nodes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ssa_stream.cli.options.files import Overwrite, named
from ssa_stream.cli.options.graph import (
    ModelDevice,
    ModelDtype,
    ModelPrecision,
    ModelThreads,
    PlacementOption,
    PromptOption,
    PublishOption,
    RequestsOption,
    ServerKeysOption,
    SourceOption,
    with_model,
    with_streams,
)
from ssa_stream.cli.options.logs import LogFormatOption, LogLevelOption, use_log_options
from ssa_stream.cli.options.model import Checkpoint, GraphEngine, RandomWeights
from ssa_stream.cli.options.state import Fresh, StateFolder, saved_prompts
from ssa_stream.cli.options.summary import JsonFile, Strict, write_json
from ssa_stream.cli.views.console import notice
from ssa_stream.errors import SinkError, SourceError, SsaStreamError
from ssa_stream.input_warnings import require_complete
from ssa_stream.outputs import NamedPath

if TYPE_CHECKING:
    from ssa_stream.nodes.launcher import Graph, GraphReport, SavedPrompts
    from ssa_stream.nodes.pipeline import PipelineConfig

__all__ = ["expect_no_failures", "expect_outputs", "run_pipeline", "up"]

_STREAMS, _GRAPH, _MODEL, _OUTPUT = "Streams", "Graph", "Model", "Output"


def up(
    pipeline: Annotated[
        str,
        typer.Argument(
            metavar="PIPELINE",
            help="A shipped pipeline (browser, demo, two-streams, webcam) or a YAML file. It names streams, "
            "prompts and limits.",
        ),
    ],
    source: SourceOption = None,
    prompt: PromptOption = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="STREAM=FILE",
            help="Let the graph write, too: overlay.mp4, masks.jsonl, or a plug-in's scheme:...",
            rich_help_panel=_STREAMS,
        ),
    ] = None,
    overwrite: Overwrite = False,
    max_frames: Annotated[
        int | None, typer.Option(min=1, help="End each stream after that many frames.", rich_help_panel=_STREAMS)
    ] = None,
    placement: PlacementOption = None,
    publish: PublishOption = None,
    requests: RequestsOption = None,
    keys: ServerKeysOption = None,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            help="Let other machines in without keys. Everybody there can watch and change prompts.",
            rich_help_panel=_GRAPH,
        ),
    ] = False,
    http: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Serve /livez, /readyz and /metrics (Prometheus) there, such as 127.0.0.1:8080.",
            rich_help_panel=_GRAPH,
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Stay when all sources have ended, until Ctrl-C.", rich_help_panel=_GRAPH)
    ] = False,
    state: StateFolder = None,
    fresh: Fresh = False,
    checkpoint: Checkpoint = None,
    random_weights: RandomWeights = False,
    device: ModelDevice = None,
    dtype: ModelDtype = None,
    precision: ModelPrecision = None,
    engine: GraphEngine = None,
    threads: ModelThreads = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No live line, no summary.", rich_help_panel=_OUTPUT)
    ] = False,
    json_file: JsonFile = None,
    strict: Strict = False,
    log_format: LogFormatOption = "text",
    log_level: LogLevelOption = "info",
) -> None:
    """Run a graph of nodes: sources in, masks out for everybody who subscribes.

    A file ends by itself, every frame processed; a camera or an address runs until Ctrl-C, late frames dropped and
    counted. Prompts can be changed and masks watched from other terminals:

        ssa-stream up demo

        ssa-stream up webcam --prompt "the person carrying the box" --checkpoint ssa.safetensors

        ssa-stream watch

        ssa-stream prompt set webcam "the door" "the red cup"
    """
    use_log_options("launcher", log_format, log_level)
    from ssa_stream.cli.checks.arguments import check_graph, http_places
    from ssa_stream.nodes.pipeline import check_pipeline_files, load_pipeline

    config = with_model(
        load_pipeline(pipeline),
        checkpoint=None if checkpoint is None else str(checkpoint),
        random_weights=random_weights,
        device=device,
        dtype=dtype,
        precision=precision,
        engine=engine,
        threads=threads,
    )
    config = with_streams(
        config,
        sources=source or (),
        prompts=prompt or (),
        outputs=output or (),
        max_frames=max_frames,
        public={"publish": publish, "requests": requests, "keys": keys, "insecure": insecure or None},
        placement=placement,
        overwrite=overwrite,
    )
    check_pipeline_files(config, inputs=[NamedPath("the pipeline", pipeline)], outputs=named(json=json_file))
    check_graph(config, *http_places(http, insecure=config.public.insecure))
    with saved_prompts(pipeline, config, state=state, fresh=fresh, quiet=quiet) as saved:
        report = run_pipeline(config, keep=keep, quiet=quiet, http=http, saved=saved)
    if json_file is not None:
        write_json(report.to_mapping(), json_file, overwrite=config.overwrite)
    expect_no_failures(report)
    if strict:
        require_complete(report.warnings)


def run_pipeline(
    config: "PipelineConfig",
    *,
    keep: bool = False,
    quiet: bool = False,
    beside: Callable[[str], Awaitable[None]] | None = None,
    http: str | None = None,
    saved: "SavedPrompts | None" = None,
    is_drawn: bool = False,
) -> "GraphReport":
    """Run a graph until its sources end or a signal comes, with its figures on stderr.

    Args:
        config: The graph.
        keep: Stay when all sources have ended.
        quiet: No live line, no summary.
        beside: Runs beside the graph, from when it can be subscribed to; given the address for that.
        http: Where to serve health and metrics; None: nowhere.
        saved: Prompts that clients changed, see `Graph`.
        is_drawn: The sources are drawn, though they may be files.
    Raises:
        ConfigError: The settings are wrong.
        SsaStreamError: The graph failed.
    """
    from ssa_stream.cli.options.engine import all_cores_but_one
    from ssa_stream.cli.views.graph_view import print_graph_summary
    from ssa_stream.cli.views.model_words import ModelWords
    from ssa_stream.nodes.launcher.dtype import with_measured_dtype
    from ssa_stream.nodes.runtime.descriptors import raise_file_limit

    words = ModelWords.of_graph(config, is_drawn=is_drawn)
    if not quiet:
        words.introduce()
    words.graph_hints(config)
    raise_file_limit()
    config = with_model(config, threads=config.model.threads or all_cores_but_one())
    config = with_measured_dtype(config, lambda words: notice(words, event="dtype"))
    report = asyncio.run(_run(config, keep, quiet, beside, http, saved))
    if not quiet:
        print_graph_summary(report, words)
    return report


async def _run(
    config: "PipelineConfig",
    keep: bool,
    quiet: bool,
    beside: Callable[[str], Awaitable[None]] | None,
    http: str | None,
    saved: "SavedPrompts | None",
) -> "GraphReport":
    from ssa_stream.cli.readiness import announced
    from ssa_stream.cli.views.graph_view import GraphView, served_health
    from ssa_stream.nodes.launcher import Graph
    from ssa_stream.nodes.runtime.logs import log_as
    from ssa_stream.nodes.runtime.memory import settle
    from ssa_stream.nodes.runtime.signals import stop_on_signals

    view = GraphView(quiet=quiet)
    graph = Graph(config, keep=keep, on_line=view.line, saved=saved)
    stop = asyncio.Event()
    with stop_on_signals(stop):
        told = announced(graph, view, stop)
        async with served_health(graph, http, view), view.live(graph), told, _beside(graph, beside):
            log_as("launcher")
            return await graph.run(stop, lambda _: settle())


@asynccontextmanager
async def _beside(graph: "Graph", work: Callable[[str], Awaitable[None]] | None) -> AsyncIterator[None]:
    """Run something from when the graph is bound until it has ended."""

    async def begin(work: Callable[[str], Awaitable[None]]) -> None:
        await graph.bound.wait()
        await work(graph.publish_address)

    task = None if work is None else asyncio.create_task(begin(work), name="beside the graph")
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            await asyncio.wait([task])


def expect_no_failures(report: "GraphReport") -> None:
    """A source that broke is an error, though its graph ended in order; and so is an output.

    Raises:
        SourceError: A source broke.
        SinkError: An output ended before its stream.
        SsaStreamError: Work on every frame failed.
    """
    from ssa_stream.protocols import DropReason

    if report.failures:
        raise SourceError("; ".join(f"stream {name}: {text}" for name, text in report.failures.items()))
    failed = report.drops[DropReason.FAILED]
    if failed and not report.total_frames:
        raise SsaStreamError(f"no frame got masks: work on all {failed} of them failed; the log says why")
    expect_outputs(report)


def expect_outputs(report: "GraphReport") -> None:
    """An output that ended before its stream is an error.

    Raises:
        SinkError: There is one.
    """
    ended = [f"output of stream {name}: {text}" for name, texts in report.outputs_failed.items() for text in texts]
    if ended:
        raise SinkError("; ".join(ended))
