"""A Python process with everything imported that forks others: `warm_server.py SOCKET PADDING`.

What a fork runs is a Python command line (`-c CODE`, `-m MODULE`, a script) with its own arguments, environment,
folder and standard streams, as if an interpreter had been started for it; only the seconds that imports take are saved.
The fork becomes a child of the process that asked (see `tests.support.warm_python`). The server ends when its standard
input does. PADDING is room in the command line that the system shows; a fork writes its own there.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

_REQUEST_BYTES = 2**18
_ARGUMENTS_BEGIN, _ARGUMENTS_END = 45, 46  # of the fields in /proc/self/stat that follow the program's name


def main(address: str) -> Callable[[], object]:
    """Serve until the standard input ends; comes back only in a fork, with what it has to run."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen(16)
        _import_everything("ssa_stream")
        gc.collect()
        gc.freeze()  # forks share what the collector does not touch
        assert len(os.listdir("/proc/self/task")) == 1, "an import has started a thread: forks would lack it"
        while True:
            readable, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in readable:
                os._exit(0)
            caller, _ = listener.accept()
            with caller:
                data, fds, _, _ = socket.recv_fds(caller, _REQUEST_BYTES, 3)
                pid = _fork_for_caller() if data else -1
                if pid == 0:
                    listener.close()
                    return _become(json.loads(data), fds, caller)
                if pid > 0:
                    caller.send(str(pid).encode())
                for fd in fds:
                    os.close(fd)


def _import_everything(package: str) -> None:
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        # Not every build of torch brings Triton, and ONNX Runtime starts a thread when it is imported.
        if not module.name.endswith(("__main__", "triton_kernel", "engines.onnxruntime")):
            importlib.import_module(module.name)


def _fork_for_caller() -> int:
    """Id of the new process, 0 in it. Its parent ends at once, so the process falls to the caller, who asks for it."""
    reading, writing = os.pipe()
    middle = os.fork()
    if middle == 0:
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            os.close(writing)
            return 0
        os.write(writing, str(pid).encode())
        os.kill(os.getpid(), signal.SIGKILL)  # nothing that is registered for the end may run
    os.waitpid(middle, 0)
    pid = int(os.read(reading, 32))
    os.close(reading)
    os.close(writing)
    return pid


def _become(request: dict[str, Any], fds: list[int], caller: socket.socket) -> Callable[[], object]:
    """Be the process that was asked for, and tell the caller when it is; an error is its number."""
    if not caller.recv(16):  # until then the caller may not be the parent yet
        os._exit(1)
    try:
        if request["new_session"]:
            os.setsid()
        os.chdir(request["cwd"])
    except OSError as error:
        caller.send(str(error.errno).encode())
        os._exit(1)
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    for fd in fds:
        os.close(fd)
    os.environ.clear()
    os.environ.update(request["env"])
    sys.stdin, sys.stdout, sys.stderr = open(0), _output(1), _output(2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    _show(request["args"])
    caller.send(b"0")
    caller.close()
    return _program(request["args"])


def _output(fd: int) -> io.TextIOWrapper:
    """A standard stream as an interpreter opens it."""
    is_unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    binary = open(fd, "wb", buffering=0 if is_unbuffered else -1, closefd=False)
    is_by_line = not is_unbuffered and (fd == 2 or os.isatty(fd))
    errors = "backslashreplace" if fd == 2 else None
    return io.TextIOWrapper(binary, errors=errors, line_buffering=is_by_line, write_through=is_unbuffered)


def _show(args: list[str]) -> None:
    """Let the system show the new command line, in place of the server's."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    begin, end = int(fields[_ARGUMENTS_BEGIN]), int(fields[_ARGUMENTS_END])
    text = b"\0".join(map(os.fsencode, args))[: end - begin - 1]
    ctypes.memmove(begin, text.ljust(end - begin, b"\0"), end - begin)


def _program(args: list[str]) -> Callable[[], object]:
    """What an interpreter would do with a command line: `args[0]` is itself."""
    rest = args[1:]
    is_safe = rest[0] == "-P"
    if is_safe:
        rest = rest[1:]
    match rest:
        case ["-c", code, *_]:
            sys.argv, place = ["-c", *rest[2:]], ""
            space = {"__name__": "__main__", "__builtins__": __builtins__}
            run: Callable[[], object] = lambda: exec(compile(code, "<string>", "exec"), space)  # noqa: E731
        case ["-m", module, *_]:
            sys.argv, place = rest[1:], os.getcwd()
            run = lambda: runpy.run_module(module, run_name="__main__", alter_sys=True)  # noqa: E731
        case _:
            sys.argv, place = rest, str(Path(rest[0]).resolve().parent)
            run = lambda: runpy.run_path(rest[0], run_name="__main__")  # noqa: E731
    if not is_safe:
        sys.path.insert(0, place)
    return run


def _run(program: Callable[[], object]) -> NoReturn:
    """Run a program and end the process as an interpreter does, but for taking torch apart, which takes a second."""
    code, is_interrupted = 0, False
    try:
        program()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException as error:  # also of Ctrl-C
        code, is_interrupted = 1, isinstance(error, KeyboardInterrupt)
        sys.excepthook(type(error), error, error.__traceback__)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):  # the reader of a pipe may be gone
        sys.stdout.flush()
        sys.stderr.flush()
    if is_interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code)


if __name__ == "__main__":
    _run(main(sys.argv[1]))
