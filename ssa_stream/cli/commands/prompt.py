"""`ssa-stream prompt`: what a running graph looks for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ssa_stream.cli.options.graph import Keys
from ssa_stream.cli.views.console import output, print_json, print_warning, shown
from ssa_stream.errors import ConfigError

if TYPE_CHECKING:
    from ssa_stream.client import PromptClient, StreamPrompts

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Change what a running graph looks for, or list it.",
    epilog="A change is answered with the first frame that follows it. Exit codes: 0 done, 1 no answer, 2 refused.",
)

Stream = Annotated[str, typer.Argument(metavar="STREAM", help="Name of the stream, such as cam0.", show_default=False)]
Address = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Where the graph takes requests; it prints that when it is ready.")
]
Timeout = Annotated[float, typer.Option("--timeout", min=0.01, metavar="SECONDS", help="Longest wait for an answer.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
# As in ssa_stream.client, which needs zmq and is imported when it is used.
_ADDRESS, _TIMEOUT_S = "tcp://127.0.0.1:5556", 10.0


@app.command("set")
def set_prompts(
    stream: Stream,
    texts: Annotated[
        list[str],
        typer.Argument(metavar="TEXT...", help="Sentences, each in quotes.", show_default=False),
    ],
    address: Address = _ADDRESS,
    timeout_s: Timeout = _TIMEOUT_S,
    keys: Keys = None,
    as_json: AsJson = False,
) -> None:
    """Replace all prompts of a stream. Sentences that it has already keep their ids, memory and tracks.

    ssa-stream prompt set cam0 "the person in red" "the dog on the left"
    """
    with _client(address, stream, timeout_s, keys) as client:
        _print(client.set(texts), as_json)


@app.command()
def add(
    stream: Stream,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The sentence, in quotes.", show_default=False)],
    prompt_id: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="ID", help="Its name; a known one gets this sentence instead. Default: a new one, p1, p2..."
        ),
    ] = None,
    address: Address = _ADDRESS,
    timeout_s: Timeout = _TIMEOUT_S,
    keys: Keys = None,
    as_json: AsJson = False,
) -> None:
    """Add a prompt to those of a stream, which are not disturbed.

    ssa-stream prompt add cam0 "the red cup" --id cup
    """
    with _client(address, stream, timeout_s, keys) as client:
        _print(client.add(text, prompt_id), as_json)


@app.command()
def remove(
    stream: Stream,
    prompt_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="Id of the prompt, as `list` shows it, or its sentence.", show_default=False),
    ],
    address: Address = _ADDRESS,
    timeout_s: Timeout = _TIMEOUT_S,
    keys: Keys = None,
    as_json: AsJson = False,
) -> None:
    """Remove a prompt of a stream; the others are not disturbed."""
    with _client(address, stream, timeout_s, keys) as client:
        _print(_removed(client, prompt_id), as_json)


@app.command("list")
def list_prompts(
    stream: Stream,
    address: Address = _ADDRESS,
    timeout_s: Timeout = _TIMEOUT_S,
    keys: Keys = None,
    as_json: AsJson = False,
) -> None:
    """List the prompts of a stream."""
    with _client(address, stream, timeout_s, keys) as client:
        _print(client.list(), as_json)


def _removed(client: "PromptClient", name: str) -> "StreamPrompts":
    """Remove the prompt that has a name as its id, or else as its sentence.

    Raises:
        ConfigError: There is none; says which there are.
    """
    from ssa_stream.sentences import sentence_key

    try:
        return client.remove(name)
    except ConfigError as error:
        prompts = client.list().prompts
        meant = [one.id for one in prompts if sentence_key(one.text) == sentence_key(name)]
        if len(meant) == 1:
            return client.remove(meant[0])
        known = ", ".join(f'{one.id} ("{one.text}")' for one in prompts) or "none"
        raise ConfigError(f"{error}; prompts of the stream are: {known}") from error


def _client(address: str, stream: str, timeout_s: float, keys: Path | None) -> "PromptClient":
    from ssa_stream.client import PromptClient

    return PromptClient(address, stream, timeout_s=timeout_s, keys=keys)


def _print(answer: "StreamPrompts", as_json: bool) -> None:
    if as_json:
        print_json(_plain(answer))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "prompt", "since version"):
        table.add_column(column)
    for prompt in answer.prompts:
        table.add_row(shown(prompt.id), shown(prompt.text), str(prompt.version))
    place = answer.applies_from
    console = output()
    console.print(table if answer.prompts else f"stream {answer.stream} has no prompts")
    counted = f", counted since start {place.epoch + 1} of its source" if place.epoch else ""
    console.print(f"they hold from frame {place.seq} on{counted} (version {answer.version} of the prompts)")
    for warning in answer.warnings:
        print_warning(warning)


def _plain(answer: "StreamPrompts") -> dict[str, object]:
    place = answer.applies_from
    return {
        "stream": answer.stream,
        "version": answer.version,
        "applies_from": {"epoch": place.epoch, "seq": place.seq, "index": place.index},
        "prompts": [{"id": item.id, "text": item.text, "version": item.version} for item in answer.prompts],
        "warnings": list(answer.warnings),
    }
