"""What the command line changes of a pipeline."""

from typing import Any

import pytest

from ssa_stream.cli.options.graph import with_model, with_streams
from ssa_stream.errors import ConfigError
from ssa_stream.nodes.pipeline import PipelineConfig, ScheduledPrompts

_CAMERA = {"source": "0", "prompts": ["a person"], "changes": [{"at_s": 3, "prompts": ["a dog"]}]}


def _config(*streams: str, **values: Any) -> PipelineConfig:
    return PipelineConfig.from_mapping({"streams": {name: _CAMERA for name in streams or ("cam0",)}} | values)


def test_source_and_prompts_go_to_their_streams() -> None:
    """Prompts given replace a stream's prompts and what was scheduled; other streams stay as they are."""
    config = with_streams(
        _config("left", "right"), sources=["right=street.mp4"], prompts=["right=a cat", "right=x = y"], max_frames=9
    )
    right, left = config.streams["right"], config.streams["left"]
    assert (right.source, right.prompts, right.changes) == ("street.mp4", ("a cat", "x = y"), ())
    assert (left.source, left.prompts) == ("0", ("a person",))
    assert left.changes == (ScheduledPrompts(at_s=3, prompts=("a dog",)),)
    assert (left.max_frames, right.max_frames) == (9, 9)


def test_stream_may_be_left_out_where_there_is_one() -> None:
    """An address with `=` in it is not taken for a stream's name."""
    config = with_streams(_config(), sources=["rtsp://host/live?channel=1"], outputs=["masks.jsonl"])
    assert config.streams["cam0"].source == "rtsp://host/live?channel=1"
    assert config.streams["cam0"].outputs == ("masks.jsonl",)


def test_option_lets_outputs_be_replaced_and_never_takes_that_back() -> None:
    """The pipeline's own setting stays without it."""
    assert not with_streams(_config()).overwrite
    assert with_streams(_config(), overwrite=True).overwrite
    assert with_streams(_config(overwrite=True)).overwrite


@pytest.mark.parametrize("option", ["sources", "prompts", "outputs"])
def test_unknown_stream_is_refused_with_those_that_there_are(option: str) -> None:
    """With several streams the option has to say which one it means."""
    with pytest.raises(ConfigError, match=rf"--{option[:-1]} 'rear=x': expected STREAM=.*left, right"):
        with_streams(_config("left", "right"), **{option: ["rear=x"]})  # type: ignore[arg-type]  # one of the three


def test_value_of_the_command_line_is_checked_like_that_of_a_file() -> None:
    """The error says where the value came from."""
    with pytest.raises(ConfigError, match=r"command line: public\.publish is 'tcp://0.0.0.0:1'; expected tcp://127"):
        with_streams(_config(), public={"publish": "tcp://0.0.0.0:1", "requests": None})
    with pytest.raises(ConfigError, match=r"command line: placement is 'threads'; expected 'fused' or 'processes'"):
        with_streams(_config(), placement="threads")


def test_checkpoint_and_random_weights_replace_each_other() -> None:
    """What the pipeline says is overruled; saying both on the command line is an error."""
    drawn = _config(model={"random_weights": True})
    stored = with_model(drawn, checkpoint="a.safetensors", random_weights=False, device=None)
    assert (stored.model.checkpoint, stored.model.random_weights) == ("a.safetensors", False)
    again = with_model(stored, checkpoint=None, random_weights=True, device="cpu")
    assert (again.model.checkpoint, again.model.random_weights, again.model.device) == (None, True, "cpu")
    with pytest.raises(ConfigError, match=r"give either --checkpoint a\.safetensors or --random-weights, not both"):
        with_model(drawn, checkpoint="a.safetensors", random_weights=True)
