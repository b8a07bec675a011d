"""What `ssa-stream data check` prints."""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ssa_stream.cli.views.console import print_line, print_warning, shown, wide_output
from ssa_stream.input_warnings import InputWarning

if TYPE_CHECKING:
    from ssa_stream.data.checking import CountCheck, DataCheck, SplitCheck

__all__ = ["print_check"]

_SHOWN_PROBLEMS = 10
_WORDS = {
    "videos": "videos",
    "sentences": "sentences",
    "objects": "objects",
    "samples": "samples",
    "listed_videos": "videos in its list",
    "listed_sentences": "sentences in its list",
}


def print_check(check: "DataCheck") -> None:
    """Print the splits as a table and the problems as lines on stdout; warnings on stderr."""
    table = Table(box=SIMPLE_HEAD, title=shown(f"{check.data} in {check.root}"), title_justify="left")
    table.add_column("split")
    for name in ("videos", "sentences", "no target", "hidden", "objects", "frames", "annotated", "samples", "read"):
        table.add_column(name, justify="right")
    table.add_column("problems", justify="right")
    for split in check.splits:
        table.add_row(shown(split.split), *_cells(split))
    wide_output(table).print(table)
    for split in check.splits:
        if split.state == "missing":
            print_warning(InputWarning(f"split {split.split}", split.text))
        elif split.state != "there":
            print_line(f"{split.split}: {split.text}")
        for problem in split.problems[:_SHOWN_PROBLEMS]:
            print_line(f"{split.split}, {problem.about}: {problem.text}")
        if split.num_problems > _SHOWN_PROBLEMS:
            print_line(f"{split.split}: {split.num_problems - _SHOWN_PROBLEMS} more problems")
        if split.left_out_videos:
            whole = split.videos + split.left_out_videos
            print_line(f"{split.split}: {split.left_out_videos:,} of {whole:,} videos are left out of all counts")
    differing = 0
    for split, counts in groupby(sorted(check.counts, key=lambda count: count.split), key=lambda count: count.split):
        other = [count for count in counts if count.found != count.published]
        if other:
            differing += 1
            print_warning(InputWarning("all splits" if split == "all" else f"split {split}", _beside_published(other)))
    print_line(_verdict(check, differing))


def _beside_published(counts: "Sequence[CountCheck]") -> str:
    """Counts that differ, and where the others are published."""
    parts = [f"{count.found:,} {_WORDS[count.what]} and not {count.published:,}" for count in counts]
    sources = "; ".join(dict.fromkeys(count.source for count in counts))
    return f"{', '.join(parts)}, as published ({sources}); is it complete, and of that release?"


def _cells(split: "SplitCheck") -> list[str]:
    if split.state != "there":
        return [split.state, *[""] * 9]
    numbers = (
        split.videos,
        split.sentences,
        split.without_targets,
        split.hidden_targets,
        split.objects,
        split.frames,
        split.annotated_frames,
        split.samples,
        split.read_videos,
        split.num_problems,
    )
    return [f"{number:,}" for number in numbers]


def _verdict(check: "DataCheck", differing: int) -> str:
    """The last line.

    Args:
        check: What was found.
        differing: How many warnings there were about counts. They are on stderr, before or after this line.
    """
    there = [split for split in check.splits if split.state == "there"]
    problems = sum(split.num_problems for split in check.splits)
    if not there:
        return f"no split of {check.data} is in {check.root}; docs/data-sets.md says which files are expected"
    if problems:
        return f"{problems:,} problems: repair or remove what is named above"
    if not check.is_usable:
        return "not all splits can be opened"
    read = f"{sum(split.read_videos for split in there):,} videos"
    missing = len(check.splits) - len(there)
    if differing or missing:
        parts = [f"{missing} splits are missing"] if missing else []
        parts += [f"{differing} warnings tell of counts that differ"] if differing else []
        return f"{read} were read without a problem; but {' and '.join(parts)}"
    return f"what was read is in order: {read}"
