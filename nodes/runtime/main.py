"""A node as a process: `python -m ssa_stream.nodes.encoder --pipeline FILE --name encoder-0 --run-dir DIR`."""

import argparse
import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import zmq.asyncio

from ssa_stream.awake import AwakeClock
from ssa_stream.errors import ConfigError, SsaStreamError
from ssa_stream.log_lines import LogFormat, LogLevel, use_log
from ssa_stream.nodes.pipeline import PipelineConfig, load_pipeline, role_of
from ssa_stream.nodes.runtime.broker_link import BrokerLink, LinkTimes
from ssa_stream.nodes.runtime.clock import MonotonicClock
from ssa_stream.nodes.runtime.descriptors import raise_file_limit
from ssa_stream.nodes.runtime.executor import ModelExecutor
from ssa_stream.nodes.runtime.logs import add_log_arguments, log_as, say_failure
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.node import NodeContext, RunNode
from ssa_stream.nodes.runtime.signals import ParentWatch, end_with_parent, stop_on_signals
from ssa_stream.nodes.runtime.tasks import only_error
from ssa_stream.nodes.runtime.transport.between_processes import ProcessTransport
from ssa_stream.nodes.runtime.weights import OtherWeightsError, WeightsLoader
from ssa_stream.standard_streams import finish_standard_streams, lines_lost, set_up_standard_streams

if TYPE_CHECKING:
    from ssa_stream.model import Stages

__all__ = ["node_main"]

_MIB = 2**20
_CONFIG_ERROR, _ERROR, _OTHER_WEIGHTS = 2, 1, 3


@dataclass(frozen=True)
class _Options:
    """What the launcher says on the command line."""

    pipeline: str
    name: str
    run_dir: Path
    incarnation: int
    weights: str | None
    log_format: LogFormat
    log_level: LogLevel


def node_main(run: RunNode, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a node until it is asked to end, then exit.

    Exit code 0 at an orderly end; 2 if the configuration is wrong, 3 if the weights are not those of the graph, 1 for
    other errors of this package, each with one line on stderr; other errors show where they come from.

    Args:
        run: The node's work.
        arguments: In place of the command line.
    """
    options = _parse(arguments)
    use_log(format=options.log_format, level=options.log_level)
    set_up_standard_streams()
    log_as(options.name)
    parent = end_with_parent()
    raise_file_limit()
    try:
        settings = load_pipeline(options.pipeline)
        asyncio.run(_serve(run, options, settings, parent))
    except (SsaStreamError, BaseExceptionGroup) as error:
        cause = only_error(error)
        if not isinstance(cause, SsaStreamError):
            raise
        say_failure(options.name, str(cause))
        kinds = {ConfigError: _CONFIG_ERROR, OtherWeightsError: _OTHER_WEIGHTS}
        _leave(next((code for kind, code in kinds.items() if isinstance(cause, kind)), _ERROR))
    _leave(0)


def _leave(code: int) -> NoReturn:
    """End the process. Everything is closed; Python would look through all objects of torch for another second."""
    os._exit(finish_standard_streams(code))


def _parse(arguments: Sequence[str] | None) -> _Options:
    parser = argparse.ArgumentParser(
        description="One node of a graph; started by `ssa-stream up PIPELINE --placement processes`."
    )
    parser.add_argument("--pipeline", required=True, help="shipped name or YAML file")
    parser.add_argument("--name", required=True, help="of the node, such as encoder-0")
    parser.add_argument("--run-dir", required=True, type=Path, help="folder of the graph's sockets")
    parser.add_argument("--incarnation", type=int, default=0, help="another number for every start of the node")
    parser.add_argument("--weights", help="fingerprint of the weights that the graph runs with; others are refused")
    add_log_arguments(parser)
    return _Options(**vars(parser.parse_args(arguments)))


async def _serve(run: RunNode, options: _Options, settings: PipelineConfig, parent: ParentWatch) -> None:
    """Give the node what it needs, run it, and take everything down in order."""
    role, clock, health = role_of(options.name), MonotonicClock(), settings.health
    awake, stop = AwakeClock(health.absence_s), asyncio.Event()
    context = zmq.asyncio.Context()
    executor = ModelExecutor(None if role == "ingest" else settings.model.threads)  # to set them would load torch
    weights = WeightsLoader(settings.model, options.weights, parts=(role,), window=settings.session.window)
    transport = ProcessTransport(
        context, options.run_dir, options.name, options.incarnation, settings.flow.ring_mib * _MIB, clock=clock
    )
    metrics = NodeMetrics(options.name, role, options.incarnation, clock, awake, lines_lost=lines_lost)
    link = BrokerLink(
        context,
        transport.control_address,
        metrics,
        name=options.name,
        role=role,
        incarnation=options.incarnation,
        clock=clock,
        stop=stop,
        times=LinkTimes(heartbeat_s=health.heartbeat_s, heartbeat_timeout_s=health.heartbeat_timeout_s),
        broker_lives=parent.lives,
    )

    def load() -> "Stages":
        network = weights.load()
        metrics.weights = weights.fingerprint
        return network

    try:
        with stop_on_signals(stop):
            async with link as broker:
                node = NodeContext(
                    name=options.name,
                    role=role,
                    incarnation=options.incarnation,
                    transport=transport,
                    broker=broker,
                    clock=clock,
                    awake=awake,
                    stop=stop,
                    executor=executor.of_role(role).measured(metrics.busy),
                    metrics=metrics,
                    settings=settings,
                    load_model=load,
                )
                await run(node)
    finally:
        executor.close()  # first: work may still use the tensors of a received
        transport.close()
        context.destroy(linger=0)
