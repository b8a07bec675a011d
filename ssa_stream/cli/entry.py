"""What the console script calls: the command line, and a quick way out of a process that holds torch."""

import atexit
import logging
import os
import sys

from ssa_stream.cli.main import FAILURE, main
from ssa_stream.cli.views.console import print_error
from ssa_stream.standard_streams import (
    READER_GONE,
    finish_standard_streams,
    result_failure,
    set_up_standard_streams,
    show_exception,
    silence,
)

__all__ = ["entry"]


def entry() -> None:
    """Run the command line and end the process.

    Python takes torch apart object by object when it ends, which costs more than a second of processor time after all
    is done. Whoever pressed Ctrl-C waits for it, so the process leaves as soon as everything that was registered for
    the end has run and all output is written.
    """
    set_up_standard_streams()
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print_error(end.code)
        failure = result_failure(end)
        if failure is not None:
            code = _without_results(failure)
    except Exception as error:  # a fault of the program: shown as Python would, then it ends as it always does
        failure = result_failure(error)
        if failure is None:
            show_exception(type(error), error, error.__traceback__)
        code = FAILURE if failure is None else _without_results(failure)
    code = finish_standard_streams(code)
    if "torch" not in sys.modules:
        sys.exit(code)
    atexit._run_exitfuncs()
    logging.shutdown()
    os._exit(code)


def _without_results(failure: OSError) -> int:
    """What `ssa_stream.cli.views.console` does about its own results, for those that typer prints, such as help."""
    silence(sys.stdout.fileno())
    if failure.errno in READER_GONE:
        return 0
    print_error(f"cannot write to standard output ({failure.strerror}); free some space")
    return FAILURE
