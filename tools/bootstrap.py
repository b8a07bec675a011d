"""Make the virtual environment that every make target runs in.

Standard library only, and readable by Python 3.7, so that an interpreter that is too old gets a sentence
instead of a syntax error. The environment is complete when its stamp file holds the digest of what was
installed; anything else (no stamp, another digest, a moved folder) is set up again.

    python3 tools/bootstrap.py            # make or repair .venv
    python3 tools/bootstrap.py --check    # exit status 0 if nothing would be done
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
EXTRAS = "engine,fast,openvino,onnxruntime,webrtc,view,train"
SMOKE_IMPORTS = "numpy, scipy, av, cv2, torch, open_clip, zmq, ssa_stream"
STEPS = 4
GIB = 1024**3
CACHE_GIB = 3.0  # what pip would keep of the downloads for another time
HEARTBEAT_S = 20.0
QUOTED_LINES = 4

DISK_SIGNS = re.compile(r"No space left on device|Disk quota exceeded|\[Errno 28\]")
NETWORK_SIGNS = re.compile(
    r"Connection ?Error|Connection broken|ConnectTimeout|ReadTimeout|Read timed out|Connection reset|ProxyError"
    r"|SSLError|name resolution|Network is unreachable|Could not fetch URL|HTTP error|IncompleteRead"
    r"|incomplete-download",
    re.IGNORECASE,
)
VERSION_SIGNS = re.compile(r"ResolutionImpossible|No matching distribution found|Could not find a version")


class SetupError(Exception):
    """The environment cannot be made; the text says why and what to do."""


def digest(root: Path) -> str:
    """Return what identifies a complete environment of this checkout.

    Args:
        root: Repository root. Its place counts too, because a moved environment has wrong paths inside.
    """
    state = hashlib.sha256(f"{root}\n{EXTRAS}\n".encode())
    for name in ("pyproject.toml", "constraints.txt"):
        state.update((root / name).read_bytes())
    return state.hexdigest()


def stamp_path(venv: Path) -> Path:
    """Return the file whose presence says that the environment was finished."""
    return venv / ".ssa-stream-setup"


def venv_python(venv: Path) -> Path:
    """Return the environment's interpreter."""
    return venv / "bin" / "python"


def is_complete(venv: Path, wanted: str) -> bool:
    """Whether the environment was finished for exactly this digest."""
    try:
        finished = stamp_path(venv).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return False
    return finished == wanted and os.access(venv_python(venv), os.X_OK)


def check_interpreter() -> None:
    """Check that this interpreter can make the environment.

    Raises:
        SetupError: If it is too old or came without venv and ensurepip.
    """
    found = "{}.{}.{}".format(*sys.version_info[:3])
    wanted = "{}.{}".format(*OLDEST_PYTHON)
    if sys.version_info < OLDEST_PYTHON:
        raise SetupError(
            f"Python {found} ({sys.executable}) is too old: {wanted} or newer is needed.\n"
            f"Install it (Debian, Ubuntu: apt-get install python{wanted} python{wanted}-venv), "
            "or name one that you have:\n"
            f"    make setup PYTHON=/path/to/python{wanted}"
        )
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        raise SetupError(
            f"Python {found} ({sys.executable}) came without its module {' and '.join(missing)}.\n"
            f"Install it (Debian, Ubuntu: apt-get install python{sys.version_info[0]}.{sys.version_info[1]}-venv), "
            "or name another Python:\n"
            f"    make setup PYTHON=/path/to/python{wanted}"
        )


def size_of(folder: Path) -> int:
    """Return the bytes that a folder's files take; 0 if it does not exist."""
    total = 0
    for parent, _, names in os.walk(str(folder)):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue  # vanished between the listing and the look
    return total


def check_room(venv: Path, min_free_gib: float, keeps_packages: bool) -> bool:
    """Check that the disk has room for what will be installed.

    Args:
        venv: Where the environment will lie.
        min_free_gib: Free space that a fresh install needs, in GiB; 0 switches the check off.
        keeps_packages: Whether what the environment holds already need not be installed again.
    Returns:
        Whether there is room for pip's cache too.
    Raises:
        SetupError: If there is too little room.
    """
    place = venv
    while not place.exists():
        place = place.parent
    held = size_of(venv) / GIB  # either kept or deleted first: room that is not needed anew
    free = shutil.disk_usage(str(place)).free / GIB
    if not keeps_packages:
        free += held
        held = 0.0
    needed = max(min_free_gib - held, min(min_free_gib, 1.0))
    if free < needed:
        raise SetupError(
            f"Too little room on the disk: {free:.1f} GiB free at {place}, about {needed:.1f} GiB needed "
            "(torch and the CUDA libraries it brings are most of it).\n"
            "Free some space, or, if you know that less will do:\n"
            "    make setup MIN_FREE_GIB=0"
        )
    return free >= needed + CACHE_GIB


def holds_sound_packages(venv: Path) -> bool:
    """Whether a started environment can be finished in place.

    It must run, have its own pip, not have been moved, and hold no half-copied package.
    """
    command = [str(venv_python(venv)), "-I", "-m", "pip", "--version"]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=60, check=False)
        script = (venv / "bin" / "pip").read_text(encoding="utf-8", errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return False
    if answer.returncode != 0 or str(venv) not in answer.stdout.decode(errors="replace") or str(venv) not in script:
        return False
    # pip writes a package's RECORD last.
    return all((info / "RECORD").is_file() for info in venv.glob("lib/python*/site-packages/*.dist-info"))


def say(text: str) -> None:
    """Print a line at once, also into a pipe."""
    print(text, flush=True)


class Progress:
    """Headers and times of the steps."""

    def __init__(self) -> None:
        self._started_s = time.monotonic()
        self._number = 0

    def step(self, title: str) -> None:
        """Announce the next step."""
        self._number += 1
        say(f"==> [{self._number}/{STEPS}] {title}  ({self.elapsed_s():.0f} s so far)")

    def elapsed_s(self) -> float:
        """Return the time since the start in seconds."""
        return time.monotonic() - self._started_s


def run(command: list[str], *, env: dict[str, str] | None = None) -> int:
    """Run a command with its own output shown, and return its exit status.

    Where the output is no terminal, and pip therefore draws no bars, a line tells now and then that it goes on.
    """
    started_s = time.monotonic()
    with subprocess.Popen(command, cwd=str(ROOT), env=env) as process:
        while True:
            try:
                return process.wait(timeout=HEARTBEAT_S)
            except subprocess.TimeoutExpired:
                if not sys.stdout.isatty():
                    say(f"    ... still at it, {time.monotonic() - started_s:.0f} s in this step")


def explain_pip_failure(what: str, log: str) -> str:
    """Say in one message why pip failed and what to do.

    Args:
        what: What was being installed.
        log: The text of pip's log file.
    Returns:
        The message, closing with pip's own last lines of weight.
    """
    lines = [re.sub(r"^\S+T\S+,\d+ ", "", line).strip()[:300] for line in log.splitlines()]
    tried = "\n".join("    " + line for line in dict.fromkeys(lines) if line.startswith("Looking in "))
    telling = [line for line in lines if re.match(r"(ERROR|error): |WARNING: Retrying|Could not fetch|.*Errno", line)]
    quoted = "\n".join("    " + line for line in (telling or list(filter(None, lines)))[-QUOTED_LINES:])
    if DISK_SIGNS.search(log):
        reason = "The disk ran full. Free some space, then run the same command again: it goes on where it stopped."
    elif NETWORK_SIGNS.search(log):
        reason = (
            "The package registry could not be reached, or broke off. What was tried:\n"
            f"{tried}\n"
            "Check the network, the proxy (HTTPS_PROXY) and pip's settings (pip config list; variables PIP_*), then\n"
            "run the same command again: it goes on where it stopped."
        )
    elif VERSION_SIGNS.search(log):
        reason = (
            "No place that pip looks in has the versions that constraints.txt pins for this Python and machine, or\n"
            "they contradict pyproject.toml. Where it looked:\n"
            f"{tried}\n"
            "Check pip's settings (pip config list; variables PIP_*), or pin other versions."
        )
    else:
        reason = "The reason is in its own words."
    return f"pip could not install {what}.\n{reason}\npip said last:\n{quoted}"


def pip_install(venv: Path, what: str, arguments: list[str], *, use_cache: bool) -> None:
    """Run pip in the environment.

    Args:
        venv: The environment.
        what: What is installed, for the error.
        arguments: What follows `pip install`.
        use_cache: Whether pip may keep its downloads for another time.
    Raises:
        SetupError: If pip fails.
    """
    log = venv / "pip.log"
    scratch = venv / "scratch"  # pip unpacks here, so that only the checked disk fills, and a small /tmp does no harm
    if log.exists():
        log.unlink()
    scratch.mkdir(exist_ok=True)
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_USER")
    }
    env.update(TMPDIR=str(scratch), PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_REQUIRE_VIRTUALENV="0")
    if not use_cache:
        env["PIP_NO_CACHE_DIR"] = "1"
    command = [str(venv_python(venv)), "-m", "pip", "install", "--log", str(log), "--no-input", *arguments]
    say("    pip install " + " ".join(arguments))
    try:
        status = run(command, env=env)
    finally:
        shutil.rmtree(str(scratch), ignore_errors=True)
    if status != 0:
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        raise SetupError(f"{explain_pip_failure(what, text)}\nWhole log: {log}")


def set_up(venv: Path, min_free_gib: float) -> None:
    """Make the environment, or repair it, and write its stamp.

    Args:
        venv: Where it will lie.
        min_free_gib: See `check_room`.
    Raises:
        SetupError: If it cannot be made.
    """
    wanted = digest(ROOT)
    progress = Progress()
    check_interpreter()
    had_one = venv.exists()
    in_place = had_one and holds_sound_packages(venv)
    use_cache = check_room(venv, min_free_gib, keeps_packages=in_place)
    if had_one and stamp_path(venv).exists():
        say(f"{venv.name} was made for other requirements or another place: bringing it up to date.")
        stamp_path(venv).unlink()
    elif had_one:
        say(f"{venv.name} is unfinished, an earlier run was interrupted: repairing it.")

    progress.step(f"Virtual environment {venv.name}, Python {'.'.join(map(str, sys.version_info[:3]))}")
    if in_place:
        say("    there already, what it holds is kept")
    else:
        if venv.is_symlink() or venv.is_file():
            venv.unlink()
        elif had_one:
            shutil.rmtree(str(venv))
        if run([sys.executable, "-I", "-m", "venv", str(venv)]) != 0:
            raise SetupError(f"`{sys.executable} -m venv {venv}` failed; its own words stand above.")

    progress.step("pip itself")
    pip_install(venv, "pip", ["--upgrade", "-c", "constraints.txt", "pip", "setuptools"], use_cache=use_cache)
    progress.step("Packages: about 3 GiB to fetch and 6 GiB on the disk when fresh, some minutes")
    pinned = ["-c", "constraints.txt", "--build-constraint", "constraints.txt"]
    pip_install(
        venv, "the packages of pyproject.toml", [*pinned, "--group", "dev", "-e", f".[{EXTRAS}]"], use_cache=use_cache
    )
    progress.step("A look whether everything loads")
    look = f"import {SMOKE_IMPORTS}; from ssa_stream.model import build_operator; build_operator()"
    if run([str(venv_python(venv)), "-I", "-c", look]) != 0:
        raise SetupError(
            f"The packages are installed, but importing {SMOKE_IMPORTS} failed; the reason stands above.\n"
            f"If a shared library is missing, install it; otherwise delete {venv} and run the same command again."
        )
    stamp_path(venv).write_text(wanted + "\n", encoding="ascii")
    say(f"==> Ready: {venv.name}, {progress.elapsed_s():.0f} s")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Make the virtual environment of this checkout.")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where it lies (default: .venv)")
    parser.add_argument(
        "--min-free-gib", type=float, default=9.0, help="room that a fresh install needs; 0: do not check"
    )
    parser.add_argument("--check", action="store_true", help="do nothing; exit status 0 if it is complete, else 1")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    options = parse(arguments)
    venv = Path(os.path.abspath(str(options.venv)))
    try:
        if is_complete(venv, digest(ROOT)):
            return 0
        if options.check:
            return 1
        set_up(venv, options.min_free_gib)
    except SetupError as error:
        print(f"\nsetup: error: {error}", file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        print(
            "\nsetup: interrupted; run the same command again and it goes on where it stopped.",
            file=sys.stderr,
            flush=True,
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
