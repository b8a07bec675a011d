"""The gateway as a process: `python -m ssa_stream.nodes.gateway SETTINGS`."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from ssa_stream.errors import ConfigError, SsaStreamError
from ssa_stream.log_lines import use_log
from ssa_stream.nodes.gateway.server import run_gateway
from ssa_stream.nodes.gateway.settings import GatewaySettings, load_settings
from ssa_stream.nodes.runtime.descriptors import raise_file_limit
from ssa_stream.nodes.runtime.library_logs import LibraryLogs
from ssa_stream.nodes.runtime.logs import add_log_arguments, log_as, say_failure
from ssa_stream.nodes.runtime.memory import settle
from ssa_stream.nodes.runtime.signals import end_with_parent, stop_on_signals
from ssa_stream.nodes.runtime.tasks import only_error
from ssa_stream.standard_streams import set_up_standard_streams

_CONFIG_ERROR, _ERROR = 2, 1


async def _run(settings: GatewaySettings, incarnation: int) -> None:
    stop = asyncio.Event()
    with stop_on_signals(stop):
        await run_gateway(settings, stop, lambda _: settle(), incarnation=incarnation)


def main() -> None:
    """Run until a signal; exit codes are those of nodes."""
    parser = argparse.ArgumentParser(description="The gateway of a graph; started by `ssa-stream serve`.")
    parser.add_argument("settings", type=Path, help="what ssa-stream serve wrote for it")
    parser.add_argument("--incarnation", type=int, default=0, help="another number for every start")
    add_log_arguments(parser)
    options = parser.parse_args()
    use_log(format=options.log_format, level=options.log_level)
    set_up_standard_streams()
    log_as("gateway")
    logging.getLogger().addHandler(LibraryLogs())
    end_with_parent()
    raise_file_limit()
    try:
        asyncio.run(_run(load_settings(options.settings), options.incarnation))
    except (SsaStreamError, BaseExceptionGroup) as error:
        cause = only_error(error)
        if not isinstance(cause, SsaStreamError):
            raise
        say_failure("gateway", str(cause))
        sys.exit(_CONFIG_ERROR if isinstance(cause, ConfigError) else _ERROR)


if __name__ == "__main__":
    main()
