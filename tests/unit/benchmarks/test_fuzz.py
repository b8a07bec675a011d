"""The fuzzer finds what goes wrong, whatever that is, and goes on."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import fuzz
from benchmarks.fuzz import main
from benchmarks.fuzzing import trying
from benchmarks.fuzzing.gateway import broken_offer, broken_request
from benchmarks.fuzzing.trying import Plan, TargetError, try_target
from tests.support.command_line import ROOT, running
from tests.support.fuzz_targets import MARK, faulty, slow_to_start, without_start
from tests.support.waiting import wait_until

OFFER = b"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 10.1.2.3\r\na=mid:0"


@pytest.mark.slow
def test_errors_crashes_and_hangs_are_findings_and_the_rest_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with the seed that repeats it."""
    monkeypatch.setattr(trying, "ATTEMPT_S", 1.0)
    seen: list[int] = []
    tally = try_target(faulty, Plan(0, 60.0, attempts=6), lambda tally: seen.append(tally.attempts))
    assert tally.outcomes == {"refused": 2, "taken": 1}
    assert [finding.seed for finding in tally.findings] == [1, 2, 3]
    error, crash, hang = (finding.text for finding in tally.findings)
    assert "an error that should not have come" in error
    assert "ended with 7" in crash
    assert "not over after 1 s" in hang
    assert seen == [1, 2, 3, 4, 5, 6]


def test_broken_input_is_determined_by_its_seed_and_names_this_machine_only() -> None:
    """Connectivity checks must not leave the machine."""
    for seed in range(300):
        offer = broken_offer(random.Random(seed), OFFER)
        assert offer == broken_offer(random.Random(seed), OFFER)
        assert b"10.1.2.3" not in offer
        assert broken_request(random.Random(seed)) == broken_request(random.Random(seed))
    assert len({broken_request(random.Random(seed)) for seed in range(300)}) > 250


@pytest.mark.slow
def test_command_tells_what_it_tried(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The codec is the quickest target."""
    monkeypatch.setattr(sys, "argv", ["fuzz", "codec", "--attempts=20", "--share=2/3", "--minutes=3"])
    assert main() == 0
    name, attempts, findings, *_ = capsys.readouterr().out.splitlines()[-1].split()
    assert (name, attempts, findings) == ("codec", "20", "0")


def test_command_refuses_what_is_no_target(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """And says what there is."""
    monkeypatch.setattr(sys, "argv", ["fuzz", "nonsense"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "there is no target nonsense; expected some of: codec" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option",
    ["--minutes=0", "--minutes=-1", "--minutes=nan", "--minutes=inf", "--minutes=x", "--attempts=0", "--attempts=-3"],
)
def test_command_refuses_to_try_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    """Such a run would be green."""
    monkeypatch.setattr(sys, "argv", ["fuzz", "codec", option])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "expected a" in capsys.readouterr().err


@pytest.mark.slow
def test_time_begins_when_the_process_is_ready() -> None:
    """Half a second is for attempts; with no time at all there is one."""
    assert try_target(slow_to_start, Plan(0, 0.5)).attempts > 1
    assert try_target(slow_to_start, Plan(0, 1e-9)).attempts == 1


@pytest.mark.slow
def test_target_that_cannot_be_prepared_costs_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are tried, each once however often it is named; the exit code tells."""
    with pytest.raises(TargetError, match="could not be prepared"):
        try_target(without_start, Plan(0, 1.0))
    monkeypatch.setattr(fuzz, "TARGETS", {"none": without_start, "some": slow_to_start})
    monkeypatch.setattr(sys, "argv", ["fuzz", "none", "some", "some", "none", "--attempts=2"])
    assert main() == 1
    printed = capsys.readouterr()
    rows = [line.split()[:3] for line in printed.out.splitlines()[1:]]
    assert rows == [["none", "0", "0"], ["some", "2", "0"]]
    assert "none: the target could not be prepared" in printed.err


_RUN = """
import sys
from benchmarks import fuzz
from tests.support.fuzz_targets import marking, slow_to_start
fuzz.TARGETS = {"marking": marking, "later": slow_to_start}
if __name__ == "__main__":
    sys.exit(fuzz.main())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "seed", "code"), [(signal.SIGINT, 2, 130), (signal.SIGTERM, 2, 143), (signal.SIGTERM, 1, 1)]
)
def test_signal_loses_nothing_that_was_tried(tmp_path: Path, number: signal.Signals, seed: int, code: int) -> None:
    """Findings and figures are printed, and the exit code tells of findings before it tells of the signal."""
    script, mark = tmp_path / "run.py", tmp_path / "mark"
    script.write_text(_RUN)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = os.environ | {"PYTHONPATH": str(ROOT), MARK: str(mark)}
    command: list[str | Path] = [sys.executable, script, "--minutes=60", f"--seed={seed}"]
    with running(command, cwd=ROOT, env=environment, **streams) as process:
        wait_until(mark.exists)
        process.send_signal(number)
        out, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    name, attempts, findings, *_ = out.splitlines()[-1].split()
    assert (name, int(attempts) >= 3, findings) == ("marking", True, "1" if code == 1 else "0")
    assert f"ended by {number.name}; not tried to the end: marking, later" in errors
    assert ("an error that should not have come" in errors) == (code == 1)
