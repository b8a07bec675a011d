"""What the console script calls: the command line, and a quick way out of a process that holds torch."""

import atexit
import contextlib
import logging
import os
import sys

from ssa_stream.cli.main import main

__all__ = ["entry"]


def entry() -> None:
    """Run the command line and end the process.

    Python takes torch apart object by object when it ends, which costs more than a second of processor time after all
    is done. Whoever pressed Ctrl-C waits for it, so the process leaves as soon as everything that was registered for
    the end has run and all output is written.
    """
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    if "torch" not in sys.modules:
        sys.exit(code)
    atexit._run_exitfuncs()
    logging.shutdown()
    with contextlib.suppress(OSError):  # the reader of a pipe may be gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
