"""A pipeline is checked when it is read: what is wrong is named, with its value and what was expected."""

import math
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ssa_stream.configs import config_names
from ssa_stream.errors import ConfigError
from ssa_stream.nodes.pipeline import (
    PipelineConfig,
    SessionSection,
    load_pipeline,
    role_of,
    save_pipeline,
    stream_of,
)
from ssa_stream.streaming import SessionConfig

_STREAM = {"source": "synthetic", "prompts": ["the red circle"]}


def _config(**values: Any) -> PipelineConfig:
    return PipelineConfig.from_mapping({"streams": {"cam0": _STREAM}} | values)


@pytest.mark.parametrize("name", config_names("pipeline"))
def test_shipped_pipeline_loads_and_survives_writing(name: str, tmp_path: Path) -> None:
    """Every shipped pipeline is valid, and what is written for other processes is what was read."""
    config = load_pipeline(name)
    path = tmp_path / "pipeline.yaml"
    save_pipeline(config, path)
    assert load_pipeline(path) == config
    assert path.stat().st_mode & 0o777 == 0o600


def test_shipped_pipelines_are_the_documented_ones() -> None:
    """Nothing that the documentation names goes missing."""
    assert {"demo", "webcam", "two-streams"} <= set(config_names("pipeline"))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no_streams": ({"streams": {}}, r"streams is \{\}; expected at least one NAME"),
    "stream_is_no_mapping": ({"streams": {"a": 3}}, r"streams\.a is 3; expected a mapping"),
    "stream_without_source": ({"streams": {"a": {}}}, r"streams\.a\.source is missing"),
    "stream_name": ({"streams": {"a b": _STREAM}}, r"streams has the keys 'a b'; expected names of letters"),
    "stream_name_too_long": ({"streams": {"a" * 33: _STREAM}}, r"streams has the keys 'a+'; expected names"),
    "unknown_section": ({"stream": {}}, r"stream is not a setting; expected one of name, placement, "),
    "unknown_key": ({"flow": {"in_fligth": 2}}, r"flow\.in_fligth is not a setting; expected one of in_flight, "),
    "unknown_key_of_stream": ({"streams": {"a": {"src": "0"}}}, r"streams\.a\.src is not a setting; expected one of s"),
    "placement": ({"placement": "threads"}, r"placement is 'threads'; expected 'fused' or 'processes'"),
    "name": ({"name": "My graph"}, r"name is 'My graph'; expected 1 to 24 small letters"),
    "device": ({"model": {"device": "tpu"}}, r"model\.device is 'tpu'; expected auto, cpu, cuda or cuda:N"),
    "two_kinds_of_weights": (
        {"model": {"random_weights": True, "checkpoint": "a.safetensors"}},
        r"model\.random_weights is true and checkpoint is 'a.safetensors'; expected one of the two",
    ),
    "in_flight": ({"flow": {"in_flight": 0}}, r"flow\.in_flight is 0; expected a whole number >= 1"),
    "workers_text": ({"workers": {"encoder": "2"}}, r"workers\.encoder is '2'; expected a whole number"),
    "workers_many": ({"workers": {"queries": 9}}, r"workers\.queries is 9; expected a whole number <= 8"),
    "lookahead": ({"session": {"lookahead": 8}}, r"session\.lookahead is 8 frames; expected less than the window \(8"),
    "half_life": ({"session": {"half_life_frames": math.nan}}, r"session\.half_life_frames is nan; expected a number"),
    "prompt_empty": ({"streams": {"a": _STREAM | {"prompts": [""]}}}, r"streams\.a\.prompts\.0 is ''; expected a text"),
    "prompt_blank": ({"streams": {"a": _STREAM | {"prompts": ["  "]}}}, r"streams\.a has the prompt \['  '\]"),
    "prompt_text": ({"streams": {"a": _STREAM | {"prompts": "cat"}}}, r"streams\.a\.prompts is 'cat'; expected a mapp"),
    "prompt_id": ({"streams": {"a": _STREAM | {"prompts": {"a/b": "c"}}}}, r"streams\.a\.prompts has the keys 'a/b'"),
    "prompt_twice": (
        {"streams": {"a": _STREAM | {"prompts": {"p1": "the dog", "x": " The  dog"}}}},
        r"streams\.a: the sentence ' The  dog' is prompt p1 already; expected each sentence once on a stream",
    ),
    "planned_prompt_twice": (
        {"streams": {"a": _STREAM | {"changes": [{"at_s": 1, "prompts": ["b", "B"]}]}}},
        r"streams\.a: the sentence 'B' is given twice",
    ),
    "too_many_prompts": (
        {"session": {"max_prompts": 1}, "streams": {"a": _STREAM | {"prompts": ["b", "c"]}}},
        r"streams\.a has 2 prompts; expected at most session\.max_prompts \(1\)",
    ),
    "too_many_prompts_later": (
        {"session": {"max_prompts": 1}, "streams": {"a": _STREAM | {"changes": [{"at_s": 1, "prompts": ["b", "c"]}]}}},
        r"streams\.a has 2 prompts",
    ),
    "change_before_start": (
        {"streams": {"a": _STREAM | {"changes": [{"at_s": -1, "prompts": []}]}}},
        r"streams\.a\.changes\.0\.at_s is -1; expected a number >= 0",
    ),
    "heartbeat": (
        {"health": {"heartbeat_timeout_s": 0.3}},
        r"health\.heartbeat_timeout_s is 0.3; expected at least tw",
    ),
    "backoff": ({"health": {"backoff_max_s": 0.1}}, r"health\.backoff_max_s is 0.1; expected at least backoff_s \(0.2"),
    "public_to_the_world": (
        {"public": {"publish": "tcp://0.0.0.0:5555"}},
        r"public\.publish is 'tcp://0.0.0.0:5555'; ",
    ),
    "public_bind_all": (
        {"public": {"requests": "tcp://*:5556"}},
        r"public\.requests is .*other machines.*keys init DIR",
    ),
    "public_no_address": (
        {"public": {"publish": "udp://x:1", "insecure": True}},
        r"public\.publish is 'udp://x:1'; exp",
    ),
    "public_port": ({"public": {"requests": "tcp://127.0.0.1:70000"}}, r"public\.requests is .*; expected tcp://127"),
    "public_port_in_other_digits": (
        {"public": {"requests": "tcp://127.0.0.1:\u0661"}},
        r"public\.requests is .*; expected tcp://127",
    ),
    "device_in_other_digits": ({"model": {"device": "cuda:\u0661"}}, r".*cuda"),
    "public_same_port": ({"public": {"publish": "tcp://localhost:5556"}}, r"public\.publish and requests are both at"),
}


@pytest.mark.parametrize(("values", "message"), WRONG.values(), ids=WRONG)
def test_wrong_value_is_named_with_what_was_expected(values: dict[str, Any], message: str) -> None:
    """Key, value and expectation are in the text."""
    with pytest.raises(ConfigError, match=f"^pipeline: {message}"):
        _config(**values)


def test_camera_number_becomes_text() -> None:
    """YAML reads `source: 0` as a number."""
    assert _config(streams={"a": {"source": 0}}).streams["a"].source == "0"


@pytest.mark.parametrize("guard", [{"keys": "keys"}, {"insecure": True}], ids=["keys", "insecure"])
@pytest.mark.parametrize("address", ["tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://[::]:5555", "tcp://eth0:5555"])
def test_other_machines_are_let_in_with_keys_or_by_saying_so(address: str, guard: dict[str, Any]) -> None:
    """Only then."""
    assert _config(public={"publish": address, **guard}).public.publish == address
    with pytest.raises(ConfigError, match="other machines reach that one, and there are no keys"):
        _config(public={"publish": address})


def test_free_ports_may_be_the_same() -> None:
    """Both addresses may ask for a free port."""
    _config(public={"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"})


def test_session_section_is_that_of_a_session() -> None:
    """The section has the fields and defaults of SessionConfig, but for the identity of tracks."""
    theirs = {field.name: field.default for field in fields(SessionConfig) if field.default is not MISSING}
    ours = {field.name: field.default for field in msgspec.structs.fields(SessionSection)}
    assert ours == theirs
    assert _config(session={"window": 4, "mode": "single"}).to_session_config() == SessionConfig(
        window=4, mode="single"
    )


@pytest.mark.parametrize(("placement", "expected"), [("fused", 2), ("processes", 4)])
def test_frames_in_flight_default_depends_on_placement(placement: str, expected: int) -> None:
    """Processes overlap more frames than one process does; lookahead comes on top."""
    assert _config(placement=placement).frames_in_flight == expected
    assert _config(placement=placement, session={"lookahead": 3}).frames_in_flight == expected + 3
    assert _config(placement=placement, flow={"in_flight": 1}).frames_in_flight == 1


def test_node_names_follow_streams_and_workers() -> None:
    """One ingest a stream, as many workers as asked for, and each name tells its role."""
    config = _config(streams={"left": _STREAM, "r-2": _STREAM}, workers={"encoder": 2})
    assert config.node_names == (
        "masks-0", "decoder-0", "queries-0", "encoder-0", "encoder-1", "ingest-left", "ingest-r-2",
    )  # fmt: skip
    assert [role_of(name) for name in config.node_names] == ["masks", "decoder", "queries", *["encoder"] * 2,
                                                             *["ingest"] * 2]  # fmt: skip
    assert [stream_of(name) for name in config.ingest_names] == ["left", "r-2"]


@pytest.mark.parametrize("name", ["", "masks", "control", "sink-0", "ingest-"])
def test_role_of_unknown_node_is_refused(name: str) -> None:
    """A name that no node has is an error, not a role."""
    with pytest.raises(ConfigError, match="expected one of ingest"):
        role_of(name)


@pytest.mark.parametrize("prompts", [["the red cup", "a\x1b]0;t\x07"], {"cup": "a\u202eb"}])
def test_prompt_with_hidden_characters_is_refused_with_words(prompts: object) -> None:
    """Which stream, which sentence, and what is wrong with it; YAML can write any character."""
    plain = {"streams": {"cam0": {"source": "synthetic", "prompts": prompts}}}
    with pytest.raises(ConfigError, match=r"cam0.*prompt 'a\\[xu]\w+.* has characters that a terminal obeys") as caught:
        PipelineConfig.from_mapping(plain, origin="here")
    assert str(caught.value).isprintable()


def test_name_of_a_stream_that_is_no_text_is_refused() -> None:
    """YAML's reader refuses such keys, too; a program may pass any."""
    with pytest.raises(ConfigError, match=r"the name of a stream is False; expected text"):
        PipelineConfig.from_mapping({"streams": {False: {"source": "synthetic", "prompts": ["a dog"]}}})
