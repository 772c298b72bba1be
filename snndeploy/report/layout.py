"""Plain text on a page of 100 columns: tables, sections, bullets."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 100
MIN_COLUMN = 14


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Aligned columns within the page: the widest ones wrap. Empty without rows."""
    body = [tuple(str(cell) for cell in row) for row in rows]
    if not body:
        return ""
    lines = [tuple(header), *body]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    least = [max((len(word) for line in lines for word in line[i].split()), default=0) for i in range(len(header))]
    while sum(widths) + 2 * len(widths) > WIDTH - 2:
        i = max(range(len(widths)), key=lambda i: widths[i] if widths[i] > min(least[i], MIN_COLUMN) else 0)
        if widths[i] <= min(least[i], MIN_COLUMN):
            break
        widths[i] -= 1
    right = [all(_numeric(row[i]) for row in body) for i in range(len(header))]
    return "\n".join(_line(line, widths, right) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    wrapped = [textwrap.wrap(cell, max(1, width)) or [""] for cell, width in zip(cells, widths, strict=True)]
    return "\n".join(_row(row, widths, right) for row in itertools.zip_longest(*wrapped, fillvalue=""))


def _row(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    return "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True)).rstrip()


def _numeric(cell: str) -> bool:
    return (cell[:1].isdigit() and len(cell.split()) <= 2) or cell in ("", "-")


def section(title: str, body: str) -> str:
    """A heading and its indented body; empty where there is nothing to say."""
    return f"{title}\n{'-' * len(title)}\n{textwrap.indent(body, '  ')}" if body else ""


def bullets(lines: Iterable[str]) -> str:
    """One wrapped item a line."""
    return "\n".join(textwrap.fill(line, WIDTH - 2, initial_indent="- ", subsequent_indent="  ") for line in lines)
