"""The fuzzer finds what goes wrong, whatever that is, and goes on."""

import random
import sys

import pytest

from benchmarks.fuzz import main
from benchmarks.fuzzing import trying
from benchmarks.fuzzing.gateway import broken_offer, broken_request
from benchmarks.fuzzing.trying import Plan, try_target
from tests.support.fuzz_targets import faulty

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
