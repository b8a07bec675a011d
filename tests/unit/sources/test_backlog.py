"""What piled up while probing is not delivered; what comes live is."""

from ssa_stream.sources.backlog import Backlog


def test_pictures_that_come_without_a_wait_are_old_until_the_first_that_did_not() -> None:
    """A burst later on is not a backlog of the start."""
    backlog = Backlog()
    held = [backlog.holds(read_s=read_s, t=n / 30) for n, read_s in enumerate([0.0, 0.001, 0.03, 0.0, 0.0])]
    assert held == [True, True, False, False, False]
    assert backlog.dropped == 2


def test_source_that_never_makes_anybody_wait_is_delivered_in_the_end() -> None:
    """It is paced by nothing."""
    backlog = Backlog()
    held = [backlog.holds(read_s=0.0, t=float(n)) for n in range(10)]
    assert held == [True] * 6 + [False] * 4
