"""Terminals: text from outside that would command them, and readers that stop, leave or have no room."""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import msgspec
import pytest
import yaml
import zmq
from safetensors import safe_open
from safetensors.torch import save_file

from ssa_stream.checkpoints import DEFAULT_CHECKPOINT, located, read_info
from ssa_stream.nodes.pipeline import BROKER
from ssa_stream.protocols import (
    EVENTS,
    STATE,
    VERSION,
    ErrorCode,
    ErrorReply,
    Event,
    Limits,
    Statistics,
    Topic,
    decode,
    encode,
)
from tests.support.command_line import CONSOLE_SCRIPT, read_until, run_command, running, write_tiny_config
from tests.support.graphs import Listener
from tests.support.mask_messages import mask_parts, publishing
from tests.support.scripted_nodes import CLOCK, heartbeat, source_state
from tests.support.waiting import until, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

_PATIENCE_S = 120.0
_FRAMES = 20
# Sets the title, fills the clipboard, clears the screen, the same in one byte, turns the direction, goes back.
_HOSTILE = "red\x1b]0;title\x07\x1b]52;c;Zm9v\x07\x1b[2J\x9b2J\u202e\b\r\x7f"
_WRITTEN_OUT = r"red\x1b]0;title\x07\x1b]52;c;Zm9v\x07\x1b[2J\x9b2J\u202e\x08\x0d\x7f"
_ASCII_ONLY = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
# What rich writes on a terminal: colours; moves of the cursor, its visibility, lines that are cleared.
_OF_RICH = re.compile(r"\x1b\[([0-9;]*m|\?25[lh]|2K|1A)|\r")


def _pipeline(folder: Path, **public: str) -> Path:
    """A graph in one process, of a network without sense, that ends after some frames and writes two outputs."""
    plain = {
        "model": {"name": str(write_tiny_config(folder)), "random_weights": True, "device": "cpu", "threads": 1},
        "public": {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*", **public},
        "streams": {
            "cam0": {
                "source": f"synthetic@64x48,30fps,{_FRAMES}frames",
                "prompts": ["红色的圆"],
                "outputs": [str(folder / "out.mp4"), str(folder / "out.jsonl")],
            }
        },
    }
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(plain))
    return path


def _expect_whole_outputs(folder: Path) -> None:
    """As many pictures and lines as there were frames, and nothing between them."""
    with av.open(str(folder / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == _FRAMES
    assert len([json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]) == _FRAMES


def _expect_plain(printed: str) -> None:
    """Nothing in it but text in lines, and what rich itself writes."""
    left = _OF_RICH.sub("", printed)
    assert {character for character in left if not character.isprintable()} <= {"\n", "\t"}, printed


@contextmanager
def _terminal() -> Iterator[tuple[int, int]]:
    """A person's end of a terminal, which does not wait for what is not there, and the program's."""
    person, program = pty.openpty()
    os.set_blocking(person, False)
    try:
        yield person, program
    finally:
        for end in (person, program):
            with contextlib.suppress(OSError):
                os.close(end)


class _Screen:
    """What came to a terminal so far."""

    def __init__(self, person: int, encoding: str) -> None:
        self._person, self._encoding = person, encoding
        self._came = b""

    def text(self) -> str:
        """All of it."""
        with contextlib.suppress(OSError):  # nothing new, or the program has ended
            while new := os.read(self._person, 2**16):
                self._came += new
        return self._came.decode(self._encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_graph_refuses_hostile_prompts_and_its_terminal_stays_as_it_is(tmp_path: Path, encoding: str) -> None:
    """A client's sentence, id and kind of message; whether the terminal knows all characters or few."""
    environment = os.environ | (_ASCII_ONLY if encoding == "ascii" else {"PYTHONIOENCODING": "utf-8"})
    command: list[str | Path] = [CONSOLE_SCRIPT, "up", _pipeline(tmp_path), "--keep"]
    with (
        _terminal() as (person, program),
        running(command, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=program, stderr=program, env=environment) as up,
    ):
        screen = _Screen(person, encoding)
        wait_until(lambda: "requests at tcp://" in screen.text() or up.poll() is not None)
        found = re.search(r"requests at (tcp://\S+)", screen.text())
        assert found, screen.text()
        answers = _asked(
            found[1],
            {"type": "add_prompt", "stream": "cam0", "prompt": {"text": _HOSTILE}},
            {"type": "add_prompt", "stream": "cam0", "prompt": {"text": "red", "id": _HOSTILE}},
            {"type": "list_prompts", "stream": _HOSTILE},
            {"type": _HOSTILE},
        )
        up.send_signal(signal.SIGINT)
        assert up.wait(_PATIENCE_S) == 0, screen.text()
        _expect_plain(screen.text())
        assert "ended by a signal" in screen.text()
    for answer in answers:
        assert answer.code == ErrorCode.INVALID
        assert answer.text.isprintable()


def _asked(address: str, *headers: dict[str, Any]) -> list[ErrorReply]:
    """What the graph answers to messages that no client of ours would send."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.linger = 0
        client.connect(address)
        answers = []
        for header in headers:
            client.send_multipart([b"", msgspec.msgpack.encode({"v": VERSION, "request_id": "r1", **header})])
            assert client.poll(int(_PATIENCE_S * 1000))
            answer = decode(client.recv_multipart(copy=False), Limits()).message
            assert isinstance(answer, ErrorReply)
            answers.append(answer)
    return answers


def _published(number: int) -> list[list[Any]]:
    """Masks, and texts of a graph that no node of ours would send as they are."""
    event = Event(
        kind="node_lost", node=BROKER, at_ns=CLOCK.monotonic_ns(), clock=CLOCK.name, severity="warning", text=_HOSTILE
    )
    state = source_state(status="lost", text=_HOSTILE, address=_HOSTILE, code="refused", attempt=number)
    beat = heartbeat("ingest-cam0", beat=number, ready=False, text=_HOSTILE)
    return [
        mask_parts(number),
        encode(state, topic=Topic("cam0", STATE)),
        encode(beat, topic=Topic("nodes", STATE, "ingest-cam0")),
        encode(event, topic=Topic("nodes", EVENTS)),
    ]


def test_commands_show_a_hostile_graph_as_plain_text(tmp_path: Path) -> None:
    """In tables, lines, JSON and on stderr; the characters are written out."""
    with publishing(_published) as address:
        for words in (["status"], ["status", "--json"], ["top", "--once"], ["watch", "--count", "40"]):
            done = run_command(*words, "--address", address, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            _expect_plain(done.stdout + done.stderr)
            if words == ["status", "--json"]:
                assert json.loads(done.stdout)["streams"]["cam0"]["source"]["text"] == _HOSTILE
            else:
                assert _WRITTEN_OUT in done.stdout + done.stderr, done.stdout + done.stderr


def test_hostile_notes_and_names_of_files_are_written_out_and_not_passed_on(tmp_path: Path) -> None:
    """A weight file of somebody else is looked at and converted; an argument is one that nobody expects."""
    name = f"{_HOSTILE}.safetensors"
    with safe_open(located(DEFAULT_CHECKPOINT), framework="pt") as file:
        weights = {key: file.get_tensor(key) for key in file.keys()}  # it is no mapping
        metadata = file.metadata() | {"notes": json.dumps({_HOSTILE: _HOSTILE}), "created_by": _HOSTILE}
    save_file(weights, tmp_path / name, metadata=metadata)
    info = run_command("checkpoint", "info", name, cwd=tmp_path)
    assert info.returncode == 0, info.stderr
    assert info.stdout.count(r"\x1b]0;title") >= 3
    converted = run_command("checkpoint", "convert", name, "-o", "out.safetensors", cwd=tmp_path)
    assert converted.returncode == 0, converted.stderr
    assert read_info(tmp_path / "out.safetensors").notes == {_WRITTEN_OUT: _WRITTEN_OUT}
    wrong = run_command("status", f"--{_HOSTILE}", cwd=tmp_path)
    assert wrong.returncode == 2
    for done in (info, converted, wrong):
        _expect_plain(done.stdout + done.stderr)


@contextmanager
def _unread(how: str) -> Iterator[int]:
    """A descriptor to write to: of a full disk, of a reader that is gone, of one that does not read any more."""
    if how == "full":
        full = os.open("/dev/full", os.O_WRONLY)
        yield full
        os.close(full)
        return
    reading, writing = os.pipe()
    if how == "gone":
        os.close(reading)
    else:
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, b"x" * fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ))
        os.set_blocking(writing, True)
    yield writing
    for end in (writing, *([reading] if how == "stopped" else [])):
        os.close(end)


@pytest.mark.parametrize("how", ["full", "gone", "stopped"])
def test_graph_whose_log_cannot_be_written_does_its_work(tmp_path: Path, how: str) -> None:
    """Outputs and exit status are right, and the summary counts what was lost; what only waits is not lost yet."""
    with (
        _unread(how) as stderr,
        running([CONSOLE_SCRIPT, "up", _pipeline(tmp_path), "--json", "end.json"], cwd=tmp_path, stderr=stderr) as up,
    ):
        assert up.wait(_PATIENCE_S) == 0
    _expect_whole_outputs(tmp_path)
    summary = json.loads((tmp_path / "end.json").read_text())
    assert summary["frames"] == {"cam0": _FRAMES}
    assert (summary["log_lines_lost"] > 0) == (how != "stopped")


def test_graph_that_is_started_without_standard_streams_does_its_work(tmp_path: Path) -> None:
    """No output gets the number of one of them, and log lines with it."""
    words = [str(CONSOLE_SCRIPT), "up", str(_pipeline(tmp_path)), "--json", "end.json"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words], cwd=tmp_path, timeout=_PATIENCE_S, check=False
    )
    assert done.returncode == 0
    _expect_whole_outputs(tmp_path)
    assert json.loads((tmp_path / "end.json").read_text())["frames"] == {"cam0": _FRAMES}


@pytest.mark.parametrize("reader", ["pipe", "terminal"])
def test_ctrl_c_ends_a_graph_in_order_whose_reader_is_gone(tmp_path: Path, reader: str) -> None:
    """As in `ssa-stream up ... 2>&1 | tee log`, where Ctrl-C reaches both; or a terminal that was closed."""
    command: list[str | Path] = [CONSOLE_SCRIPT, "up", _pipeline(tmp_path), "--keep", "--json", "end.json"]
    with _terminal() as (person, program):
        stderr = subprocess.PIPE if reader == "pipe" else program
        with running(command, cwd=tmp_path, stdin=subprocess.DEVNULL, stderr=stderr) as up:
            if reader == "pipe":
                assert up.stderr is not None
                read_until(up.stderr, "ready: ")
                up.stderr.close()
            else:
                screen = _Screen(person, "utf-8")
                wait_until(lambda: "ready:" in screen.text() or up.poll() is not None)
                os.close(program)
                os.close(person)
            up.send_signal(signal.SIGINT)
            assert up.wait(_PATIENCE_S) == 0
    _expect_no_partial(tmp_path)
    assert json.loads((tmp_path / "end.json").read_text())["interrupted"]


def _expect_no_partial(folder: Path) -> None:
    assert [path.name for path in folder.iterdir() if "partial" in path.name] == []


async def test_lines_that_are_lost_are_a_metric_of_the_graph(tmp_path: Path) -> None:
    """Where the log does not tell it, whoever watches the graph hears it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    command: list[str | Path] = [CONSOLE_SCRIPT, "up", _pipeline(tmp_path, publish=address), "--keep"]
    with _unread("full") as stderr, running(command, cwd=tmp_path, stderr=stderr) as up:
        async with Listener(address) as listener:
            await until(lambda: _lost(listener) > 0 or up.poll() is not None)
            assert _lost(listener) > 0
        up.send_signal(signal.SIGTERM)
        assert up.wait(_PATIENCE_S) == 0


def _lost(listener: Listener) -> int:
    """Lines that the launcher says it has lost."""
    figures = [message for message in listener.messages(Statistics) if message.node == BROKER]
    counts = {counter.name: counter.value for counter in figures[-1].counters} if figures else {}
    return int(counts.get("log_lines_lost", 0))


_COMMANDS = [["status"], ["status", "--json"], ["status", "--watch", "--json"], ["top", "--once"], ["watch"]]


@pytest.mark.parametrize("words", _COMMANDS, ids=" ".join)
def test_results_that_nobody_reads_end_a_command_quietly(tmp_path: Path, words: list[str]) -> None:
    """As in `ssa-stream status | head -0`. A disk that is full is an error in one line."""
    with publishing(_published) as address:
        for how, code in (("gone", 0), ("full", 1)):
            command: list[str | Path] = [CONSOLE_SCRIPT, *words, "--address", address]
            with (
                _unread(how) as stdout,
                running(command, cwd=tmp_path, stdout=stdout, stderr=subprocess.PIPE) as process,
            ):
                printed = process.communicate(timeout=_PATIENCE_S)[1]
            said = [line for line in printed.splitlines() if not line.startswith("cam0  ")]  # of the source, by watch
            assert process.returncode == code, printed
            assert len(said) == code
            assert how == "gone" or said[0].startswith("error: cannot write to standard output (No space left")


@pytest.mark.parametrize("words", [["--help"], [], ["prompt", "-h"], ["--show-completion", "bash"]], ids=" ".join)
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_help_that_nobody_reads_ends_quietly(tmp_path: Path, words: list[str], unbuffered: str) -> None:
    """Typer prints it, not a command; what it means is the same. A disk that is full is an error in one line."""
    for how, code in (("gone", 0), ("full", 1)):
        with (
            _unread(how) as stdout,
            running(
                [CONSOLE_SCRIPT, *words],
                cwd=tmp_path,
                env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
                stdout=stdout,
                stderr=subprocess.PIPE,
            ) as process,
        ):
            printed = process.communicate(timeout=_PATIENCE_S)[1]
        assert process.returncode == code, printed
        assert len(printed.splitlines()) == code, printed
        assert how == "gone" or printed.startswith("error: cannot write to standard output (No space left")


def test_commands_on_a_terminal_of_few_characters_show_other_scripts(tmp_path: Path) -> None:
    """Written out; JSON stays JSON."""
    with publishing(_published) as address, pytest.MonkeyPatch.context() as patch:
        for name, value in _ASCII_ONLY.items():
            patch.setenv(name, value)
        for words in (["status"], ["top", "--once"], ["watch", "--count", "2", "--json"]):
            done = run_command(*words, "--address", address, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            assert done.stdout.isascii()


_TALKATIVE = """
import logging, sys, warnings
from ssa_stream.standard_streams import finish_standard_streams, lines_lost, set_up_standard_streams
set_up_standard_streams()
for number in range(20_000):
    print("a line of a hundred characters, more or less, which nobody will ever read " * 2, number, file=sys.stderr)
logging.getLogger("a").warning("a warning")
warnings.warn("another one")
print(lines_lost() > 10_000)
sys.exit(finish_standard_streams(3))
"""


def test_process_that_talks_to_nobody_goes_on(tmp_path: Path) -> None:
    """As a node whose launcher was stopped, which does not read what it says."""
    with running(
        [sys.executable, "-c", _TALKATIVE], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        with process.stdout, process.stderr:
            assert process.stdout.readline() == "True\n"
            assert process.wait(_PATIENCE_S) == 3
