"""The tool that takes the picture of the page."""

from tools.page_picture import dropped_frames


def test_dropped_frames_adds_up_streams_nodes_and_reasons() -> None:
    """Comments and other metrics do not count."""
    metrics = (
        "# HELP ssa_stream_frames_dropped_total Frames dropped.\n"
        'ssa_stream_frames_dropped_total{node="ingest-a",reason="overtaken",stream="a"} 3.0\n'
        'ssa_stream_frames_dropped_total{node="encoder-0",reason="stale",stream="a"} 1.0\n'
        'ssa_stream_stream_frames_total{stream="a"} 90.0\n'
    )
    assert dropped_frames(metrics) == 4.0
    assert dropped_frames("") == 0.0
