"""What libraries log."""

import logging

import pytest

from ssa_stream.nodes.runtime.library_logs import LibraryLogs
from ssa_stream.nodes.runtime.logs import LogLimit


def test_library_logs_flood_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """With how many were left out in the next one; debug and info are no lines."""
    now = [0.0]
    logger = logging.Logger("aiortc.rtcdtlstransport", logging.DEBUG)
    logger.addHandler(LibraryLogs(LogLimit(now_s=lambda: now[0])))
    logger.info("nothing")
    for number in range(50):
        logger.warning("it went wrong %d", number)
    now[0] = 2.0
    try:
        raise ValueError("odd")
    except ValueError:
        logger.exception("it went wrong again")
    printed = capsys.readouterr().out
    assert "nothing" not in printed
    assert printed.count("library=aiortc") == 2
    assert "it went wrong 0" in printed
    assert "left_out=49" in printed
    assert "ValueError: odd" in printed
