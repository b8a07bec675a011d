"""`ssa-stream serve`: a graph with a page, for browsers and other WebRTC peers."""

import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssa_stream.addresses import is_synthetic
from ssa_stream.cli.options.files import Overwrite
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
from ssa_stream.cli.views.console import notice
from ssa_stream.errors import ConfigError
from ssa_stream.files import read_limited
from ssa_stream.outputs import NamedPath

if TYPE_CHECKING:
    from ssa_stream.cli.views.graph_view import GraphView
    from ssa_stream.cli.views.model_words import ModelWords
    from ssa_stream.nodes.launcher import Graph, SavedPrompts
    from ssa_stream.nodes.launcher.run_dir import LockedFolder
    from ssa_stream.nodes.pipeline import PipelineConfig

__all__ = ["serve", "with_gateway"]

_GRAPH, _PAGE, _LIMITS = "Graph", "Page", "Limits"
_STOP_S = 4.0
_SECRET_BYTES = 4096


def serve(
    pipeline: Annotated[
        str,
        typer.Argument(
            metavar="PIPELINE",
            help="A shipped pipeline (browser) or a YAML file. A stream with source webrtc gets its pictures from a "
            "browser's camera or any other WHIP client.",
        ),
    ] = "browser",
    host: Annotated[
        str,
        typer.Option(
            help="Address of the page. Beyond this machine a token and TLS are needed.", rich_help_panel=_PAGE
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.", rich_help_panel=_PAGE)] = 8080,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with the token that peers must know (bearer token).", rich_help_panel=_PAGE),
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate (PEM).", rich_help_panel=_PAGE)] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key (PEM).", rich_help_panel=_PAGE)] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let other machines in without token or TLS.", rich_help_panel=_PAGE)
    ] = False,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Another page's origin that may use it. Repeat.", rich_help_panel=_PAGE),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another name of this host. Repeat.", rich_help_panel=_PAGE),
    ] = None,
    stun: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Such as stun:stun.example:3478.", rich_help_panel=_PAGE)
    ] = None,
    turn: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL[,USER,FILE]",
            help="Such as turn:turn.example:3478,me,password.txt; the file holds the password.",
            rich_help_panel=_PAGE,
        ),
    ] = None,
    loopback_media: Annotated[
        bool, typer.Option("--loopback-media", help="Media at 127.0.0.1 only.", rich_help_panel=_PAGE)
    ] = False,
    source: SourceOption = None,
    prompt: PromptOption = None,
    placement: PlacementOption = None,
    overwrite: Overwrite = False,
    publish: PublishOption = None,
    requests: RequestsOption = None,
    keys: ServerKeysOption = None,
    health: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Serve /livez, /readyz and /metrics (Prometheus) there, too, without a token, such as 127.0.0.1:8081.",
            rich_help_panel=_GRAPH,
        ),
    ] = None,
    state: StateFolder = None,
    fresh: Fresh = False,
    checkpoint: Checkpoint = None,
    random_weights: RandomWeights = False,
    device: ModelDevice = None,
    dtype: ModelDtype = None,
    precision: ModelPrecision = None,
    engine: GraphEngine = None,
    threads: ModelThreads = None,
    max_peers: Annotated[int, typer.Option(min=1, rich_help_panel=_LIMITS)] = 8,
    max_kbps: Annotated[int, typer.Option(min=1, help="Of one camera.", rich_help_panel=_LIMITS)] = 4000,
    max_edge: Annotated[
        int, typer.Option(min=16, help="Longest edge of a camera's picture, pixels.", rich_help_panel=_LIMITS)
    ] = 1920,
    max_session: Annotated[float, typer.Option(min=1, help="Seconds.", rich_help_panel=_LIMITS)] = 3600.0,
    max_connections: Annotated[
        int, typer.Option(min=1, help="To the page at once, from all addresses.", rich_help_panel=_LIMITS)
    ] = 256,
    max_connections_per_address: Annotated[
        int,
        typer.Option(min=1, help="Of these; raise it behind a proxy, which has one address.", rich_help_panel=_LIMITS),
    ] = 64,
    request_timeout: Annotated[
        float,
        typer.Option(min=0.1, max=3600, help="Seconds for a header, and for a body.", rich_help_panel=_LIMITS),
    ] = 10.0,
    idle_timeout: Annotated[
        float,
        typer.Option(min=0.1, max=3600, help="Seconds between requests of a connection.", rich_help_panel=_LIMITS),
    ] = 30.0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No live line.")] = False,
    log_format: LogFormatOption = "text",
    log_level: LogLevelOption = "info",
) -> None:
    """Run a graph with a page: a browser's camera in, masks back, prompts typed while it runs.

        ssa-stream serve

        ssa-stream serve my.yaml --host 0.0.0.0 --token-file token.txt --tls-cert cert.pem --tls-key key.pem

    Ends with Ctrl-C. Robots subscribe as with `ssa-stream up`.
    """
    use_log_options("launcher", log_format, log_level)
    from ssa_stream.cli.checks.arguments import check_graph, http_places
    from ssa_stream.nodes.gateway.http.access import require_safe
    from ssa_stream.nodes.gateway.http.tls import tls_context
    from ssa_stream.nodes.gateway.settings import IceServer, PeerLimits
    from ssa_stream.nodes.pipeline import check_pipeline_files, load_pipeline
    from ssa_stream.nodes.runtime.http.connections import HttpLimits

    token = _read_secret(token_file, "--token-file") if token_file is not None else None
    if (tls_cert is None) != (tls_key is None):
        raise ConfigError("give --tls-cert and --tls-key together, or neither")
    require_safe(host, token=token, has_tls=tls_cert is not None, insecure=insecure)
    if tls_cert is not None and tls_key is not None:
        tls_context(str(tls_cert), str(tls_key))
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
        public={"publish": publish, "requests": requests, "keys": keys},
        placement=placement,
        overwrite=overwrite,
    )
    check_pipeline_files(config, inputs=[NamedPath("the pipeline", pipeline)])
    check_graph(config, (host, port), *http_places(health, insecure=config.public.insecure))
    servers = [*(IceServer(urls=url) for url in stun or ()), *(_turn(text) for text in turn or ())]
    with saved_prompts(pipeline, config, state=state, fresh=fresh, quiet=quiet) as saved:
        _serve(
            config,
            quiet=quiet,
            saved=saved,
            health=health,
            host=host,
            port=port,
            token=token,
            tls_cert=None if tls_cert is None else str(tls_cert.resolve()),
            tls_key=None if tls_key is None else str(tls_key.resolve()),
            origins=tuple(allow_origin or ()),
            hosts=tuple(allow_host or ()),
            ice_servers=tuple(servers),
            loopback_media=loopback_media,
            session_threshold=config.session.threshold,
            limits=PeerLimits(peers=max_peers, bitrate_kbps=max_kbps, edge_px=max_edge, session_s=max_session),
            http=HttpLimits(
                connections=max_connections,
                connections_per_address=max_connections_per_address,
                head_s=request_timeout,
                body_s=request_timeout,
                idle_s=idle_timeout,
            ),
        )


def with_gateway(config: "PipelineConfig", run_dir: Path) -> tuple["PipelineConfig", dict[str, Any]]:
    """Connect the streams of a pipeline to a gateway.

    Args:
        config: A stream with source `webrtc` gets its pictures from the gateway; the others hand theirs to it.
        run_dir: Folder of the gateway's sockets.
    Returns:
        The pipeline, and how peers may use its streams.
    """
    from ssa_stream.nodes.gateway.pictures.wire import LinkAddress
    from ssa_stream.nodes.gateway.settings import CAMERA, StreamAccess
    from ssa_stream.sources import redact

    plain = config.to_mapping()
    access = {}
    for name, section in plain["streams"].items():
        own = section["source"]
        if own == CAMERA:
            access[name] = StreamAccess(kind="camera", label="a browser's camera")
            section |= {"source": str(LinkAddress(name, str(run_dir / "cameras.sock"))), "live": True}
        else:
            access[name] = StreamAccess(kind="scene" if is_synthetic(own) else "source", label=redact(own))
            section["outputs"] = [*section["outputs"], str(LinkAddress(name, str(run_dir / "pictures.sock")))]
    return type(config).from_mapping(plain, origin="command line"), access


def _serve(
    config: "PipelineConfig", *, quiet: bool, saved: "SavedPrompts | None", health: str | None, **page: Any
) -> None:
    from ssa_stream.cli.options.engine import all_cores_but_one
    from ssa_stream.cli.views.model_words import ModelWords
    from ssa_stream.nodes.gateway.settings import ServedCheckpoint
    from ssa_stream.nodes.launcher.dtype import with_measured_dtype
    from ssa_stream.nodes.launcher.run_dir import LockedFolder
    from ssa_stream.nodes.runtime.descriptors import raise_file_limit

    words = ModelWords.of_graph(config)
    if not quiet:
        words.introduce()
    words.graph_hints(config)
    known = words.knowledge
    checkpoint = ServedCheckpoint(name=known.name, domain=known.domain, examples=known.examples)
    raise_file_limit()
    config = with_model(config, threads=config.model.threads or all_cores_but_one())
    config = with_measured_dtype(config, lambda words: notice(words, event="dtype"))
    with ExitStack() as stack:
        # Named as folders of graphs are: should this process be killed, the next graph removes it.
        folder = LockedFolder("page")
        folder.make()
        stack.callback(folder.remove)
        config, access = with_gateway(config, folder.path)
        asyncio.run(
            _run(config, words, quiet, saved, health, folder, {**page, "streams": access, "checkpoint": checkpoint})
        )


async def _run(
    config: "PipelineConfig",
    words: "ModelWords",
    quiet: bool,
    saved: "SavedPrompts | None",
    health: str | None,
    folder: "LockedFolder",
    page: dict[str, Any],
) -> None:
    from ssa_stream.cli.commands.up import expect_outputs
    from ssa_stream.cli.readiness import announced
    from ssa_stream.cli.views.graph_view import GraphView, print_graph_summary, served_health
    from ssa_stream.nodes.gateway.settings import control_socket, health_socket
    from ssa_stream.nodes.health.server import serve_health_in_file
    from ssa_stream.nodes.launcher import Graph
    from ssa_stream.nodes.runtime.logs import log_as
    from ssa_stream.nodes.runtime.memory import settle
    from ssa_stream.nodes.runtime.signals import stop_on_signals

    view, run_dir = GraphView(quiet=quiet), folder.path
    gateway_address = f"ipc://{control_socket(run_dir)}"
    graph = Graph(config, keep=True, on_line=view.line, gateway=gateway_address, saved=saved)
    stop = asyncio.Event()
    with stop_on_signals(stop):
        own_health = serve_health_in_file(health_socket(run_dir), graph)
        told = announced(graph, view, stop)
        async with own_health, served_health(graph, health, view), view.live(graph), told:
            log_as("launcher")
            gateway = asyncio.create_task(_keep_gateway(graph, view, folder, page, stop), name="gateway")
            keeping = asyncio.create_task(_keep_folder(folder), name="folder of the page")
            try:
                report = await graph.run(stop, lambda _: settle())
            finally:
                stop.set()
                keeping.cancel()
                await asyncio.wait([gateway, keeping])
            gateway.result()
    if not quiet:
        print_graph_summary(report, words)
    expect_outputs(report)


async def _keep_folder(folder: "LockedFolder") -> None:
    from ssa_stream.nodes.runtime.transport.socket_files import KEEP_S

    while True:
        folder.keep()
        await asyncio.sleep(KEEP_S)


async def _keep_gateway(
    graph: "Graph", view: "GraphView", folder: "LockedFolder", page: dict[str, Any], stop: asyncio.Event
) -> None:
    """Keep the process of the gateway alive until `stop`.

    Raises:
        ConfigError: It was set up wrongly.
        SsaStreamError: It did not start, or was lost too often.
    """
    from ssa_stream.nodes.launcher.child import Child
    from ssa_stream.nodes.runtime.logs import log_arguments
    from ssa_stream.nodes.runtime.tasks import first_of

    await first_of(graph.bound.wait(), stop.wait())
    if stop.is_set():
        return

    async def start(name: str, incarnation: int) -> Child:
        folder.keep()
        file = _gateway_settings(graph, folder.path, page)
        command = [sys.executable, "-P", "-m", "ssa_stream.nodes.gateway", str(file), f"--incarnation={incarnation}"]
        command += log_arguments()
        with graph.reserve.lent():
            return await Child.start("gateway", incarnation, command, view.line)

    supervisor = graph.supervise_gateway(start)
    running = asyncio.create_task(supervisor.run(), name="supervisor of the gateway")
    try:
        await first_of(asyncio.shield(running), stop.wait())
    finally:
        stop.set()
        await supervisor.end(_STOP_S)
        supervisor.kill()
        await asyncio.wait([running])
    running.result()


def _gateway_settings(graph: "Graph", run_dir: Path, page: dict[str, Any]) -> Path:
    """The file that tells the gateway how to serve a graph that is bound."""
    from ssa_stream.nodes.broker.sockets import within_reach
    from ssa_stream.nodes.gateway.settings import ControlAccess, GatewaySettings, control_socket, save_settings

    own, health = graph.own_keys, graph.config.health
    settings: GatewaySettings = GatewaySettings(
        publish=within_reach(graph.publish_address),
        requests=within_reach(graph.requests_address),
        keys=None if own is None else (own.public.decode(), own.secret.decode(), own.server.decode()),
        run_dir=str(run_dir),
        control=ControlAccess(
            address=f"ipc://{control_socket(run_dir)}",
            heartbeat_s=health.heartbeat_s,
            heartbeat_timeout_s=health.heartbeat_timeout_s,
        ),
        **page,
    )
    file = run_dir / "gateway.json"
    try:
        save_settings(settings, file)
    except OSError:  # a full disk: those of an earlier start are as good
        if not file.is_file():
            raise
    return file


def _turn(text: str) -> Any:
    from ssa_stream.nodes.gateway.settings import IceServer

    url, *login = text.split(",", 2)
    if len(login) not in (0, 2):
        raise ConfigError(f"--turn {text!r}: expected URL or URL,USER,FILE")
    if not login:
        return IceServer(urls=url)
    return IceServer(urls=url, username=login[0], credential=_read_secret(Path(login[1]), "--turn"))


def _read_secret(path: Path, option: str) -> str:
    from ssa_stream.nodes.pipeline.hosts import is_plain

    try:
        content = read_limited(path, most_bytes=_SECRET_BYTES)
    except OSError as error:
        raise ConfigError(f"{option}: cannot read {path} ({error.strerror or error})") from error
    expected = "expected one line of visible ASCII characters, which is what a header can carry; write such a secret"
    try:
        secret = content.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{option}: {path} has byte {content[error.start]:#04x} at {error.start}; {expected}"
        ) from error
    if not secret:
        raise ConfigError(f"{option}: {path} is empty; {expected}")
    if not is_plain(secret):
        lines = len(secret.splitlines())
        came = f"{lines} lines" if lines > 1 else "control characters"
        raise ConfigError(f"{option}: {path} has {came}; {expected}")
    return secret
