"""Opening a module: its definitions run when they are asked for, each once, in the order in which they stand."""

from __future__ import annotations
import __future__

import ast
import importlib
import importlib.util
import tokenize
import traceback
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from snndeploy.user_code.asking import ASKED, asking, known
from snndeploy.user_code.guards import nothing_but_definitions, unwatched
from snndeploy.user_code.left_out import left_out
from snndeploy.user_code.plan import BUILTINS, Plan, Public, planned
from snndeploy.user_code.refused import RISK, Refused, Unknown, refusal_of
from snndeploy.user_code.scopes import bound
from snndeploy.user_code.statements import Leaf, pruned

BOOK = "__snndeploy_book__"
CONSTANT = "write a plain value there, or let what is named take it as an argument: --arch 'FILE:Net(T=4)'"
IMPORTS = (ast.Import, ast.ImportFrom)
FUNCTION = "do that inside the function that --data or --arch names"


class Opened(ModuleType):
    """A module of the user's of which definitions alone run, each when it is first asked for."""

    def __getattribute__(self, name: str) -> Any:
        book = ModuleType.__getattribute__(self, "__dict__").get(BOOK)
        if book is not None:
            book.open([name])
        return super().__getattribute__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        book = ModuleType.__getattribute__(self, "__dict__").get(BOOK)
        inside = isinstance(value, ModuleType) and value.__name__ == f"{super().__getattribute__('__name__')}.{name}"
        if book is not None and not inside:  # Python itself puts a package's modules into it
            book.before_change(name)
        super().__setattr__(name, value)


class Keeper(Protocol):
    """What a book asks of the session that it is opened in."""

    files: set[str]
    heard: list[Refused]

    def is_users(self, name: str, package: str | None, level: int) -> str | None:
        """The absolute name of an import where it is a file of the user's, else None."""

    def public(self, name: str) -> frozenset[str]:
        """The names that ``from name import *`` gives."""


class Book:
    """A module, what of it has run, and what stands in for what has not."""

    def __init__(self, module: Opened, file: Path, keeper: Keeper) -> None:
        self.file, self.keeper, self.space = file, keeper, vars(module)
        self.lines, tree = parsed(file)
        self.package = self.space.get("__package__") or None
        _load_torch_for(tree)
        self.plan: Plan = planned(tree, self._public())
        self.ran: set[int] = set()
        self.opened: set[str] = set()
        self.users: frozenset[str] = frozenset()
        self.passed_over: list[tuple[Leaf, str]] = []
        self.flags = __future__.annotations.compiler_flag if self.plan.module.lazy_annotations else 0
        self.space[BOOK], self.space[ASKED] = self, known

    def start(self) -> None:
        """Run what runs in any case: imports, ``sys.path``, what may register itself."""
        self._stand_in(self.plan.module.main_only, "is made only where the file is run as a program", self.plan.module.main_only)
        for leaf in self.plan.leaves:
            self._stand_in(leaf.own, "was not computed: no definition needs it", dict.fromkeys(leaf.own, leaf.line))
        self.users = frozenset(name for leaf in self.plan.leaves if self._from_user(leaf) for name in leaf.own)
        first = {leaf.index: leaf for leaf in self.plan.at_the_start(self.users)}
        loads = {index for index, leaf in first.items() if self._loads(leaf)}
        kept = self.plan.closure([], [leaf for index, leaf in first.items() if index not in loads])
        every = {**first, **{leaf.index: leaf for leaf in kept}}
        self._execute([every[index] for index in sorted(every)], loads - {leaf.index for leaf in kept})

    def open(self, names: Iterable[str]) -> None:
        """Run all that these names need: once, and in order."""
        new = [name for name in names if name not in self.opened and name in self.plan.by_name]
        if new:
            self.opened.update(new)
            self._execute(self.plan.closure(new), set())

    def before_change(self, name: str) -> None:
        """Run what binds a name, and what reads it when it runs: another file is about to change what it holds."""
        readers = [leaf for leaf in self.plan.leaves if name in leaf.reads.now and name in self.plan.names]
        self.open([name, *(own for leaf in readers for own in sorted(leaf.own))])

    def value(self, name: str) -> Any:
        """What the name holds. Raises ``Refused`` where it was not computed, ``KeyError`` where it is unknown."""
        self.open([name])
        held = self.space[name]
        if isinstance(held, Unknown):
            raise refusal_of(held)
        return held

    def left_out(self) -> list[str]:
        """What did not run though it may have changed something that was made, a sentence each."""
        found = [*left_out(self.plan, self.ran, self.users), *self.passed_over]
        return [f"not run: {self.file.name}:{leaf.line} `{self._text(leaf.line)}`, {why}" for leaf, why in found]

    # -- running -------------------------------------------------------------------------------------------------

    def _execute(self, leaves: list[Leaf], load_only: set[int]) -> None:
        groups: dict[tuple[int, int], list[Leaf]] = {}
        for leaf in leaves:
            alone = leaf.kind == "import" and self.plan.alone(leaf)
            groups.setdefault((leaf.top, leaf.index if alone else -1), []).append(leaf)
        wanted = frozenset(name for leaf in leaves for name in leaf.reads.now | leaf.reads.later) | self.opened
        for (top, _), group in groups.items():
            if any(leaf.index in load_only for leaf in group):
                self._load(group[0])
            elif self._anew(group, wanted):
                self._run(top, group, wanted)

    def _anew(self, group: list[Leaf], wanted: frozenset[str]) -> bool:
        """Whether something of a statement has not run yet; a star import may have to give more names."""
        return any(leaf.index not in self.ran or (_is_star(leaf) and self._missing(leaf.own & wanted)) for leaf in group)

    def _missing(self, names: Iterable[str]) -> bool:
        return any(isinstance(self.space.get(name), Unknown) for name in names)

    def _load(self, leaf: Leaf) -> None:
        """Load a file of the user's that is imported; what is imported from it is opened when it is needed."""
        assert isinstance(leaf.source, ast.ImportFrom)
        name = self.keeper.is_users(leaf.source.module or "", self.package, leaf.source.level)
        if name:
            self._guarded(lambda: importlib.import_module(name), [leaf])

    def _run(self, top: int, group: list[Leaf], wanted: frozenset[str]) -> None:
        new = [leaf for leaf in group if leaf.index not in self.ran or _is_star(leaf)]
        why = self._why_not(new)
        if why is not None:
            self._poison(new, why)
            return
        self.ran.update(leaf.index for leaf in new)
        stars = frozenset(name for leaf in new if _is_star(leaf) for name in leaf.own & wanted)
        statement = pruned(self.plan.module.tree.body[top], {id(leaf.node) for leaf in new}, stars)
        assert isinstance(statement, ast.stmt)
        if any(_is_star(leaf) and leaf.own and not stars for leaf in new):
            return
        code = compile(ast.Module([asking(statement)], []), str(self.file), "exec", self.flags, dont_inherit=True)
        before = {name: self.space.get(name) for leaf in new for name in leaf.own}
        if self._guarded(lambda: exec(code, self.space), new):  # noqa: S102 - the user's definitions, asked for
            self._unbound(new, before)

    def _guarded(self, job: Any, group: list[Leaf]) -> bool:
        """Run it watched; whether it went well: what went wrong becomes what its names hold."""
        before = len(self.keeper.heard)
        try:
            with unwatched(), nothing_but_definitions(self.keeper.files, self._heard):
                job()
        except Refused as refusal:
            self._poison(group, refusal)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the user's own code: whatever it raises is what its names hold
            self._poison(group, failed(error, self.file, self.keeper.files))
        else:
            if len(self.keeper.heard) == before:
                return True
            self._poison(group, self.keeper.heard[before])  # it was refused, and the user's own code passed over it
        del self.keeper.heard[before:]
        return False

    def _heard(self, file: str, line: int, what: str) -> None:
        refusal = refused(Path(file), line, text_at(file, line), what)
        self.keeper.heard.append(refusal)
        raise refusal

    def _why_not(self, group: list[Leaf]) -> Refused | None:
        for leaf in group:
            why = self.plan.why_not(leaf)
            if why:
                return refused(self.file, leaf.line, self._text(leaf.line), why)
        late = next((leaf for leaf in group if self._too_late(leaf)), None)
        what = "depends on the order in which the file's statements run"
        return None if late is None else refused(self.file, late.line, self._text(late.line), what)

    def _too_late(self, leaf: Leaf) -> bool:
        """Whether something that a leaf reads was changed by a later statement that ran before it."""
        if leaf.kind in ("import", "definition") or leaf.index in self.ran:
            return False
        later = (self.plan.leaves[i] for i in self.ran if i > leaf.index and self.plan.leaves[i].kind in ("assignment", "call"))
        return any((other.own | other.changes) & leaf.reads.now for other in later)

    # -- what stands in ------------------------------------------------------------------------------------------

    def _poison(self, group: list[Leaf], why: Refused) -> None:
        for leaf in group:
            if not leaf.binds:
                given = sorted(leaf.perhaps | (leaf.changes & self.users))
                self.passed_over += [(leaf, f"which is given `{name}`") for name in given[:1]]
            for name in leaf.binds | (leaf.changes - self.plan.imported):
                self.space[name] = Unknown(why, self.keeper.heard)

    def _unbound(self, group: list[Leaf], before: dict[str, Any]) -> None:
        """Names that a statement could bind and did not, as in a branch that was not taken, say so with its line."""
        for leaf in group:
            lost = [name for name in leaf.own if isinstance(self.space.get(name), Unknown) and self.space[name] is before[name]]
            self._stand_in(lost, "was not bound by this statement, whose other branch ran", dict.fromkeys(lost, leaf.line), anew=True)

    def _stand_in(self, names: Iterable[str], what: str, lines: dict[str, int], *, anew: bool = False) -> None:
        for name in names:
            if not name.startswith("within ") and name not in BUILTINS and (anew or name not in self.space):
                self.space[name] = Unknown(refused(self.file, lines[name], name, what), self.keeper.heard)

    def _from_user(self, leaf: Leaf) -> bool:
        """Whether a leaf imports from a file of the user's."""
        source = leaf.source
        if isinstance(source, ast.ImportFrom):
            return self.keeper.is_users(source.module or "", self.package, source.level) is not None
        return isinstance(leaf.node, ast.alias) and self.keeper.is_users(leaf.node.name, self.package, 0) is not None

    def _loads(self, leaf: Leaf) -> bool:
        """Whether an import can wait for its names to be needed: the user's file is loaded alone."""
        return isinstance(leaf.source, ast.ImportFrom) and self._from_user(leaf) and self.plan.alone(leaf)

    def _public(self) -> Public:
        def names(source: ast.ImportFrom) -> frozenset[str] | None:
            name = self.keeper.is_users(source.module or "", self.package, source.level)
            return None if name is None else self.keeper.public(name)

        return names

    def _text(self, line: int) -> str:
        return self.lines[line - 1].strip()[:80] if 0 < line <= len(self.lines) else ""


def _is_star(leaf: Leaf) -> bool:
    return isinstance(leaf.node, ast.alias) and leaf.node.name == "*"


def _load_torch_for(tree: ast.Module) -> None:
    """Load torch where a function of the file imports it, or what is built on it: what it writes is watched only then."""
    named = (n.module or "" if isinstance(n, ast.ImportFrom) else n.names[0].name for n in ast.walk(tree) if isinstance(n, IMPORTS))
    if any("torch" in name.partition(".")[0] for name in named):
        with suppress(ImportError, OSError):
            importlib.import_module("torch")


def parsed(file: Path) -> tuple[list[str], ast.Module]:
    """A file's lines and its tree. Raises ``Refused`` where it is no Python."""
    try:
        with tokenize.open(str(file)) as stream:
            text = stream.read()
        return text.splitlines(), ast.parse(text, str(file))
    except (SyntaxError, ValueError, OSError, RecursionError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        what = f"fails at {file.name}{line}: {type(error).__name__}: {getattr(error, 'msg', None) or error}"
        raise Refused(str(file), what, "it must be Python that runs here") from None


def public_names(file: Path) -> frozenset[str]:
    """What ``from file import *`` gives: ``__all__`` where it is a plain list, else every name without an underscore."""
    tree = parsed(file)[1]
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and bound([statement]) == {"__all__"}:
            try:
                return frozenset(ast.literal_eval(statement.value))
            except (ValueError, TypeError):
                break
    return frozenset(name for name in bound(tree.body) if not name.startswith("_"))


def text_at(file: str, line: int) -> str:
    """A line of a file, without its indentation."""
    with tokenize.open(file) as stream:
        lines = stream.read().splitlines()
    return lines[line - 1].strip()[:80] if 0 < line <= len(lines) else ""


def refused(file: Path, line: int, text: str, what: str) -> Refused:
    """One refusal: the statement with its line, what it does, and what helps."""
    hint = CONSTANT if "argument" in what else FUNCTION
    return Refused(f"{file.name}:{line}", f"`{text}` {what}; definitions alone are run", f"{hint}; {RISK}")


def failed(error: BaseException, file: Path, files: set[str]) -> Refused:
    """What the user's code raised, with its innermost line; an exit is one, too."""
    what = f"{type(error).__name__}: {error}" if not isinstance(error, SystemExit) else f"it ends the program (SystemExit: {error.code})"
    return Refused(str(file), f"fails at {place(error, files) or file.name}: {what}", "the error is in that file, or in what it reads")


def place(error: BaseException, files: set[str]) -> str:
    """The innermost line of the user's files in an error's traceback, as ``file.py:3``; empty where there is none."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
