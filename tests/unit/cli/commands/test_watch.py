"""Lines of `ssa-stream watch`."""

import json

import numpy as np
from typer.testing import CliRunner

from ssa_stream.cli.commands.watch import as_line, as_mapping
from ssa_stream.cli.main import app
from ssa_stream.errors import ConfigError
from tests.support.mask_messages import circle, mask_parts, mask_view


def test_line_tells_frame_prompt_tracks_age_and_gaps() -> None:
    """An age that cannot be known is not made up."""
    view = mask_view(mask_parts(7, clock="monotonic:elsewhere"), gap=3, dropped_here=2)
    line = "cam0 0.7     p1 'the sentence p1':  1:0.90 [21, 9, 40, 28]  age ?  missed 3, 2 of them here"
    assert (as_line(view), view.prompts_version) == (line, None)
    told = mask_view(mask_parts(7, clock="monotonic:elsewhere", prompts_version=4), gap=3, dropped_here=2)
    assert (as_line(told), as_mapping(told)["prompts_version"]) == (f"{line}  prompts v4", 4)


def test_line_without_tracks_says_how_near_it_was() -> None:
    """The best probability, which was not enough."""
    line = as_line(mask_view(mask_parts(7, [], status="provisional")))
    assert "nothing (best 0.95)" in line
    assert line.endswith("provisional")


def test_line_of_many_tracks_stays_one() -> None:
    """The rest is counted."""
    line = as_line(mask_view(mask_parts(0, [circle(centre=(18, x)) for x in range(12, 50, 6)])))
    assert "and 3 more" in line
    assert "\n" not in line


def test_mapping_can_be_written_as_json() -> None:
    """With the names of the protocol."""
    found = json.loads(json.dumps(as_mapping(mask_view(mask_parts(7), gap=1))))
    assert (found["stream"], found["seq"], found["prompt"]["id"], found["gap"]) == ("cam0", 7, "p1", 1)
    assert found["tracks"] == [
        {"id": 1, "score": 0.9, "probability": 0.95, "box_xyxy": [21, 9, 40, 28], "area_px": int(circle().sum())}
    ]
    assert found["age_ms"] >= 0


def test_mapping_has_polygons_if_they_are_asked_for() -> None:
    """With their holes."""
    mask = np.zeros((36, 64), dtype=np.bool_)
    mask[10:20, 5:15], mask[12:14, 7:9] = True, False
    (track,) = json.loads(json.dumps(as_mapping(mask_view(mask_parts(masks=[mask])), 0.0)))["tracks"]
    hole = [[7, 12], [7, 14], [9, 14], [9, 12]]
    assert track["polygons"] == [{"exterior": [[5, 10], [15, 10], [15, 20], [5, 20]], "holes": [hole]}]


def test_polygons_without_json_are_refused() -> None:
    """Lines for people have no room for them."""
    result = CliRunner().invoke(app, ["watch", "--polygons", "1"])
    assert isinstance(result.exception, ConfigError)
    assert "--polygons is for --json" in str(result.exception)
