"""What of a module must run so that some of its names exist: the statements that bind or change them, and all that these read."""

from __future__ import annotations

import ast
import builtins
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from snndeploy.user_code.scopes import FUNCTIONS, at_once, bound, dotted, root
from snndeploy.user_code.statements import (
    DEFAULTS,
    FROM_ARGUMENTS,
    GLOBAL_SETTERS,
    MUTATORS,
    Leaf,
    Module,
    anywhere,
    called,
    changed,
    taken_apart,
)

BY_NAME = frozenset(["globals", "eval", "exec", "vars", "locals"])
"""Who calls these may look names up that stand nowhere in the code."""
BUILTINS = frozenset(dir(builtins))
Public = Callable[[ast.ImportFrom], frozenset[str] | None]
"""The names that ``from x import *`` gives where x is a file of the user's; None for an installed package."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A module's statements with who binds what.

    Attributes:
        module: the statements.
        leaves: the same leaves, each with what the functions it calls change, and star imports with the names they give.
    """

    module: Module
    leaves: tuple[Leaf, ...]

    @cached_property
    def by_name(self) -> Mapping[str, list[Leaf]]:
        """Name -> the leaves that bind it or change what it holds, in order; a loop's own ``input`` or ``sum`` is no constant."""
        found: dict[str, list[Leaf]] = defaultdict(list)
        for leaf in self.leaves:
            looped = leaf.kind == "control" or any(mark.startswith("within ") for mark in leaf.reads.now)
            for name in (leaf.own | leaf.changes | leaf.perhaps) - (BUILTINS if looped else frozenset()):
                found[name].append(leaf)
        return found

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name of the module."""
        return frozenset(n for leaf in self.leaves for n in leaf.binds)

    @cached_property
    def functions(self) -> Mapping[str, list[ast.AST]]:
        """The module's own functions by name, all that have it."""
        found: dict[str, list[ast.AST]] = defaultdict(list)
        for leaf in self.leaves:
            if isinstance(leaf.node, FUNCTIONS):
                found[leaf.node.name].append(leaf.node)
        return found

    @cached_property
    def imported(self) -> frozenset[str]:
        """Names that an import binds."""
        return frozenset(n for leaf in self.leaves if leaf.kind == "import" for n in leaf.own)

    @cached_property
    def arguments(self) -> frozenset[str]:
        """Names under which ``sys.argv`` is imported."""
        found = [leaf for leaf in self.leaves if isinstance(leaf.source, ast.ImportFrom) and leaf.source.module == "sys"]
        return frozenset(n for leaf in found if isinstance(leaf.node, ast.alias) and leaf.node.name == "argv" for n in leaf.own)

    def closure(self, names: Iterable[str], more: Iterable[Leaf] = ()) -> list[Leaf]:
        """The leaves that give these names, with all that they read when they run and when they are called, in order.

        ``more`` leaves are in it, too, with what they read when they run.
        """
        todo, seen, kept = list(names), set(names), dict[int, Leaf]()

        def also(found: Iterable[str]) -> None:
            todo.extend(name for name in found if name not in seen)
            seen.update(found)

        for leaf in more:
            kept[leaf.index] = leaf
            also(leaf.reads.now | (frozenset() if self.alone(leaf) else leaf.own))
        while todo:
            for leaf in self.by_name.get(todo.pop(), ()):
                kept[leaf.index] = leaf
                also(leaf.reads.now | leaf.reads.later | leaf.own)
                if any(name.endswith(" whole") for name in leaf.own):
                    also(leaf.changes)
                if leaf.reads.later & BY_NAME or leaf.reads.now & BY_NAME:
                    also([n for d in self.leaves if d.kind == "definition" for n in d.own])
        return [kept[index] for index in sorted(kept)]

    def alone(self, leaf: Leaf) -> bool:
        """Whether a leaf stands in no compound statement: no other branch binds its names."""
        statement = self.module.tree.body[leaf.top]
        return statement is leaf.node or statement is leaf.source

    def at_the_start(self, users: frozenset[str]) -> list[Leaf]:
        """What runs in any case: imports, settings, changes of other files, and what a decorator or base may register.

        ``users`` are the names that are imported from other files of the user's.
        """
        wanted = (leaf for leaf in self.leaves if not leaf.reason and self._is_first(leaf, users))
        return [leaf for leaf in wanted if not (leaf.kind == "import" and self._has_its_turn(leaf))]

    def _is_first(self, leaf: Leaf, users: frozenset[str]) -> bool:
        if _setting(leaf) or self._registers(leaf, users):
            return True
        acts = leaf.kind in ("assignment", "call") and (leaf.changes & users or self.sets_defaults(leaf))
        return bool(acts) and not self.why_not(leaf)

    def _has_its_turn(self, leaf: Leaf) -> bool:
        """Whether an import waits until it is needed: its name is bound elsewhere, too, or calls stand beside it in a ``try``."""
        beside = [other for name in leaf.own for other in self.by_name.get(name, ()) if name in other.own]
        return any(other.kind == "call" or (other.top != leaf.top and other.gives != leaf.gives) for other in beside)

    def _registers(self, leaf: Leaf, users: frozenset[str]) -> bool:
        if leaf.kind != "definition":
            return False
        decorators = [root(d.func if isinstance(d, ast.Call) else d) for d in getattr(leaf.node, "decorator_list", [])]
        bases = [root(base) for base in getattr(leaf.node, "bases", [])]
        own = (self.names - self.imported) | users
        return any(name in own for name in decorators) or any(name in users or self._hears_of_classes(name) for name in bases)

    def _hears_of_classes(self, name: str) -> bool:
        """Whether a class of the module is told of those that derive from it."""
        nodes = [leaf.node for leaf in self.by_name.get(name, ()) if isinstance(leaf.node, ast.ClassDef)]
        return any(bound(node.body) & {"__init_subclass__"} or node.keywords for node in nodes)

    def why_not(self, leaf: Leaf) -> str:
        """Why a leaf is no definition: by itself, or by what a function of the module does that it calls."""
        if leaf.reason or leaf.kind == "import":
            return leaf.reason
        if leaf.reads.now & self.arguments:
            return FROM_ARGUMENTS
        reached = [node for name in sorted(self._reached(leaf.calls)) for node in self.functions[name]]
        return next((why for node in reached if (why := anywhere(node))), "")

    def _reached(self, calls: Iterable[str]) -> set[str]:
        """The module's functions that are called, with those that they call."""
        todo, found = [name for name in calls if name in self.functions], set[str]()
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += [n for node in self.functions[name] for n in _called_inside(node) if n in self.functions]
        return found

    def effects(self, calls: Iterable[str]) -> frozenset[str]:
        """Global names that the functions called bind anew or change."""
        return frozenset(n for name in self._reached(calls) for node in self.functions[name] for n in _effects(node))

    def calls_inside(self, leaf: Leaf) -> frozenset[str]:
        """What the functions of the module call that a leaf calls: the last words of their names."""
        reached = (node for name in self._reached(leaf.calls) for node in self.functions[name])
        calls = (n for node in reached for n in ast.walk(node) if isinstance(n, ast.Call))
        return frozenset(dotted(n.func).rpartition(".")[2] for n in calls)

    def sets_defaults(self, leaf: Leaf) -> bool:
        """Whether a leaf sets, by the functions that it calls, what torch makes of all that follows."""
        return leaf.kind in ("assignment", "call") and bool(self.calls_inside(leaf) & DEFAULTS)


def planned(tree: ast.Module, public: Public) -> Plan:
    """A module's plan; ``public`` looks into files of the user's for ``from x import *``."""
    module = taken_apart(tree)
    leaves = tuple(_with_stars(leaf, public) for leaf in module.leaves)
    plan = Plan(module, leaves)
    known = tuple(replace(leaf, changes=leaf.changes | _registry(leaf, plan), perhaps=_given_to_be_changed(leaf, plan)) for leaf in leaves)
    return Plan(module, _through_other_names(known))


def _with_stars(leaf: Leaf, public: Public) -> Leaf:
    if not isinstance(leaf.node, ast.alias) or leaf.node.name != "*":
        return leaf
    assert isinstance(leaf.source, ast.ImportFrom)
    return replace(leaf, own=public(leaf.source) or frozenset())


def _registry(leaf: Leaf, plan: Plan) -> frozenset[str]:
    """What a leaf changes through the functions that it calls, or by a decorator that is an object of the module."""
    decorators = {root(d.func if isinstance(d, ast.Call) else d) for d in getattr(leaf.node, "decorator_list", [])}
    objects = {name for name in decorators & plan.names if name not in plan.functions and name not in plan.imported}
    return frozenset(objects | plan.effects(leaf.calls))


def _given_to_be_changed(leaf: Leaf, plan: Plan) -> frozenset[str]:
    """What a leaf hands to a function of the module that changes that argument."""
    calls = [n for n in at_once(leaf.node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    pairs = [(call, node) for call in calls for node in plan.functions.get(dotted(call.func), ())]
    return frozenset(name for call, node in pairs for name in _matched(call, node))


def _matched(call: ast.Call, function: ast.AST) -> Iterator[str]:
    assert isinstance(function, FUNCTIONS)
    mutated = changed(ast.walk(function))
    places = [arg.arg for arg in (*function.args.posonlyargs, *function.args.args)]
    given = [*zip(places, call.args, strict=False), *((word.arg, word.value) for word in call.keywords)]
    yield from (root(value) for name, value in given if name in mutated and root(value))


def _through_other_names(leaves: tuple[Leaf, ...]) -> tuple[Leaf, ...]:
    """A change of ``part`` in ``part = net.fc``, or in ``for part in net.modules()``, is perhaps one of ``net``."""
    holders: dict[str, set[str]] = defaultdict(set)
    for leaf in leaves:
        for holder, part in _aliases(leaf.node):
            holders[part].add(holder)
    every = ((leaf, leaf.changes | leaf.perhaps) for leaf in leaves)
    return tuple(replace(leaf, perhaps=(names | _holding(names, holders)) - leaf.changes) for leaf, names in every)


def _holding(names: Iterable[str], holders: Mapping[str, set[str]]) -> frozenset[str]:
    """All that holds one of these, or holds what holds it."""
    todo, found = list(names), set[str]()
    while todo:
        more = holders.get(todo.pop(), set()) - found
        found |= more
        todo += more
    return frozenset(found)


def _aliases(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Pairs of names of which the second holds the first, or a part of it."""
    if isinstance(node, ast.For):
        sources = {n.id for n in ast.walk(node.iter) if isinstance(n, ast.Name)}
        yield from ((source, name) for source in sources for name in bound([node.target]))
    if isinstance(node, ast.Assign):
        targets = sorted(bound(node.targets))
        yield from ((source, name) for source in _sources(node.value) for name in targets)
        yield from ((a, b) for a in targets for b in targets if a != b and len(node.targets) > 1)


def _sources(value: ast.expr) -> Iterator[str]:
    """The names whose objects a value is, or is a part of, or holds."""
    if isinstance(value, ast.List | ast.Tuple | ast.Set | ast.Dict):
        yield from (n.id for n in ast.walk(value) if isinstance(n, ast.Name))
    method = isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)
    source = root(value.func if method else value)  # type: ignore[attr-defined]
    yield from [source] if source else []


def _by_table(node: ast.AST) -> bool:
    """Whether a statement makes names that stand nowhere: ``globals()[n] = x``, ``globals().update(...)``, ``exec(...)``."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    call = node.value if isinstance(node, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in MUTATORS:
        targets = [call.func]
    tables = [t.value for t in targets if isinstance(t, ast.Subscript | ast.Attribute)]
    whole = any(isinstance(t, ast.Call) and dotted(t.func) in BY_NAME for t in tables)
    return whole or (isinstance(call, ast.Call) and dotted(call.func) == "exec")


def _setting(leaf: Leaf) -> bool:
    """An import, a change of ``sys.path``, or a setting for all that follows."""
    if leaf.kind == "import" or _by_table(leaf.node):
        return True
    parts = [dotted(n) for n in ast.walk(leaf.node) if isinstance(n, ast.Attribute)]
    if leaf.kind in ("call", "assignment") and any(part.startswith("sys.path") for part in parts) and "sys" in leaf.changes:
        return True
    call = leaf.node.value if isinstance(leaf.node, ast.Expr) else None
    if not isinstance(call, ast.Call):
        return False
    return dotted(call.func).rpartition(".")[2] in GLOBAL_SETTERS or dotted(call.func) == "site.addsitedir"


def _called_inside(function: ast.AST) -> frozenset[str]:
    return frozenset(name for part in ast.iter_child_nodes(function) for name in called(part))


def _effects(function: ast.AST) -> frozenset[str]:
    """Globals that a function declares as such, and names whose objects its body changes and that are not its own."""
    assert isinstance(function, FUNCTIONS)
    said = {name for n in ast.walk(function) if isinstance(n, ast.Global) for name in n.names}
    args = function.args
    every = (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg)
    own = bound(function.body) | {arg.arg for arg in every if arg is not None}
    return frozenset(said | (changed(ast.walk(function)) - own))
