"""Options about prompts that are changed at run time: where they are kept, and whether the next start takes them."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssa_stream.cli.views.console import notice, print_warning
from ssa_stream.files import is_stream

if TYPE_CHECKING:
    from ssa_stream.nodes.launcher import SavedPrompts
    from ssa_stream.nodes.pipeline import PipelineConfig

__all__ = ["Fresh", "StateFolder", "saved_prompts"]

_STATE = "State"

StateFolder = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="FOLDER",
        help="Where prompts that are changed at run time are kept for the next start. [default: "
        "$XDG_STATE_HOME/ssa_stream, or ~/.local/state/ssa_stream]",
        show_default=False,
        rich_help_panel=_STATE,
    ),
]
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh", help="Begin with the prompts of the pipeline, not as they were last changed.", rich_help_panel=_STATE
    ),
]


@contextmanager
def saved_prompts(
    pipeline: str, config: "PipelineConfig", *, state: Path | None, fresh: bool, quiet: bool
) -> Iterator["SavedPrompts | None"]:
    """The changed prompts of a pipeline, open until the end of the body; tells on stderr what they change.

    Args:
        pipeline: As the command line names it: each file has its own.
        config: As it was read, with what the command line changes in it.
        state: Folder of all pipelines; None takes that of the user.
        fresh: Begin with the prompts of the pipeline.
        quiet: Tell only what is wrong.
    Returns:
        None if there is nowhere to keep them.
    """
    from ssa_stream.nodes.launcher import SavedPrompts

    folder, origin = state or _user_folder(), _origin(pipeline)
    if folder is None or origin is None:
        lacks = "there is no home folder; name a folder with --state" if origin else "the pipeline is read from a pipe"
        print_warning(f"prompts that are changed at run time are forgotten when the graph ends: {lacks}")
        yield None
        return
    name = f"{config.name}-{hashlib.sha256(os.fsencode(origin)).hexdigest()[:12]}"
    with SavedPrompts(folder / name, config, pipeline=origin, fresh=fresh) as saved:
        for warning in saved.warnings:
            print_warning(warning)
        for note in [] if quiet else saved.notes:
            notice(note, event="prompts restored")
        yield saved


def _user_folder() -> Path | None:
    """Where programs of this user keep their state (XDG base directories); None if the user has no place."""
    named = os.environ.get("XDG_STATE_HOME", "")
    try:
        base = Path(named) if os.path.isabs(named) else Path.home() / ".local" / "state"
    except RuntimeError:  # a user without a home
        return None
    return base / "ssa_stream"


def _origin(pipeline: str) -> str | None:
    """What tells this pipeline from all others; None if nothing does."""
    if os.path.exists(pipeline) or "/" in pipeline or pipeline.endswith((".yaml", ".yml")):  # as `load_config` has it
        return None if is_stream(pipeline) else os.path.realpath(pipeline)
    return f"shipped:{pipeline}"
