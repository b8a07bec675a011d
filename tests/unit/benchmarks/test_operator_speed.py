"""The benchmark of speed runs, and compares what it says."""

import sys

import pytest

import benchmarks.operator_speed as speed


@pytest.mark.slow
def test_speed_prints_a_row_for_each_piece_of_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table in markdown; each ratio comes from both ways."""
    monkeypatch.setattr(sys, "argv", ["operator_speed.py", "--models", "ssa-tiny", "--rounds", "1"])
    speed.main()
    *_, head, rule, layer, decoder, push = capsys.readouterr().out.strip().splitlines()
    assert head == "| deformable attention | torch, ms | fused, ms | torch / fused |"
    assert rule == "| --- | --- | --- | --- |"
    for row, work in ((layer, "one layer"), (decoder, "pixel decoder"), (push, "push, one prompt")):
        title, before, after, ratio = (cell.strip() for cell in row.strip("|").split("|"))
        assert title == f"ssa-tiny 224x128, {work} (numba)"
        assert float(ratio) == pytest.approx(float(before) / float(after), rel=0.3)  # they are rounded
