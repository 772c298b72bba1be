"""A module's statements one by one: what each binds, changes and reads, and why it may not run as a definition."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from snndeploy.user_code.scopes import FUNCTIONS, Reads, at_once, bound, dotted, reads, root

Kind: TypeAlias = Literal["import", "definition", "assignment", "call", "control"]
LOOPS = (ast.For, ast.AsyncFor, ast.While)
TRIES: tuple[type[ast.stmt], ...] = (ast.Try, *([ast.TryStar] if hasattr(ast, "TryStar") else []))
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
MUTATORS = frozenset(
    [
        *("append", "extend", "insert", "update", "setdefault", "add", "remove", "discard", "pop", "popitem", "clear", "sort"),
        *("reverse", "appendleft", "add_argument", "add_argument_group", "add_mutually_exclusive_group", "add_subparsers"),
        *("add_parser", "set_defaults", "add_module", "register_buffer", "register_parameter", "register", "register_module"),
        *("set_step_mode", "set_backend", "seed", "manual_seed", "manual_seed_all"),
    ]
)
"""Methods that change the object they are called on, and whose calls at module level are part of its definition."""
SETTERS = frozenset(["setattr", "delattr", "set_step_mode", "set_backend", "next", "shuffle"])
"""Functions that change their first argument: their calls are part of its definition, too."""
DEFAULTS = frozenset(["set_default_dtype", "set_default_tensor_type", "set_default_device"])
GLOBAL_SETTERS = DEFAULTS | {"filterwarnings", "simplefilter"}
"""Settings that what is defined afterwards depends on."""
ARGUMENTS = frozenset(["parse_args", "parse_known_args", "parse_intermixed_args", "parse_known_intermixed_args"])
REASONS = {
    "open": "reads or writes a file", "imread": "reads a file", "read_image": "reads a file", "File": "reads or writes a file",
    "load_state_dict_from_url": "reads a file", "input": "asks at the keyboard", "save": "writes a file", "savefig": "writes a file",
    "backward": "trains", "exit": "ends the program", "_exit": "ends the program", "quit": "ends the program",
}  # fmt: skip
"""What the call of a function or method of that name does that no definition does."""
FROM_ARGUMENTS = "depends on the arguments of the command line"


@dataclass(frozen=True, eq=False)
class Leaf:
    """One simple statement, one name of an import, or the head of a compound statement.

    Attributes:
        top: which statement of the module it is in.
        node: what is kept or left out; an ``ast.alias`` for an import.
        own: the names that it binds itself.
        changes: the names whose objects it changes (``CFG["T"] = 4``, ``LAYERS.append(3)``).
        perhaps: names that what it changes may be a part of (``part`` in ``for part in net.modules()``).
        reads: what it and the heads around it read.
        calls: functions that are called by name when it runs; with its decorators.
        reason: why it does not run as a definition, or empty.
    """

    index: int
    top: int
    node: ast.AST
    line: int
    kind: Kind
    own: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    perhaps: frozenset[str] = frozenset()
    reads: Reads = Reads()
    calls: frozenset[str] = frozenset()
    reason: str = ""
    source: ast.Import | ast.ImportFrom | None = None

    @property
    def binds(self) -> frozenset[str]:
        """Of ``own`` the names, without the marks of the blocks that it is a part of."""
        return frozenset(name for name in self.own if not name.startswith("within "))

    @property
    def gives(self) -> tuple[object, ...]:
        """What an import binds its name to: two that give the same do not come between one another."""
        if not isinstance(self.node, ast.alias):
            return (self.index,)
        whole = self.node.name if self.node.asname else self.node.name.partition(".")[0]
        return (self.source.module, self.source.level, self.node.name) if isinstance(self.source, ast.ImportFrom) else (whole,)


@dataclass(frozen=True, eq=False)
class _Around:
    """The heads around a statement: what they read, why they may not run, which loops and tries they are.

    ``whole`` are the blocks of which all runs or nothing: an error in one decides what is bound afterwards.
    """

    top: int
    reads: Reads = Reads()
    reason: str = ""
    marks: frozenset[str] = frozenset()
    loop: str = ""
    attempt: str = ""
    whole: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Module:
    """A module taken apart; ``main_only`` are the names bound only under ``if __name__ == "__main__"``, with their lines."""

    tree: ast.Module
    leaves: tuple[Leaf, ...]
    main_only: dict[str, int]
    lazy_annotations: bool


def taken_apart(tree: ast.Module) -> Module:
    """Every statement of a module that a definition may need, in order."""
    lazy = any(isinstance(s, ast.ImportFrom) and s.module == "__future__" and _names(s, "annotations") for s in tree.body)
    gatherer = _Gatherer(lazy)
    for top, statement in enumerate(tree.body):
        gatherer.gather([statement], _Around(top))
    return Module(tree, tuple(gatherer.leaves), gatherer.main_only, lazy)


def pruned(statement: ast.AST, keep: set[int], wanted: frozenset[str]) -> ast.AST | None:
    """A statement with what is kept alone, by ``id`` of a leaf's node; None if that is nothing.

    ``wanted`` are the names that ``from x import *`` of a file of the user's is to give.
    """
    if isinstance(statement, ast.Import | ast.ImportFrom):
        names = [part for alias in statement.names if id(alias) in keep for part in _starred(alias, wanted)]
        return _like(statement, names=names) if names else None
    blocks = [field for field in BLOCKS if isinstance(getattr(statement, field, None), list)]
    if isinstance(statement, (*FUNCTIONS, ast.ClassDef)) or not blocks:
        return statement if id(statement) in keep else None
    inside = {field: [p for s in getattr(statement, field) if (p := _part(s, keep, wanted))] for field in blocks}
    nothing = not any(_alive(part) for parts in inside.values() for part in parts)
    if nothing and id(statement) not in keep:
        return None
    owed = {"body", *(["finalbody"] if isinstance(statement, TRIES) and not inside["handlers"] else [])}
    return _like(statement, **{f: parts or ([ast.Pass()] if f in owed else []) for f, parts in inside.items()})


def _part(node: ast.AST, keep: set[int], wanted: frozenset[str]) -> ast.AST | None:
    if isinstance(node, ast.ExceptHandler | ast.match_case):
        body = [p for s in node.body if (p := pruned(s, keep, wanted))]
        return _like(node, body=body or [ast.Pass()])
    return pruned(node, keep, wanted)


def _alive(part: ast.AST) -> bool:
    """Whether something is left in a block: a handler or case with nothing in it is nothing."""
    return not isinstance(part, ast.ExceptHandler | ast.match_case) or any(not isinstance(s, ast.Pass) for s in part.body)


def _like(node: ast.AST, **changed: object) -> ast.AST:
    copy = type(node)(**{**{field: getattr(node, field, None) for field in node._fields}, **changed})
    return ast.fix_missing_locations(ast.copy_location(copy, node))


def _starred(alias: ast.alias, wanted: frozenset[str]) -> list[ast.alias]:
    return [alias] if alias.name != "*" or not wanted else [ast.alias(name, None) for name in sorted(wanted)]


def reason_of(node: ast.AST) -> str:
    """Why an expression or statement, as it runs, is no definition; empty if nothing speaks against it."""
    return next((why for part in at_once(node) if (why := _reason(part))), "")


def anywhere(node: ast.AST) -> str:
    """The same for the whole body of a function that is called, but for what is seen when it happens (``guards``)."""
    seen = ((part, why) for part in ast.walk(node) if (why := _reason(part)))
    watched = (FROM_ARGUMENTS, REASONS["open"])
    return next((why for part, why in seen if not isinstance(part, ast.Call) or why not in watched), "")


def called(node: ast.AST) -> frozenset[str]:
    """Functions that are called by name when the statement runs, decorators among them."""
    found = {n.func.id for n in at_once(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    return frozenset(found | {root(d.func if isinstance(d, ast.Call) else d) for d in getattr(node, "decorator_list", [])})


def changed(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Names whose objects are changed by these nodes: assigned to a part of them, or a call that is known to change them."""
    return frozenset(name for node in nodes for name in _changed(node) if name)


def _changed(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
        yield root(node)
    if isinstance(node, ast.AugAssign):
        yield root(node.target)  # of a list it is a change, which other names of it see
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
            yield root(node.func)
        if node.args and dotted(node.func).rpartition(".")[2] in SETTERS:
            yield root(node.args[0])


def _reason(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute) and dotted(node) == "sys.argv":
        return FROM_ARGUMENTS
    if not isinstance(node, ast.Call):
        return ""
    name = dotted(node.func).rpartition(".")[2]
    if name in ARGUMENTS and not node.args and not any(k.arg == "args" for k in node.keywords):
        return FROM_ARGUMENTS
    return REASONS.get(name, "")


def _names(statement: ast.ImportFrom, name: str) -> bool:
    return any(alias.name == name for alias in statement.names)


def is_main_guard(test: ast.expr) -> bool:
    """Whether a test holds only where the file is run as a program."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(is_main_guard(part) for part in test.values)
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq):
        return False
    sides = (test.left, test.comparators[0])
    name = any(isinstance(s, ast.Name) and s.id == "__name__" for s in sides)
    return name and any(isinstance(s, ast.Constant) and s.value == "__main__" for s in sides)


class _Gatherer:
    """Walks the blocks of a module and collects its leaves."""

    def __init__(self, lazy_annotations: bool) -> None:
        self.leaves: list[Leaf] = []
        self.main_only: dict[str, int] = {}
        self.lazy = lazy_annotations

    def gather(self, block: Sequence[ast.AST], around: _Around) -> None:
        for node in block:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._import(node, around)
            elif isinstance(node, ast.If) and is_main_guard(node.test):
                self.main_only.update(dict.fromkeys(bound(node.body), node.lineno))
                self.gather(node.orelse, around)
            elif any(hasattr(node, field) for field in BLOCKS) and not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                self._compound(node, around)
            else:
                self._simple(node, around)

    def _add(self, node: ast.AST, kind: Kind, around: _Around, parts: Sequence[ast.AST], own: frozenset[str]) -> Leaf:
        calls = frozenset(name for part in parts for name in called(part))
        whole = frozenset() if _says(node) else around.whole
        own_reads = reads(parts, self.lazy) | around.reads | Reads((around.marks - own) | whole)
        reason = around.reason or next((why for part in parts if (why := reason_of(part))), "")
        changes = changed(n for part in parts for n in at_once(part))
        line = getattr(node, "lineno", 0)
        leaf = Leaf(len(self.leaves), around.top, node, line, kind, own | whole, changes, frozenset(), own_reads, calls, reason)
        self.leaves.append(leaf)
        return leaf

    def _import(self, node: ast.Import | ast.ImportFrom, around: _Around) -> None:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            return
        for alias in node.names:
            leaf = self._add(alias, "import", around, [], bound([alias]))
            self.leaves[-1] = replace(leaf, source=node, line=node.lineno)

    def _simple(self, node: ast.AST, around: _Around) -> None:
        match node:
            case ast.Break() | ast.Continue():
                self._add(node, "control", around, [], frozenset([around.loop]))
            case ast.Raise() if around.attempt:
                self._add(node, "control", replace(around, reason=""), [node], frozenset([around.attempt]))
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self._add(node, "definition", around, [node], frozenset([node.name]))
            case ast.Expr():
                self._add(node, "call", around, [node], bound([node]))
            case ast.Assert() | ast.Raise() if around.whole:
                self._add(node, "control", around, [node], frozenset())
            case ast.Assert() | ast.Raise() | ast.Pass() | ast.Global():
                pass
            case _:
                self._add(node, "assignment", around, [node], bound([node]))

    def _compound(self, node: ast.AST, around: _Around) -> None:
        head = _head(node)
        names = bound(head) | frozenset(h.name for h in getattr(node, "handlers", []) if h.name)
        if names or around.whole:
            self._add(node, "control", around, head, names)
        mark = frozenset([f"within {id(node)}"]) if isinstance(node, (*LOOPS, *TRIES)) else frozenset()
        inside = replace(
            around,
            reads=around.reads | reads(head, self.lazy),
            reason=around.reason or next((why for part in head if (why := reason_of(part))), ""),
            marks=around.marks | mark,
            loop=next(iter(mark), "") if isinstance(node, LOOPS) else around.loop,
        )
        decisive = decided_by_errors(node)
        for part in (part for field in BLOCKS for part in getattr(node, field, [])):
            handled = isinstance(part, ast.ExceptHandler)
            where = replace(inside, attempt=next(iter(mark), "")) if handled else inside
            if part in decisive:
                where = replace(where, whole=where.whole | {f"within {id(node)} whole"})
            self.gather(part.body if handled or isinstance(part, ast.match_case) else [part], where)


def decided_by_errors(node: ast.AST) -> list[ast.AST]:
    """The parts of a compound statement of which all or nothing may run: whether one fails decides what the others bind.

    They are those of a ``try`` that goes on after an error, or of ``suppress``, up to the last one that binds something.
    """
    body: list[ast.AST] = list(getattr(node, "body", []))
    handlers: list[ast.ExceptHandler] = getattr(node, "handlers", [])
    others = [*handlers, *getattr(node, "orelse", [])]
    if isinstance(node, TRIES) and not all(_leaves(handler) for handler in handlers):
        if any(_gives(part) for part in others):
            return [*body, *others]
    elif not (isinstance(node, ast.With) and any(_suppresses(item) for item in node.items)):
        return []
    return body[: max((number for number, part in enumerate(body, 1) if _gives(part)), default=0)]


def _leaves(handler: ast.ExceptHandler) -> bool:
    """Whether what a handler ends with is an error again, or the program's end."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) or (isinstance(last, ast.Expr) and reason_of(last) == REASONS["exit"])


def _suppresses(item: ast.withitem) -> bool:
    call = item.context_expr
    return isinstance(call, ast.Call) and dotted(call.func).rpartition(".")[2] == "suppress"


def _gives(part: ast.AST) -> bool:
    """Whether a statement binds a name or changes what one holds."""
    return bool(bound([part]) or changed(at_once(part)))


def _says(node: ast.AST) -> bool:
    """Whether a statement prints, and no more."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and dotted(node.value.func) == "print"


def _head(node: ast.AST) -> list[ast.AST]:
    """What of a compound statement runs besides its blocks."""
    found = [getattr(node, field, None) for field in ("test", "iter", "target", "subject")]
    found += [*getattr(node, "items", []), *(h.type for h in getattr(node, "handlers", []))]
    found += [part for case in getattr(node, "cases", []) for part in (case.pattern, case.guard)]
    return [part for part in found if part is not None]
