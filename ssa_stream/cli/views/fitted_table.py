"""A table that gives way where the terminal is narrow, and says what it is asked about all the same."""

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

__all__ = ["FittedTable"]

_GAP = 2


class FittedTable:
    """A table of one-line cells. First one column is cut, then columns are left out, and names stay whole.

    Args:
        columns: Headings.
        cut: The column that is cut first.
        least: Cells that it keeps.
        dispensable: Columns that are left out then, the first one first.
    """

    def __init__(self, *columns: str, cut: str, least: int, dispensable: Sequence[str]) -> None:
        self._columns = columns
        self._cut, self._least = cut, least
        self._dispensable = dispensable
        self._rows: list[dict[str, Text]] = []

    def add_row(self, *cells: Text | str) -> None:
        """Add a row: a cell for each column."""
        texts = [Text(cell) if isinstance(cell, str) else cell for cell in cells]
        self._rows.append(dict(zip(self._columns, texts, strict=True)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it as wide as it may be."""
        widths, room = self._widths(), options.max_width
        columns = list(self._columns)
        least = widths | {self._cut: min(self._least, widths[self._cut])}
        for name in self._dispensable:
            if _total(least, columns) > room:
                columns.remove(name)
        others = _total(widths, columns) - widths[self._cut]
        widths[self._cut] = min(widths[self._cut], max(least[self._cut], room - others))
        table = Table(box=None, pad_edge=False, header_style="bold reverse", padding=(0, _GAP, 0, 0))
        for name in columns:
            table.add_column(name, overflow="ellipsis", no_wrap=True, max_width=widths[name])
        for row in self._rows:
            table.add_row(*(row[name] for name in columns))
        yield table

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """As wide as all that is in it."""
        return Measurement(1, _total(self._widths(), self._columns)).clamp(max_width=options.max_width)

    def _widths(self) -> dict[str, int]:
        return {name: max([len(name), *(row[name].cell_len for row in self._rows)]) for name in self._columns}


def _total(widths: dict[str, int], columns: Sequence[str]) -> int:
    return sum(widths[name] for name in columns) + _GAP * (len(columns) - 1)
