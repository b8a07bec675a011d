"""Options of every command that runs a graph."""

from typing import Annotated

import typer

__all__ = [
    "ModelDevice",
    "ModelThreads",
    "PlacementOption",
    "PromptOption",
    "PublishOption",
    "RequestsOption",
    "ServerKeys",
    "SourceOption",
]

_STREAMS, _GRAPH, _MODEL = "Streams", "Graph", "Model"

SourceOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STREAM=SPEC",
        help="Another source for a stream: a file, a camera (0), an address (rtsp://...), synthetic. With one stream, "
        "STREAM= may be left out.",
        rich_help_panel=_STREAMS,
    ),
]
PromptOption = Annotated[
    list[str] | None,
    typer.Option(
        "--prompt",
        "-p",
        metavar="STREAM=TEXT",
        help="What to look for in a stream, in place of its prompts and their changes. Repeat it for several.",
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
ServerKeys = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Let in known clients only, and other machines, too: tcp://*:PORT. Made by: ssa-stream keys init.",
        rich_help_panel=_GRAPH,
    ),
]
ModelDevice = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=_MODEL)]
ModelThreads = Annotated[
    int | None,
    typer.Option(
        min=1, help="Processor threads of each node with the network; default: all but one.", rich_help_panel=_MODEL
    ),
]
