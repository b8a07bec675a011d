"""Fields of one message that contradict each other are refused, where it is made and where it is read."""

from typing import Any

import msgspec
import pytest

from ssa_stream.errors import MessageError
from ssa_stream.protocols import MESSAGE_TYPES, Limits, decode
from tests.unit.protocols.samples import samples

_SPEC = {"dtype": "float32", "buffer": 0}

_TWINS = [{"id": "p1", "text": text, "version": 1} for text in ("the red car", "the blue car")]
_TWINS_AT_WORK = [{"prompt": prompt} for prompt in _TWINS]

CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "pts_without_time_base": ("drop", {"frame.time_base": None}, "pts without time_base"),
    "capture_without_clock": ("drop", {"frame.capture_clock": None}, "capture_clock together, or neither"),
    "clock_without_capture": ("drop", {"frame.t_capture_ns": None}, "capture_clock together, or neither"),
    "target_without_tracks": ("masks", {"tracks": []}, "target_present is True with 0 tracks"),
    "tracks_without_target": ("masks", {"target_present": False}, "target_present is False with 3 tracks"),
    "track_in_no_layer": ("masks", {"layers": []}, "layer 0 of 0"),
    "layer_of_other_size": ("masks", {"size": [4, 7]}, "raw_bytes is 24 for 7x4 uint8; not 28"),
    "picture_of_one_channel": ("picture", {"image.shape": [4, 18, 1]}, r"expected uint8 \(height, width, 3\)"),
    "picture_of_floats": ("frame", {"image.dtype": "float32"}, r"expected uint8 \(height, width, 3\)"),
    "picture_of_other_size": ("frame", {"image.shape": [3, 2, 3]}, r"image is \(3, 2\); expected the network's size"),
    "history_of_other_size": ("frame", {"history.0.shape": [3, 2, 3]}, r"history\[0\] is \(3, 2\); expected the netw"),
    "history_of_floats": ("frame", {"history.0.dtype": "int32"}, r"history\[0\] is int32 .*expected uint8"),
    "history_too_short": ("frame", {"history": []}, "0 earlier pictures; the prompts need 1"),
    "history_too_long": ("frame", {"work.prompts": []}, "1 earlier pictures; the prompts need 0"),
    "prompts_of_one_id_at_work": ("frame", {"work.prompts": _TWINS_AT_WORK}, "ids p1, p1; expected another id for"),
    "prompts_of_one_id_decoded": ("video_queries", {"prompts": _TWINS}, "ids p1, p1; expected another id for each"),
    "prompts_of_one_id_at_start": ("start_stream", {"prompts": _TWINS}, "ids p1, p1; expected another id for each"),
    "map_of_rank_3": ("features", {"maps": [_SPEC | {"shape": [2, 8, 16]}] * 4}, r"maps\[0\].*expected 4 axes"),
    "sentence_of_rank_1": ("features", {"sentence.shape": [8]}, "sentence.*expected 2 axes"),
    "sentence_of_other_rows": ("features", {"sentence.shape": [1, 8]}, "maps and sentence of 2, 2, 2, 2, 1 rows"),
    "features_beyond_the_rows": ("features", {"first_row": 2}, "2 rows from row 2 on, of a frame with 3 rows"),
    "queries_of_rank_2": ("frame_queries", {"queries.shape": [6, 4]}, "queries.*expected 3 axes"),
    "text_of_rank_1": ("frame_queries", {"text.shape": [8]}, "text.*expected 2 axes"),
    "text_of_other_width": ("frame_queries", {"text.shape": [2, 5]}, r"expected \(R, N, C\) and \(R, C\)"),
    "text_of_other_rows": ("frame_queries", {"text.shape": [1, 4]}, r"expected \(R, N, C\) and \(R, C\)"),
    "queries_beyond_the_rows": ("frame_queries", {"first_row": 2}, "2 rows from row 2 on, of a frame with 3 rows"),
    "mask_features_of_rank_2": ("mask_features", {"mask_features.1.shape": [6, 4]}, r"mask_features\[1\].*3 axes"),
    "channels_last_of_rank_2": ("mask_features", {"mask_features.0.shape": [6, 4]}, "channels_last with shape"),
    "mask_features_without_row": ("mask_features", {"rows": [0]}, "2 mask features for 1 rows"),
    "mask_rows_twice": ("mask_features", {"rows": [2, 2]}, "expected ascending numbers from first_row 0 on"),
    "mask_rows_backwards": ("mask_features", {"rows": [2, 0]}, "expected ascending numbers from first_row 0 on"),
    "mask_rows_before_the_first": ("mask_features", {"first_row": 1}, "expected ascending numbers from first_row 1"),
    "mask_rows_beyond_the_rows": ("mask_features", {"rows": [0, 3]}, "4 rows from row 0 on, of a frame with 3 rows"),
    "probability_of_halves": ("video_queries", {"probability.dtype": "float16"}, "expected float32"),
    "other_number_of_prompts": ("video_queries", {"prompts": _TWINS[:1]}, r"\(2, 3\) for 1 prompts; expected \(P, N\)"),
    "other_number_of_queries": ("video_queries", {"aligned.shape": [2, 4, 3]}, r"aligned \(2, 4, 3\); expected \(P, N"),
}


@pytest.mark.parametrize(("name", "changes", "complaint"), CASES.values(), ids=CASES)
def test_contradiction_is_refused(name: str, changes: dict[str, Any], complaint: str) -> None:
    """By the constructor with a ValueError, on reading with a MessageError, in the same words."""
    sample = samples()[name]
    header: Any = msgspec.msgpack.decode(msgspec.msgpack.encode(sample.message))
    for path, value in changes.items():
        *outer, last = (int(key) if key.isdigit() else key for key in path.split("."))
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
