"""What a person who watches a run reads about its source."""

import time

import pytest

from ssa_stream.cli.runner import RunReport
from ssa_stream.cli.views.run_view import _figures, print_connections, print_source_status, print_summary, source_line
from ssa_stream.errors import SourceErrorCode
from ssa_stream.sources import Recovering, SourceStage, SourceStatus
from tests.support.scripted_source import ScriptedSource


def _status(stage: SourceStage, **fields: object) -> SourceStatus:
    return SourceStatus(stage=stage, since_s=0.0, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (_status(SourceStage.CONNECTING, attempt=1), "source: connecting"),
        (_status(SourceStage.CONNECTING, attempt=2), None),
        (
            _status(
                SourceStage.CONNECTING, attempt=1, retry_in_s=0.52, code=SourceErrorCode.REFUSED, text="nobody there"
            ),
            "source: connecting in 0.5 s, attempt 2 (refused: nobody there)",
        ),
        (_status(SourceStage.LIVE, connections=1), "source: live"),
        (_status(SourceStage.LIVE, connections=2, outage_s=3.14), "source: live again after 3.1 s"),
        (
            _status(SourceStage.STALLED, code=SourceErrorCode.STALLED, text="no frame for 2 s"),
            "source: stalled, no frame for 2 s",
        ),
        (
            _status(SourceStage.RECONNECTING, retry_in_s=1.0, code=SourceErrorCode.LOST, text="it ended"),
            "source: reconnecting in 1.0 s, attempt 1 (lost: it ended)",
        ),
        (_status(SourceStage.RECONNECTING, attempt=3), None),
        (_status(SourceStage.ENDED, text="closed"), None),
        (_status(SourceStage.FAILED, text="broken"), None),
    ],
    ids=lambda value: value.stage.value if isinstance(value, SourceStatus) else None,
)
def test_source_line_says_each_state_once(status: SourceStatus, line: str | None) -> None:
    """An attempt that only ends a wait has none, nor has an end, which is told otherwise."""
    assert source_line(status) == line


def test_lines_go_to_stderr_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Square brackets in an address are no markup."""
    print_source_status(_status(SourceStage.STALLED, text="rtsp://[fe80::1]/cam " + "x" * 200))
    assert capsys.readouterr().err == "source: stalled, rtsp://[fe80::1]/cam " + "x" * 200 + "\n"


def test_summary_in_a_file_is_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    """A line is a line, however long; and no rate is told where no frame came."""
    report = RunReport(read=10**6, frames=5, masked=5, elapsed_s=2.0)
    report.drops.update(unprocessed=9, overtaken=999_986, gap=123_456, failed=123_456)
    report.latencies_ms.extend([1000.0] * 5)
    print_summary(report)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2, lines
    assert lines[0].startswith("done: 5 frames in 2.0 s = 2.5 fps, latency p50 1000 ms")
    assert "9 read ahead and not needed" in lines[1]
    print_summary(RunReport())
    assert capsys.readouterr().err.splitlines()[0] == "done: no frame got masks, 0 dropped"


def test_connections_are_told_where_there_was_more_than_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A run whose source was never lost says nothing."""
    print_connections(ScriptedSource([]))
    source = Recovering("cam", lambda: ScriptedSource([0]))
    list(source.frames())
    print_connections(source)
    assert capsys.readouterr().err == ""


def test_figures_of_a_run_are_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that gives nothing more has no rate, no latency, and is not too much."""
    report, now_ns = RunReport(overload="overloaded: ..."), 10**9
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns)
    for number in range(11):
        report.masks_came(number * 10**8, 80.0)
    assert _figures(report) == " 10.0 fps  latency 80 ms  dropped 0  overloaded"
    now_ns = 60 * 10**9
    assert _figures(report) == "  0.0 fps  latency -  dropped 0"
