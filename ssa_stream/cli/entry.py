"""What the console script calls: the command line, and a quick way out of a process that holds torch.

Hardly anything is imported at the top: the rest takes half a second, in which Ctrl-C must not show a traceback.
"""

import os
import sys

__all__ = ["entry"]

_INTERRUPTED = 130
"""Exit code after Ctrl-C, as of shells and of `typer`."""


def entry() -> None:
    """Run the command line and end the process.

    Python takes torch apart object by object when it ends, which costs more than a second of processor time after all
    is done. Whoever pressed Ctrl-C waits for it, so the process leaves as soon as everything that was registered for
    the end has run and all output is written.
    """
    try:
        _run()
    except KeyboardInterrupt:  # before a command could see to it, or once more while the process ends
        os._exit(_INTERRUPTED)


def _run() -> None:
    import atexit
    import logging

    from ssa_stream.cli.main import FAILURE, main
    from ssa_stream.cli.options.logs import asks_for_json
    from ssa_stream.cli.views.console import print_error, shows_progress
    from ssa_stream.log_lines import use_log
    from ssa_stream.standard_streams import (
        finish_standard_streams,
        result_failure,
        set_up_standard_streams,
        show_exception,
    )

    if asks_for_json(sys.argv[1:]):
        use_log(format="json")
    set_up_standard_streams(libraries=True)
    if not shows_progress():  # nor do libraries that download
        os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
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
    except KeyboardInterrupt:
        code = _INTERRUPTED
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
    from ssa_stream.cli.main import FAILURE
    from ssa_stream.cli.views.console import print_error
    from ssa_stream.standard_streams import READER_GONE, silence

    silence(sys.stdout.fileno())
    if failure.errno in READER_GONE:
        return 0
    print_error(f"cannot write to standard output ({failure.strerror}); free some space")
    return FAILURE
