"""HTML in small pieces. Every piece of foreign text goes through ``text``; what returns from here is safe to join."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from snndeploy.report.words import Statement

MICRO = re.compile(r"(?<=\d )u(?=[JsW]\b)")


def text(value: object) -> str:
    """Escaped, with the micro sign in units."""
    return html.escape(MICRO.sub("µ", str(value)), quote=True)


def section(title: str, lead: str, *body: str) -> str:
    """A titled part of the page; empty if it would have no body."""
    inside = "".join(body)
    if not inside:
        return ""
    return f"<section><h2>{text(title)}</h2>{f'<p>{text(lead)}</p>' if lead else ''}{inside}</section>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numeric: str) -> str:
    """A table. ``numeric`` has one letter a column: n a number, k a name, t running text, - anything; cells are HTML already."""
    body = list(rows)
    if not body:
        return ""
    head = "".join(f'<th class="{kind}">{text(h)}</th>' for h, kind in zip(header, numeric, strict=True))
    lines = "".join(f"<tr>{''.join(_cells(row, numeric))}</tr>" for row in body)
    return f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _cells(row: Sequence[str], numeric: str) -> Iterable[str]:
    return (f'<td class="{kind}">{cell}</td>' for cell, kind in zip(row, numeric, strict=True))


def heading(title: str, body: str) -> str:
    """A small heading above a body; empty without one."""
    return f"<h3>{text(title)}</h3>{body}" if body else ""


def bullets(lines: Iterable[str]) -> str:
    """A list of sentences."""
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f'<ul class="plainlist">{items}</ul>' if items else ""


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Names and their numbers, side by side; empty without any."""
    items = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in rows)
    return f'<dl class="facts">{items}</dl>' if items else ""


def card(*body: str) -> str:
    """A framed box; empty if nothing is in it."""
    inside = "".join(body)
    return f'<div class="card">{inside}</div>' if inside else ""


def tag(word: str, tone: str) -> str:
    """A word in a pill: good, bad or plain."""
    return f'<span class="tag {tone}">{text(word)}</span>'


def claim(statement: Statement) -> str:
    """A headline card."""
    return (
        f'<div class="claim {statement.tone}"><span>{text(statement.kind)}</span><b>{text(statement.value)}</b>'
        f"<p>{text(statement.sentence)}</p></div>"
    )
