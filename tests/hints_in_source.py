"""Every text of the source that tells a user what to give: an option, a command, an extra, a Python call or a neuron.

A text is a string of the source, whole (an f-string with its fields as ``{}``), outside docstrings and outside the declarations
of options themselves. Its place is the file and the function, or constant, that holds it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
COMMAND = re.compile(r"\bsnndeploy (?:doctor --setup-lava|[a-z]+)\b")
EXTRA = re.compile(r"snndeploy\[([^\]]*)\]")
PYTHON = re.compile(r"\bsd\.\w+(?=\()|\b(?:Options|Wishes)\([^()]*\)")
NEURON = re.compile(r"\b[A-Z]\w*\([a-z_]+=[^()]*\)")
STYLE = "snndeploy/report/style.py"
"""A style sheet, whose variables start with two hyphens."""


@dataclass(frozen=True)
class Text:
    """One text of the source: where it stands, its words, and whether it is the hint of a refusal."""

    file: str
    holder: str
    words: str
    hint: bool = False

    @property
    def place(self) -> str:
        return f"{self.file}:{self.holder}"

    @property
    def named(self) -> tuple[str, ...]:
        """The options, commands, extras, calls and neurons in it, sorted."""
        found = {*OPTION.findall(self.words), *(m.group() for m in PYTHON.finditer(self.words))}
        found |= {m.group() for m in COMMAND.finditer(self.words) if m.group().split()[1] in commands()}
        found |= {m.group() for m in EXTRA.finditer(self.words)}
        return tuple(sorted(found | {m.group() for m in NEURON.finditer(self.words) if m.group() not in found}))

    @property
    def shape(self) -> re.Pattern[str]:
        """What the text looks like when it is said, its fields filled in, whatever the line breaks."""
        parts = [r"\s+".join(map(re.escape, part.split(" "))) for part in re.split(r"\{\w*\}", self.words)]
        return re.compile("(?s:.*?)".join(parts))


def commands() -> set[str]:
    from snndeploy.cli import commands as group

    return set(group.commands)


def template(node: ast.expr) -> str | None:
    """A string or an f-string as its words, with ``{}`` for each field; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) or "{}" for part in node.values)
    return None


def strings(node: ast.AST, holder: tuple[str, ...], hint: bool = False) -> Iterator[tuple[str, str, bool]]:
    """(holder, words, whether it is a hint) of every string in a tree, f-strings whole, docstrings left out."""
    words = template(node) if isinstance(node, ast.expr) else None
    if words is not None:
        yield ".".join(holder), words, hint
    inner = [part.value for part in node.values if isinstance(part, ast.FormattedValue)] if isinstance(node, ast.JoinedStr) else None
    for child in ast.iter_child_nodes(node) if inner is None else inner:
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        yield from strings(child, (*holder, *_name(child, holder)), (hint and inner is None) or _is_hint(node, child))


REFUSING = re.compile(r"^(?:[A-Z]\w*|refuse|refused|require|_ambiguous|by_pattern)$")
"""What takes where, what and a hint: errors, and the functions that raise them."""
CALLED = re.compile(r"(?i)hint|^(?:say|several|example|foreign|drive|fix|missing)$")
"""What a hint is called where it is made ahead."""


HOLDERS = ("Settings.please", "without", "_lines", "_please")
"""Functions that only make hints."""


def _is_hint(node: ast.AST, child: ast.AST) -> bool:
    """Whether a child of a node is what the user is told to do."""
    if isinstance(node, ast.Assign):
        target = node.targets[0]
        return isinstance(target, ast.Name) and bool(CALLED.search(target.id))
    if isinstance(node, ast.Return | ast.FunctionDef):
        return False
    if not isinstance(node, ast.Call):
        return False
    name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
    last = node.args[1:] if name == "refused" else node.args[2:]
    return bool(REFUSING.match(name)) and any(child is argument for argument in last)


def _name(node: ast.AST, holder: tuple[str, ...]) -> tuple[str, ...]:
    """What a function, a class, or a constant of the module adds to the holder of what is in it."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return (node.name,)
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target if isinstance(node, ast.AnnAssign) else None
    return (target.id,) if not holder and isinstance(target, ast.Name) else ()


def texts() -> list[Text]:
    """All of them, file by file, each once."""
    found: dict[Text, None] = {}
    for path in sorted(p for room in ("snndeploy", "converters") for p in (ROOT / room).rglob("*.py")):
        file = path.relative_to(ROOT).as_posix()
        for holder, words, hint in strings(ast.parse(path.read_text(encoding="utf-8")), ()) if file != STYLE else ():
            text = Text(file, holder, words, hint or holder in HOLDERS)
            if (text.named and not re.fullmatch(r"[-\w{} /]+", words)) or (text.named and " " in words.strip()):
                found[text] = None
    return list(found)
