"""The figures that others published, with the text from which each was read.

The figures are in `published.json`. One that was not found in a text is not there: it is shown as `?`, which is not the
blank (`-`) of a paper that does not report it.
"""

from importlib.resources import files
from typing import Final

import msgspec

__all__ = ["FIGURES", "PublishedRow", "PublishedTable", "published_table"]

FIGURES: Final = {
    **{f"P@0.{tenths}": f"P@0.{tenths}" for tenths in range(5, 10)},
    "overall_iou": "Overall IoU",
    "mean_iou": "Mean IoU",
    "mAP 0.5:0.95": "mAP",
}
"""Columns of the tables: the names that `score` gives these figures, and the paper's headings."""


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the file holds; a word that is misspelt there is an error."""


class _Method(_Strict, frozen=True, kw_only=True):
    method: str
    venue: str
    year: int
    source: str
    backbone: str | None = None
    backbone_checked: str | None = None
    note: str = ""


class _Reading(_Strict, frozen=True, kw_only=True):
    """Figures of a method as one text has them, in per cent."""

    method: str
    checked: str
    figures: dict[str, float]


class _Table(_Strict, frozen=True, kw_only=True):
    number: int
    data: str
    split: str
    notes: tuple[str, ...]
    readings: tuple[_Reading, ...]
    blanks: dict[str, tuple[str, ...]] = {}


class _File(_Strict, frozen=True, kw_only=True):
    texts: dict[str, str]
    methods: tuple[_Method, ...]
    tables: dict[str, _Table]


class PublishedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One method of a published table.

    Attributes:
        method: Its name.
        venue: Where it appeared.
        year: When.
        backbone: Its image network; None if that was not found in a text.
        figures: In per cent, by the names in `FIGURES`; one that was not found is missing.
        blanks: Names of figures that the paper leaves blank.
        source: The paper that reports them.
        checked: The texts from which figures and backbone were read.
        note: What a reader should know of them; may be empty.
    """

    method: str
    venue: str
    year: int
    backbone: str | None
    figures: dict[str, float]
    blanks: tuple[str, ...]
    source: str
    checked: tuple[str, ...]
    note: str


class PublishedTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the paper's supplement.

    Attributes:
        number: In the paper.
        data: Kind of its data set, as in `KIND:DIR`.
        split: The split that is scored.
        rows: In the paper's order.
        notes: About the table as a whole.
    """

    number: int
    data: str
    split: str
    rows: tuple[PublishedRow, ...]
    notes: tuple[str, ...]


def published_table(name: str) -> PublishedTable:
    """A table by its name, `table8` or `table9`."""
    content = (files("ssa_stream.evaluation.tables") / "published.json").read_bytes()
    file = msgspec.json.decode(content, type=_File)
    table = file.tables[name]
    rows = tuple(_row(method, table, file.texts) for method in file.methods)
    return PublishedTable(number=table.number, data=table.data, split=table.split, rows=rows, notes=table.notes)


def _row(method: _Method, table: _Table, texts: dict[str, str]) -> PublishedRow:
    readings = [one for one in table.readings if one.method == method.method]
    figures = {name: value for one in readings for name, value in one.figures.items()}
    checked = [one.checked for one in readings] + [method.backbone_checked or ""]
    return PublishedRow(
        method=method.method,
        venue=method.venue,
        year=method.year,
        backbone=method.backbone,
        figures=figures,
        blanks=table.blanks.get(method.method, ()),
        source=f"{method.source}, {method.venue} {method.year}",
        checked=tuple(texts[name] for name in dict.fromkeys(checked) if name),
        note=method.note,
    )
