"""The console script `ssa-stream`: puts the commands together and maps errors to exit codes.

A command is a plain typed function in a module of `commands/` and one line in `_add_commands`. Such a module imports
nothing heavy at its top, so that `--help` is quick and works on a machine without torch; it imports what it needs in
the function. A package of an extra that is missing then is reported as such, by `main`.
"""

import os
import sys
from typing import Annotated

import typer

from ssa_stream import __version__
from ssa_stream.cli.commands import (
    checkpoint,
    data,
    demo,
    doctor,
    engine,
    eval,
    keys,
    predict,
    prompt,
    reload,
    report,
    run,
    score,
    serve,
    sources,
    status,
    top,
    train,
    up,
    watch,
)
from ssa_stream.cli.options.model import OptionalTag
from ssa_stream.cli.views.console import PrintableConsole, print_error, print_line
from ssa_stream.errors import ConfigError, MissingExtraError, SsaStreamError
from ssa_stream.extras import extra_of, install_command
from ssa_stream.log_lines import log_settings
from ssa_stream.printable import hidden_characters

__all__ = ["FAILURE", "USAGE", "app", "exit_code", "main"]

FAILURE = 1
"""Exit code when the work itself failed."""
USAGE = 2
"""Exit code when the command line, a configuration or the installation is wrong: nothing of a name is there, too."""

app = typer.Typer(
    name="ssa-stream",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _add_commands() -> None:
    """Register every command: one line each, in the order in which `--help` lists them."""
    app.command(cls=OptionalTag)(run.run)
    app.command()(up.up)
    app.command()(serve.serve)
    app.command()(watch.watch)
    app.command()(status.status)
    app.command()(top.top)
    app.add_typer(prompt.app, name="prompt")
    app.command()(reload.reload)
    app.command()(doctor.doctor)
    app.add_typer(sources.app, name="sources")
    app.add_typer(keys.app, name="keys")
    app.command()(demo.demo)
    app.command()(train.train)
    app.command(cls=OptionalTag)(predict.predict)
    app.command("eval", cls=OptionalTag)(eval.evaluate)
    app.add_typer(report.app, name="report")
    app.command()(score.score)
    app.add_typer(data.app, name="data")
    app.add_typer(checkpoint.app, name="checkpoint")
    app.add_typer(engine.app, name="engine")


def _show_version(wanted: bool) -> None:
    if wanted:
        print_line(f"ssa-stream {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Name things in plain language, and see them segmented in live video.

    Exit codes: 0 done, 1 the work failed, 2 wrong usage, configuration or installation: an option or a name that is not
    understood, a file that is not there.
    """


_add_commands()


def exit_code(error: SsaStreamError) -> int:
    """The exit code that an error stands for."""
    is_usage = isinstance(error, ConfigError | MissingExtraError) and not error.is_of_content
    is_usage = error.is_misnamed or is_usage
    return USAGE if is_usage else FAILURE


def _missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """The error to show for a package that is not installed; None if no extra brings it."""
    package = (error.name or "").partition(".")[0]
    extra = extra_of(package)
    if extra is None:
        return None
    return MissingExtraError(
        f"this command needs {package}, which is not installed; install it with: {install_command(extra)}"
    )


def main() -> None:
    """Run the command line; what the console script calls."""
    # Idle OpenMP threads spin before they sleep. The default, ten times longer, is no faster alone and many times
    # slower as soon as another process wants a core. Read once, when torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    if any(map(hidden_characters, sys.argv)):  # typer's box about a wrong argument would print it as it is
        from typer import rich_utils

        vars(rich_utils)["Console"] = PrintableConsole  # it has no other way
    if log_settings().format == "json":
        from typer import rich_utils

        # Likewise: what is wrong with the command line is an event, and no box.
        vars(rich_utils)["rich_format_error"] = lambda error: print_error(error.format_message())
    try:
        app()
    except SsaStreamError as error:
        print_error(str(error))
        sys.exit(exit_code(error))
    except ModuleNotFoundError as error:
        missing = _missing_extra(error)
        if missing is None:
            raise
        print_error(str(missing))
        sys.exit(USAGE)
