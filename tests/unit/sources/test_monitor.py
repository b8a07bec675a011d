"""The state machine of a source, on a clock that the test turns."""

import dataclasses

import pytest

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.sources import RecoveryPolicy, SourceMonitor, SourceStage

POLICY = RecoveryPolicy(
    connect_s=5, first_frame_s=12, stall_s=2, lost_s=6, retry_s=1, retry_max_s=8, slow_retry_s=10, slow_retry_max_s=60
)
REFUSED = SourceError("nothing listens there", SourceErrorCode.REFUSED)
LOST = SourceError("it ended the stream", SourceErrorCode.LOST)


class Rig:
    """A monitor, its clock, and what a reader would do."""

    def __init__(self, policy: RecoveryPolicy = POLICY, jitter: float = 1.0) -> None:
        self.now_s = 100.0
        self.monitor = SourceMonitor("cam", policy, clock=lambda: self.now_s, jitter=lambda: jitter)

    @property
    def stage(self) -> SourceStage:
        """The present stage."""
        return self.monitor.status.stage

    def pass_deadline(self) -> SourceError | None:
        """Let time pass up to the deadline."""
        self.now_s = self.monitor.deadline_s
        return self.monitor.time_is_up()

    def go_live(self, epoch: int = 0) -> None:
        """Connect and deliver one frame."""
        self.monitor.attempt_began()
        self.monitor.connected()
        self.monitor.frame_came(epoch)

    def fail(self, error: SourceError = REFUSED) -> float:
        """An attempt that fails; returns how long to wait for the next one."""
        self.monitor.attempt_began()
        assert self.monitor.attempt_failed(error)
        wait_s = self.monitor.deadline_s - self.now_s
        self.now_s = self.monitor.deadline_s
        return wait_s


def test_way_to_the_first_frame_is_connecting() -> None:
    """Also across attempts that fail; the status says why and when the next one is."""
    rig = Rig()
    rig.monitor.attempt_began()
    assert (rig.stage, rig.monitor.status.attempt) == (SourceStage.CONNECTING, 1)
    assert rig.monitor.attempt_failed(REFUSED)
    status = rig.monitor.status
    assert (status.stage, status.code, status.retry_in_s) == (SourceStage.CONNECTING, SourceErrorCode.REFUSED, 1.0)
    assert "nothing listens" in status.text
    rig.now_s += 1
    rig.go_live()
    status = rig.monitor.status
    assert (status.stage, status.code, status.text, status.attempt) == (SourceStage.LIVE, None, "", 2)
    assert (status.epoch, status.connections, status.outage_s, status.retry_in_s) == (0, 1, None, None)


def test_each_wait_has_its_own_limit_and_code() -> None:
    """Connecting, the first frame, silence."""
    rig = Rig()
    rig.monitor.attempt_began()
    assert rig.monitor.deadline_s == rig.now_s + 5
    timed_out = rig.pass_deadline()
    assert timed_out is not None
    assert timed_out.code is SourceErrorCode.TIMEOUT
    rig.monitor.attempt_failed(timed_out)
    rig.monitor.attempt_began()
    rig.monitor.connected()
    assert rig.monitor.deadline_s == rig.now_s + 12
    no_frame = rig.pass_deadline()
    assert no_frame is not None
    assert no_frame.code is SourceErrorCode.NO_FRAME
    assert "cam: it is connected" in str(no_frame)


def test_silence_is_a_stall_first_and_a_loss_later() -> None:
    """The connection is kept in between, both limits count from the last frame."""
    rig = Rig()
    rig.go_live()
    last_frame_s = rig.now_s
    assert rig.pass_deadline() is None
    assert rig.now_s == last_frame_s + 2
    assert (rig.stage, rig.monitor.status.code) == (SourceStage.STALLED, SourceErrorCode.STALLED)
    error = rig.pass_deadline()
    assert rig.now_s == last_frame_s + 6
    assert error is not None
    assert error.code is SourceErrorCode.STALLED
    assert rig.monitor.attempt_failed(error)
    assert rig.stage is SourceStage.RECONNECTING


def test_stalled_source_that_goes_on_is_live_in_the_same_connection() -> None:
    """The outage is told."""
    rig = Rig()
    rig.go_live()
    rig.pass_deadline()
    rig.now_s += 1
    rig.monitor.frame_came(0)
    status = rig.monitor.status
    assert (status.stage, status.code, status.connections) == (SourceStage.LIVE, None, 1)
    assert status.outage_s == 3.0


def test_reconnected_source_tells_its_outage_and_its_epoch() -> None:
    """From the last frame before to the first one after."""
    rig = Rig()
    rig.go_live()
    rig.now_s += 0.5
    rig.monitor.attempt_failed(LOST)
    status = rig.monitor.status
    assert (status.stage, status.code, status.attempt) == (SourceStage.RECONNECTING, SourceErrorCode.LOST, 0)
    rig.now_s += 2.5
    rig.go_live(epoch=1)
    status = rig.monitor.status
    assert (status.stage, status.epoch, status.connections, status.outage_s) == (SourceStage.LIVE, 1, 2, 3.0)


def test_deadline_counts_from_the_newest_frame() -> None:
    """Not from the last state that was told."""
    rig = Rig()
    rig.go_live()
    rig.now_s += 1.5
    rig.monitor.frame_came(0)
    assert rig.monitor.deadline_s == rig.now_s + 2


def test_waits_double_up_to_the_longest() -> None:
    """With jitter at its upper end."""
    rig = Rig()
    assert [rig.fail() for _ in range(6)] == [1, 2, 4, 8, 8, 8]


def test_jitter_takes_up_to_half_of_a_wait() -> None:
    """So that many readers do not come back at once, and none hammers."""
    assert [Rig(jitter=jitter).fail() for jitter in (0.0, 0.5, 1.0)] == [0.5, 0.75, 1.0]


@pytest.mark.parametrize(
    "code",
    [SourceErrorCode.AUTH_FAILED, SourceErrorCode.TLS, SourceErrorCode.UNSUPPORTED_CODEC, SourceErrorCode.NOT_FOUND],
)
def test_what_somebody_must_change_is_tried_slowly(code: SourceErrorCode) -> None:
    """But it is tried."""
    rig = Rig()
    assert [rig.fail(SourceError("no", code)) for _ in range(5)] == [10, 20, 40, 60, 60]


def test_stream_that_was_there_is_asked_for_soon_when_its_server_lacks_it() -> None:
    """A server that restarts answers before its streams are there."""
    rig = Rig()
    rig.go_live()
    rig.monitor.attempt_failed(LOST)
    assert rig.fail(SourceError("404", SourceErrorCode.NOT_FOUND)) == 2


def test_waits_begin_anew_only_after_a_steady_while() -> None:
    """A source that comes and goes at once does not reset them."""
    rig = Rig()
    for _ in range(3):
        rig.fail()
    rig.go_live()
    rig.monitor.attempt_failed(LOST)
    assert rig.monitor.status.retry_in_s == 8
    rig.go_live(epoch=1)
    rig.now_s += POLICY.steady_s
    rig.monitor.frame_came(1)
    rig.monitor.attempt_failed(LOST)
    assert rig.monitor.status.retry_in_s == 1


def test_source_gives_up_where_the_policy_says_so() -> None:
    """Counted from the last frame, or the beginning."""
    rig = Rig(dataclasses.replace(POLICY, give_up_after_s=3.0))
    rig.go_live()
    rig.now_s += 2
    assert rig.monitor.attempt_failed(LOST)
    rig.now_s += 1
    assert not rig.monitor.attempt_failed(REFUSED)
    assert (rig.stage, rig.monitor.status.code) == (SourceStage.FAILED, SourceErrorCode.REFUSED)
    assert rig.monitor.deadline_s == float("inf")


def test_without_a_limit_it_never_gives_up() -> None:
    """Also after days, with waits that stay finite."""
    rig = Rig()
    assert max(rig.fail() for _ in range(2000)) == 8


def test_end_is_the_last_state_but_does_not_hide_a_failure() -> None:
    """Closing after a failure is not an end."""
    rig = Rig()
    rig.go_live()
    rig.monitor.ended("closed")
    assert (rig.stage, rig.monitor.status.text) == (SourceStage.ENDED, "closed")
    rig = Rig()
    rig.monitor.failed(REFUSED)
    rig.monitor.ended()
    assert rig.stage is SourceStage.FAILED


def test_states_hold_no_credentials() -> None:
    """Whatever an error says."""
    rig = Rig()
    rig.monitor.attempt_began()
    rig.monitor.attempt_failed(SourceError("cannot open rtsp://cam:s3cret@host/x?token=s3cret"))
    assert "s3cret" not in repr(rig.monitor.status)
    assert "host" in rig.monitor.status.text


def test_usual_silence_of_a_source_is_no_stall() -> None:
    """The larger of it and the policy's limits counts; what follows keeps its length."""
    rig = Rig()
    rig.monitor.attempt_began()
    rig.monitor.connected(20.0)
    assert rig.monitor.deadline_s == rig.now_s + 24
    rig.monitor.frame_came(0)
    assert rig.monitor.deadline_s == rig.now_s + 20
    assert rig.pass_deadline() is None
    assert rig.stage is SourceStage.STALLED
    assert "20 s" in rig.monitor.status.text
    assert rig.monitor.deadline_s == rig.now_s + 4
    error = rig.pass_deadline()
    assert error is not None
    assert "no frame for 24 s" in str(error)


def test_source_whose_silence_says_nothing_is_never_stalled() -> None:
    """Its first picture has a limit all the same."""
    rig = Rig()
    rig.monitor.attempt_began()
    rig.monitor.connected(float("inf"))
    assert rig.monitor.deadline_s == rig.now_s + 12
    rig.monitor.frame_came(0)
    assert rig.monitor.deadline_s == float("inf")


def test_limits_follow_the_usual_interval_of_a_slow_source() -> None:
    """Three intervals late is a stall; one frame each three seconds is none."""
    rig = Rig()
    rig.go_live()
    for _ in range(2):
        rig.now_s += 3
        rig.monitor.frame_came(0)
    assert rig.monitor.deadline_s == rig.now_s + 9
    assert rig.pass_deadline() is None
    assert rig.stage is SourceStage.STALLED
    assert rig.pass_deadline() is not None
    assert rig.now_s == 106 + 9 + 4


def test_source_slower_than_the_limits_keeps_its_connection_in_the_end() -> None:
    """Each connection gave one picture; their distance tells its rate."""
    rig = Rig()
    for epoch in range(3):
        rig.go_live(epoch)
        rig.now_s += 7
    assert rig.monitor.deadline_s == rig.now_s - 7 + 21
