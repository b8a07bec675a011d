"""`ssa-stream engine`: what runs the network, built ahead, listed, removed."""

from typing import Annotated

import typer

from ssa_stream.cli.commands.engine_export import export, source_size
from ssa_stream.cli.options.model import (
    Checkpoint,
    Clip,
    DownloadClip,
    Dtype,
    ModelName,
    Precision,
    RandomWeights,
    Threads,
)
from ssa_stream.cli.views.console import notice, print_line
from ssa_stream.errors import SinkError, SsaStreamError

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Build engines ahead: what runs the network faster than torch, for one processor, one picture size; or "
    "write a network as files for other programs.",
    epilog="They are kept in the folder that the variable SSA_STREAM_ENGINES names, else in the user's cache.",
)
app.command()(export)


@app.command()
def build(
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Size of the source's pictures, such as 1280x720.", show_default=False)
    ],
    engine: Annotated[str, typer.Option(metavar="ENGINE", help="Which engine: openvino or onnxruntime.")] = "openvino",
    prompts: Annotated[int, typer.Option(min=1, max=4, help="Most prompts of a stream at a time.")] = 1,
    window: Annotated[int, typer.Option(min=1, help="Frames that the video decoder sees at once.")] = 8,
    short_edge: Annotated[
        int | None, typer.Option(min=32, help="Shortest edge at the network in pixels.", show_default=False)
    ] = None,
    checkpoint: Checkpoint = None,
    clip: Clip = None,
    download_clip: DownloadClip = None,
    random_weights: RandomWeights = False,
    model: ModelName = "ssa-tiny",
    dtype: Dtype = "float32",
    precision: Precision = "auto",
    threads: Threads = None,
) -> None:
    """Build an engine for pictures of one size, so that no start has to. It takes a minute or more.

    Each stage is compared with torch; one that deviates is refused, and torch runs it.

    ssa-stream engine build --size 1280x720 --prompts 2
    """
    from ssa_stream.cli.checks.arguments import check_engine

    check_engine(engine)
    pictures = source_size(size)
    from ssa_stream.cli.options.engine import ModelChoice, all_cores_but_one, open_model

    choice = ModelChoice(
        model=model,
        checkpoint=checkpoint,
        random_weights=random_weights,
        clip=clip,
        download_clip=download_clip,
        device="cpu",
        dtype=dtype,
        precision=precision,
    )
    choice.check()
    network = open_model(choice, threads=threads or all_cores_but_one())
    from ssa_stream.engines import EngineCache, build_engines
    from ssa_stream.streaming import SessionConfig

    padded = SessionConfig(short_edge_px=short_edge).sizes_of(pictures, network.config).padded
    cache = EngineCache()
    try:
        cache.check_writable()
        done = build_engines(
            network,
            engine,
            padded,
            rows=prompts,
            window=window,
            say=lambda words: notice(words, event="engine"),
            cache=cache,
        )
    except OSError as error:
        raise SinkError(
            f"engines cannot be kept in {cache.root}: {error}; name another folder with SSA_STREAM_ENGINES"
        ) from error
    if not done:
        raise SsaStreamError(f"{engine} is not built for all stages; torch runs those that are named above")
    print_line(f"{engine} is built for {padded[1]}x{padded[0]} at the network, up to {prompts} prompts: {cache.root}")


@app.command("list")
def list_() -> None:
    """List what is built: network, stage, size, for which engines, and how much room it takes."""
    from ssa_stream.engines.cache import EngineCache

    cache = EngineCache()
    for stage in cache.stages():
        print_line(
            f"{stage.network:12} {stage.name:20} {stage.size_bytes / 2**20:8.1f} MiB  {', '.join(stage.engines)}"
        )


@app.command()
def clear() -> None:
    """Remove all engines. They are built again when they are asked for."""
    from ssa_stream.engines.cache import EngineCache

    cache = EngineCache()
    removed = cache.clear()
    print_line(f"removed {removed / 2**20:.1f} MiB of engines from {cache.root}")
