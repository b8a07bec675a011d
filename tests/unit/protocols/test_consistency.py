"""Fields of one message that contradict each other are refused, where it is made and where it is read."""

from typing import Any

import msgspec
import pytest

from ssa_stream.errors import MessageError
from ssa_stream.protocols import MESSAGE_TYPES, Limits, decode
from tests.unit.protocols.samples import samples

_SPEC = {"dtype": "float32", "buffer": 0}

CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "pts_without_time_base": ("drop", {"frame.time_base": None}, "pts without time_base"),
    "capture_without_clock": ("drop", {"frame.capture_clock": None}, "capture_clock together, or neither"),
    "clock_without_capture": ("drop", {"frame.t_capture_ns": None}, "capture_clock together, or neither"),
    "target_without_tracks": ("masks", {"tracks": []}, "target_present is True with 0 tracks"),
    "tracks_without_target": ("masks", {"target_present": False}, "target_present is False with 3 tracks"),
    "track_in_no_layer": ("masks", {"layers": []}, "layer 0 of 0"),
    "layer_of_other_size": ("masks", {"size": [4, 7]}, "raw_bytes is 24 for 7x4 uint8; not 28"),
    "picture_of_one_channel": ("frame", {"image.shape": [4, 18, 1]}, r"expected uint8 \(height, width, 3\)"),
    "picture_of_floats": ("frame", {"image.dtype": "float32"}, r"expected uint8 \(height, width, 3\)"),
    "map_of_rank_4": ("features", {"maps": [_SPEC | {"shape": [1, 2, 8, 16]}] * 4}, r"maps\[0\].*expected 3 axes"),
    "sentence_of_rank_2": ("features", {"sentence.shape": [1, 4]}, "sentence.*expected 1 axes"),
    "queries_of_rank_1": ("frame_queries", {"queries.shape": [12]}, "queries.*expected 2 axes"),
    "text_of_rank_2": ("frame_queries", {"text.shape": [1, 4]}, "text.*expected 1 axes"),
    "text_of_other_width": ("frame_queries", {"text.shape": [5]}, r"expected \(N, C\) and \(C,\)"),
    "mask_features_of_rank_2": (
        "mask_features",
        {"mask_features.layout": "row_major", "mask_features.shape": [6, 4]},
        "3 axes",
    ),
    "channels_last_of_rank_2": ("mask_features", {"mask_features.shape": [6, 4]}, "channels_last with shape"),
    "probability_of_halves": ("video_queries", {"probability.dtype": "float16"}, "expected float32"),
    "other_number_of_queries": ("video_queries", {"aligned.shape": [4, 3]}, "expected as many of each"),
}


@pytest.mark.parametrize(("name", "changes", "complaint"), CASES.values(), ids=CASES)
def test_contradiction_is_refused(name: str, changes: dict[str, Any], complaint: str) -> None:
    """By the constructor with a ValueError, on reading with a MessageError, in the same words."""
    sample = samples()[name]
    header = msgspec.to_builtins(sample.message)
    for path, value in changes.items():
        *outer, last = path.split(".")
        place = header
        for key in outer:
            place = place[key]
        place[last] = value
    with pytest.raises(MessageError, match=complaint):
        decode(
            [b"", msgspec.msgpack.encode(header), *(sample.buffers[i] for i in range(len(sample.buffers)))], Limits()
        )
    with pytest.raises(ValueError, match=complaint):
        msgspec.convert(header, MESSAGE_TYPES[name])
