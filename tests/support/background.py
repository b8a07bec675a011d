"""Programs in the background of a terminal that lets only the foreground write (`stty tostop`)."""

import os
import pty
import sys

__all__ = ["has_ended_in_background"]

_SHELL = """
import os, subprocess, sys, termios
settings = termios.tcgetattr(0)
settings[3] |= termios.TOSTOP
termios.tcsetattr(0, termios.TCSANOW, settings)
program = subprocess.Popen([sys.executable, "-c", sys.argv[1]], process_group=0)
_, status = os.waitpid(program.pid, os.WUNTRACED)
if os.WIFSTOPPED(status):
    program.kill()
    os._exit(99)
os._exit(os.waitstatus_to_exitcode(status))
"""


def has_ended_in_background(code: str) -> bool:
    """Run Python code there; False if it was stopped.

    Raises:
        AssertionError: It failed.
    """
    pid, terminal = pty.fork()
    if pid == 0:  # in a session of its own with that terminal, as a shell is
        os.execv(sys.executable, [sys.executable, "-c", _SHELL, code])
    printed = b""
    while True:
        try:
            printed += os.read(terminal, 2**16)
        except OSError:  # nobody has the terminal any more
            break
    os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, 99), printed.decode(errors="replace")
    return status == 0
