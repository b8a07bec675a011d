"""`ssa-stream watch`: what a robot would see."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssa_stream.cli.options.graph import Keys, PublishAddress
from ssa_stream.cli.options.logs import LogFormatOption, LogLevelOption, use_log_options
from ssa_stream.cli.views.console import notice, print_json, print_line, shows_progress
from ssa_stream.cli.views.terminal import Interrupts
from ssa_stream.errors import ConfigError

if TYPE_CHECKING:
    from ssa_stream.cli.views.waiting import Waiting
    from ssa_stream.client import MaskSubscription, MaskView
    from ssa_stream.protocols import Track

__all__ = ["as_line", "as_mapping", "watch"]

_SHOWN_TRACKS = 4


def watch(
    stream: Annotated[
        str | None, typer.Argument(metavar="STREAM", help="Name of a stream; default: all.", show_default=False)
    ] = None,
    address: PublishAddress = "tcp://127.0.0.1:5555",
    keys: Keys = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option("--prompt", "-p", metavar="ID", help="Only this prompt, by its id. Repeat it for several."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object per line.")] = False,
    polygons_px: Annotated[
        float | None,
        typer.Option(
            "--polygons",
            min=0,
            metavar="PIXELS",
            help="With --json: outlines of the masks too, no farther than that from them; 0 is exact.",
        ),
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, metavar="N", help="End after that many lines.")] = None,
    max_age_s: Annotated[
        float | None, typer.Option("--max-age", min=0.001, metavar="SECONDS", help="Pass over older masks.")
    ] = None,
    timeout_s: Annotated[
        float | None,
        typer.Option("--timeout", min=0.01, metavar="SECONDS", help="Fail when no masks come for so long."),
    ] = None,
    log_format: LogFormatOption = "text",
    log_level: LogLevelOption = "info",
) -> None:
    """Print a line for each mask message of a running graph, as a robot's subscriber gets it. Ctrl-C ends.

    A line tells the frame (epoch.number), the prompt, the tracks (id:score and box), the age of the picture, frames of
    the prompt that are missing since the line before, how many of them came but were overtaken here, and the version of
    all prompts in force, which grows with every change. What is waited for, and a source that is lost and tried again,
    are told on stderr. A stream that the graph does not have is an error.
    """
    use_log_options("watch", log_format, log_level)
    from ssa_stream.cli.views.waiting import Waiting
    from ssa_stream.client import MaskSubscription, UpdateSubscription

    if polygons_px is not None and not as_json:
        raise ConfigError("--polygons is for --json; expected both, or neither")
    with (
        Interrupts() as interrupts,
        MaskSubscription(
            address, stream, prompts=prompt, max_age_s=max_age_s, timeout_s=timeout_s, keys=keys
        ) as subscribed,
        UpdateSubscription(address, stream, kinds=["state", "prompts"], nodes=True, keys=keys) as updates,
        Waiting(subscribed, updates, stream, prompt, _say) as waiting,
    ):
        if shows_progress():
            notice(f"watching {address}; Ctrl-C ends")
        _follow(subscribed, waiting, interrupts, as_json, polygons_px, count)
        counts = subscribed.counts
        if shows_progress():
            notice(
                f"{counts.given} of {counts.received} shown, {counts.overtaken} overtaken, {counts.too_old} too old, "
                f"{counts.malformed} unreadable"
            )


def _say(line: str) -> None:
    notice(line, event="source")


def _follow(
    subscribed: "MaskSubscription",
    waiting: "Waiting",
    interrupts: Interrupts,
    as_json: bool,
    polygons_px: float | None,
    count: int | None,
) -> None:
    """Print masks until there were enough of them, or nobody reads them any more."""
    shown = 0
    while not interrupts.requested and shown != count:
        view = interrupts.cut_short(lambda: next(subscribed))
        if view is not None:
            waiting.came()
            if not (print_json(as_mapping(view, polygons_px)) if as_json else print_line(as_line(view))):
                return
            shown += 1


def as_line(view: "MaskView") -> str:
    """A message in one line, for people."""
    frame = view.frame
    tracks = [f"{track.id}:{track.score:.2f} {list(track.box_xyxy)}" for track in view.tracks[:_SHOWN_TRACKS]]
    more = len(view.tracks) - len(tracks)
    age_s = view.age_s
    parts = [
        f"{frame.stream} {frame.epoch}.{frame.seq:<5d} {view.prompt.id} {view.prompt.text!r}:",
        ", ".join(tracks) + (f" and {more} more" if more else "") or f"nothing (best {view.message.probability:.2f})",
        "age ?" if age_s is None else f"age {age_s * 1e3:.0f} ms",
        f"missed {view.gap}" + (f", {view.dropped_here} of them here" if view.dropped_here else ""),
    ]
    if view.prompts_version is not None:
        parts.append(f"prompts v{view.prompts_version}")
    return "  ".join(parts) + ("" if view.status == "final" else f"  {view.status}")


def as_mapping(view: "MaskView", polygons_px: float | None = None) -> dict[str, Any]:
    """A message as plain values, without its masks; with their polygons if a tolerance is given."""
    frame, age_s = view.frame, view.age_s
    return {
        "stream": frame.stream,
        "epoch": frame.epoch,
        "seq": frame.seq,
        "index": frame.index,
        "t": frame.t,
        "prompt": {"id": view.prompt.id, "text": view.prompt.text, "version": view.prompt.version},
        "prompts_version": view.prompts_version,
        "target_present": view.target_present,
        "probability": view.message.probability,
        "tracks": [
            {
                "id": track.id,
                "score": track.score,
                "probability": track.probability,
                "box_xyxy": list(track.box_xyxy),
                "area_px": track.area_px,
            }
            | ({} if polygons_px is None else {"polygons": _polygons(view, track, polygons_px)})
            for track in view.tracks
        ],
        "status": view.status,
        "age_ms": None if age_s is None else age_s * 1e3,
        "gap": view.gap,
        "dropped_here": view.dropped_here,
        "stages_ms": view.stages_ms,
    }


def _polygons(view: "MaskView", track: "Track", tolerance_px: float) -> list[dict[str, Any]]:
    return [
        {"exterior": polygon.exterior.tolist(), "holes": [hole.tolist() for hole in polygon.holes]}
        for polygon in view.polygons(track, tolerance_px)
    ]
