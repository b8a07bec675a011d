"""Signals and single keys of a terminal."""

import os
import pty
import select
import signal
import termios
from collections.abc import Iterator

import pytest

from ssa_stream.cli.views.terminal import Interrupts, Keyboard
from tests.support.background import has_ended_in_background


def test_interrupts_first_signal_asks_second_insists() -> None:
    """Work goes on after the first signal; the second one is a KeyboardInterrupt."""
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def own_hangup() -> Iterator[None]:
    """Whatever this process was started with, SIGHUP has its default meaning in the test."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_interrupts_hangup_asks_and_never_insists(own_hangup: None) -> None:
    """A closed terminal sends it twice, systemd after SIGTERM; also after the end there is something to write."""
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGHUP)
        assert interrupts.requested
        os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGHUP)


def test_interrupts_ignored_hangup_stays_ignored(own_hangup: None) -> None:
    """As nohup has it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not interrupts.requested
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_interrupts_signal_cuts_a_wait_short() -> None:
    """In a wait the first signal is enough, and is not seen outside."""

    def wait() -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        return True

    with Interrupts() as interrupts:
        assert interrupts.cut_short(wait) is None
        assert interrupts.requested


def test_interrupts_no_wait_begins_after_a_signal() -> None:
    """Also if it came just before."""
    with Interrupts() as interrupts:
        assert interrupts.cut_short(lambda: 1) == 1
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.cut_short(lambda: 1) is None


def test_interrupts_restores_handlers() -> None:
    """Afterwards signals mean what they meant before."""
    before = signal.getsignal(signal.SIGINT)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of one: what a person types, and what a program reads."""
    person, program = pty.openpty()
    yield person, program
    os.close(person)
    os.close(program)


def test_keys_come_without_enter_and_the_terminal_is_restored(terminal: tuple[int, int]) -> None:
    """Nothing waits for them."""
    person, program = terminal
    before = termios.tcgetattr(program)
    with Keyboard(program) as keyboard:
        assert keyboard.pressed() == ""
        os.write(person, b"q")
        assert select.select([program], [], [], 10)[0]
        assert keyboard.pressed() == "q"
    assert termios.tcgetattr(program) == before


def test_keys_of_a_terminal_that_is_gone_are_none() -> None:
    """Reading fails then, and so does setting it back."""
    person, program = pty.openpty()
    with Keyboard(program) as keyboard:
        os.close(person)
        assert keyboard.pressed() == ""
    os.close(program)


def test_no_keys_come_where_the_input_is_no_terminal() -> None:
    """A pipe is left alone, its content for others."""
    read, write = os.pipe()
    os.write(write, b"q")
    with Keyboard(read) as keyboard:
        assert keyboard.pressed() == ""
    assert os.read(read, 1) == b"q"
    os.close(read)
    os.close(write)


def test_keyboard_waits_for_the_foreground() -> None:
    """A terminal is not set while another program has it, though log lines go through."""
    ignore = "import signal; signal.signal(signal.SIGTTOU, signal.SIG_IGN); "
    assert not has_ended_in_background(
        f"{ignore}from ssa_stream.cli.views.terminal import Keyboard; Keyboard(0).__enter__()"
    )
