"""Several connections are one stream."""

import dataclasses

import pytest

from ssa_stream.sources import Frame
from ssa_stream.sources.connection import Continuation
from tests.support.scripted_source import numbered_frame


def _frame(seq: int, t: float, received_s: float, epoch: int = 0) -> Frame:
    return dataclasses.replace(numbered_frame(seq, t=t, epoch=epoch), t_receive_ns=round(received_s * 1e9))


def test_time_goes_on_by_the_hosts_clock_and_epochs_grow() -> None:
    """Within a connection the times are the source's own."""
    stream = Continuation()
    stream.connection_began()
    frames = [stream.number(_frame(0, 0.0, 50.0)), stream.number(_frame(1, 0.1, 50.2))]
    stream.connection_began()
    frames += [stream.number(_frame(0, 0.0, 53.2)), stream.number(_frame(1, 0.1, 53.25))]
    assert [frame.t for frame in frames] == pytest.approx([0.0, 0.1, 3.1, 3.2])
    assert [(frame.epoch, frame.seq) for frame in frames] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert frames[2].continues(frames[1])


def test_change_of_size_within_a_connection_is_an_epoch_too() -> None:
    """And the next connection begins after it."""
    stream = Continuation()
    stream.connection_began()
    epochs = [stream.number(_frame(0, 0.0, 1.0)).epoch, stream.number(_frame(0, 0.1, 1.1, epoch=1)).epoch]
    stream.connection_began()
    epochs.append(stream.number(_frame(0, 0.0, 2.0)).epoch)
    assert epochs == [0, 1, 2]


def test_connection_without_a_frame_is_no_epoch() -> None:
    """Numbers have no holes there."""
    stream = Continuation()
    stream.connection_began()
    stream.number(_frame(0, 0.0, 1.0))
    stream.connection_began()
    stream.connection_began()
    assert stream.number(_frame(0, 0.0, 2.0)).epoch == 1


def test_time_grows_even_where_the_clock_did_not() -> None:
    """Strictly."""
    stream = Continuation()
    stream.connection_began()
    first = stream.number(_frame(0, 5.0, 1.0))
    stream.connection_began()
    assert stream.number(_frame(0, 0.0, 1.0)).t > first.t
