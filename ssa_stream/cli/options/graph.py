"""Options of the commands that run a graph or talk to one, and how they change a pipeline. Imports no torch."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssa_stream.errors import ConfigError

if TYPE_CHECKING:
    from ssa_stream.nodes.pipeline import PipelineConfig

__all__ = [
    "FirstMessageTimeout",
    "Keys",
    "ModelDevice",
    "ModelDtype",
    "ModelPrecision",
    "ModelThreads",
    "PlacementOption",
    "PromptOption",
    "PublishAddress",
    "PublishOption",
    "RequestsOption",
    "ServerKeysOption",
    "SourceOption",
    "with_model",
    "with_streams",
]

_STREAMS, _GRAPH, _MODEL = "Streams", "Graph", "Model"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
"""Of a stream. Before the first `=` of an address there is a colon or a slash, of a sentence mostly a space."""

# Of every command that runs a graph.
SourceOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STREAM=SPEC",
        help="Another source for a stream: a file, a camera (0), an address (rtsp://...), synthetic. With one stream, "
        "STREAM= may be left out, but for a text that looks like it: STREAM=a=b.mp4.",
        rich_help_panel=_STREAMS,
    ),
]
PromptOption = Annotated[
    list[str] | None,
    typer.Option(
        "--prompt",
        "-p",
        metavar="STREAM=TEXT",
        help="What to look for in a stream, in place of its prompts and their changes. Repeat it for several. With one "
        "stream, STREAM= may be left out.",
        rich_help_panel=_STREAMS,
    ),
]
PlacementOption = Annotated[
    str | None,
    typer.Option(
        metavar="fused|processes",
        help="All nodes in one process, or a process each, which is started again when it fails.",
        rich_help_panel=_GRAPH,
    ),
]
PublishOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Where subscribers get masks, such as tcp://127.0.0.1:5555; port * takes a free one.",
        rich_help_panel=_GRAPH,
    ),
]
RequestsOption = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Where prompts can be changed.", rich_help_panel=_GRAPH)
]
ServerKeysOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Let in known clients only, and other machines, too: tcp://*:PORT. Made by: ssa-stream keys init.",
        rich_help_panel=_GRAPH,
    ),
]
ModelDevice = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=_MODEL)]
ModelDtype = Annotated[
    str | None,
    typer.Option(help="float32, bfloat16, or auto: bfloat16 if it is faster here, measured.", rich_help_panel=_MODEL),
]
ModelPrecision = Annotated[
    str | None,
    typer.Option(
        help="Pixel decoder: published (float32) or fast (bfloat16 where safe); auto: published for float32 on a CPU.",
        rich_help_panel=_MODEL,
    ),
]
ModelThreads = Annotated[
    int | None,
    typer.Option(
        min=1, help="Processor threads of each node with the network; default: all but one.", rich_help_panel=_MODEL
    ),
]

# Of every command that talks to a running graph.
PublishAddress = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Where the graph publishes; it prints that when it is ready.")
]
Keys = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Keys of a client, for a graph that takes in known ones only; made by: ssa-stream keys add.",
    ),
]
FirstMessageTimeout = Annotated[
    float, typer.Option("--timeout", min=0.01, metavar="SECONDS", help="Longest wait for a graph to say anything.")
]


def with_model(config: "PipelineConfig", **values: Any) -> "PipelineConfig":
    """Replace settings of the model that are not None. A checkpoint replaces random weights, and the other way round.

    Raises:
        ConfigError: A value is wrong, or both kinds of weights are given.
    """
    given = {key: value for key, value in values.items() if value is not None and value is not False}
    plain = config.to_mapping()
    if "checkpoint" in given and "random_weights" in given:
        raise ConfigError(f"give either --checkpoint {given['checkpoint']} or --random-weights, not both")
    if "checkpoint" in given:
        plain["model"]["random_weights"] = False
    if "random_weights" in given:
        plain["model"]["checkpoint"] = None
    plain["model"] |= given
    return type(config).from_mapping(plain, origin="command line")


def with_streams(
    config: "PipelineConfig",
    *,
    sources: Sequence[str] = (),
    prompts: Sequence[str] = (),
    outputs: Sequence[str] = (),
    max_frames: int | None = None,
    public: Mapping[str, str | bool | None] | None = None,
    placement: str | None = None,
    overwrite: bool = False,
) -> "PipelineConfig":
    """Replace settings of streams, and of where the graph runs.

    Args:
        config: As it was read.
        sources: `STREAM=SPEC` each. Of a pipeline with one stream `STREAM=` may be left out of what does not begin with
            such a word itself.
        prompts: `STREAM=TEXT` each; they replace the prompts of the stream and its scheduled changes.
        outputs: `STREAM=FILE` each; added to those that the stream has.
        max_frames: Of every stream.
        public: Addresses and who may connect, by their key; None keeps what is there.
        placement: `fused` or `processes`; None keeps what is there.
        overwrite: Let existing outputs be replaced; False keeps what is there.
    Raises:
        ConfigError: A value is wrong or there is no such stream.
    """
    plain = config.to_mapping()
    streams: dict[str, dict[str, Any]] = plain["streams"]
    for text in sources:
        name, value = _of_stream(text, streams, "--source")
        streams[name]["source"] = value
    replaced: dict[str, list[str]] = {}
    for text in prompts:
        name, value = _of_stream(text, streams, "--prompt")
        replaced.setdefault(name, []).append(value)
    for name, texts in replaced.items():
        streams[name] |= {"prompts": texts, "changes": []}
    for text in outputs:
        name, value = _of_stream(text, streams, "--output")
        streams[name]["outputs"] = [*streams[name]["outputs"], value]
    if max_frames is not None:
        for stream in streams.values():
            stream["max_frames"] = max_frames
    plain["public"] |= {key: value for key, value in (public or {}).items() if value is not None}
    if placement is not None:
        plain["placement"] = placement
    plain["overwrite"] = plain["overwrite"] or overwrite
    return type(config).from_mapping(plain, origin="command line")


def _of_stream(text: str, streams: Mapping[str, object], option: str) -> tuple[str, str]:
    """Which stream is meant, and the rest. Sources and sentences may hold `=` themselves."""
    name, separator, value = text.partition("=")
    if separator and name.strip() in streams:
        return name.strip(), value.strip()
    if len(streams) > 1:
        raise ConfigError(f"{option} {text!r}: expected STREAM=..., with one of the streams {', '.join(streams)}")
    (only,) = streams
    if separator and _NAME.fullmatch(name):
        raise ConfigError(
            f"{option} {text!r}: there is no stream {name!r}, the one stream is {only!r}; if all of it is meant, write "
            f"{option} {f'{only}={text}'!r}"
        )
    return only, text.strip()
