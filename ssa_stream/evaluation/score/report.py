"""What `score` says of stored predictions; written and read as JSON."""

from pathlib import Path

import msgspec

from ssa_stream.errors import ConfigError, misnamed
from ssa_stream.files import read_limited
from ssa_stream.texts import brief, encodable_values

__all__ = ["Deviation", "Figures", "ScoreReport", "Variant", "read_score_report", "score_to_json"]

Figures = dict[str, float | None]
"""Figures by their names in the literature, from 0 to 1, in the order in which tables show them; None where a figure is
not defined (the published scorer fails, or no target is of a size)."""

_MOST_BYTES = 2**30
_KIND, _VERSION = "score", 1


class _Struct(msgspec.Struct, frozen=True, kw_only=True):
    """Frozen and keyword-only; fields may be added."""


class Deviation(_Struct, frozen=True, kw_only=True):
    """Something that is not as it should be in predictions or data.

    Attributes:
        about: What it is: `<video>/<expression>`, a sample's name, a file.
        text: What came and what was expected.
        published: What the published scorer does with it; its figures are the default ones.
        strict: What the variant `strict` does with it.
    """

    about: str
    text: str
    published: str
    strict: str


class Variant(_Struct, frozen=True, kw_only=True):
    """Figures by one way of counting.

    Attributes:
        about: Which way, in one sentence; it names the published scorer, or says that there is none.
        figures: Over all.
        parts: By part: annotators of Ref-DAVIS17 (`anno_0` ...).
        samples: Of each `<video>/<expression>`, or of each sample by its name.
        counts: Numbers behind the figures; the first one is that of what they are means of.
        frames: Figures of each frame, by `<video>/<expression>` and figure, in the order of the frames; None where the
            frame has no answer.
    """

    about: str
    figures: Figures
    parts: dict[str, Figures] = {}
    samples: dict[str, Figures] = {}
    counts: dict[str, int] = {}
    frames: dict[str, dict[str, tuple[float | None, ...]]] = {}


class ScoreReport(_Struct, frozen=True, kw_only=True):
    """Figures of stored predictions.

    Attributes:
        data: Kind of the data set, as in `KIND:DIR`.
        split: Its split.
        root: Its folder, as it was given.
        predictions: Where the predictions are, as it was given.
        figures: Those of the published scorer: the default variant's.
        variants: Every way of counting by its name; the first one is the default.
        deviations: What was not as it should be, in order.
        kind: Always `score`.
        version: Of this format.
    """

    data: str
    split: str
    root: str
    predictions: str
    figures: Figures
    variants: dict[str, Variant]
    deviations: tuple[Deviation, ...] = ()
    kind: str = _KIND
    version: int = _VERSION


def score_to_json(report: ScoreReport) -> bytes:
    """Write a report, UTF-8 with line breaks; equal reports give equal bytes."""
    try:
        content = msgspec.json.encode(report)
    except UnicodeEncodeError:  # the name of a file that is not UTF-8
        content = msgspec.json.encode(encodable_values(msgspec.to_builtins(report)))
    return msgspec.json.format(content, indent=1) + b"\n"


def read_score_report(path: Path | str) -> ScoreReport:
    """Read what `ssa-stream score --json` wrote.

    Raises:
        ConfigError: The file is missing, or no such report.
    """
    try:
        content = read_limited(path, most_bytes=_MOST_BYTES)
    except FileNotFoundError as error:
        raise misnamed(ConfigError(f"{path} is missing; give what `score --json FILE` wrote")) from error
    except OSError as error:
        raise _no_report(path, error.strerror or str(error)) from error
    try:
        report = msgspec.json.decode(content, type=ScoreReport)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise _no_report(path, str(error)) from error
    if report.kind != _KIND or report.version != _VERSION:
        came = f"it is of kind {brief(report.kind)}, version {report.version}; expected {_KIND!r}, {_VERSION}"
        raise _no_report(path, came)
    return report


def _no_report(path: Path | str, reason: str) -> ConfigError:
    error = ConfigError(f"{path} cannot be read as a report: {reason}. Give what `score --json FILE` wrote")
    error.is_of_content = True
    return error
