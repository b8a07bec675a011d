"""`ssa-stream up` tells what it can do."""

from collections import Counter

import pytest
from typer.testing import CliRunner

from ssa_stream.cli.commands.up import expect_no_failures
from ssa_stream.cli.main import app
from ssa_stream.errors import SsaStreamError
from ssa_stream.nodes.launcher import GraphReport
from ssa_stream.protocols import DropReason


def test_help_of_up_teaches() -> None:
    """The help shows commands to copy, and where prompts and masks are."""
    text = CliRunner().invoke(app, ["up", "--help"], env={"COLUMNS": "200"}).output
    for words in ("ssa-stream up demo", "ssa-stream watch", "ssa-stream prompt set", "--placement", "fused|processes"):
        assert words in text


def test_graph_whose_every_frame_failed_is_an_error() -> None:
    """Though it ended in order; one of which some frames failed is not: they are counted."""
    drops = Counter({str(DropReason.FAILED): 10})
    with pytest.raises(SsaStreamError, match="all 10 of them failed"):
        expect_no_failures(GraphReport(drops=drops))
    expect_no_failures(GraphReport(drops=drops, frames=Counter({"cam0": 1})))
