"""Which names of its module a piece of code binds, and which it reads: at once, or when a function of it is called."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
OWN_SCOPE = (*FUNCTIONS, ast.ClassDef, ast.Lambda, *COMPREHENSIONS)


@dataclass(frozen=True)
class Reads:
    """Global names that are read: ``now``, when the statement runs; ``later``, when a function in it is called."""

    now: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()

    def __or__(self, other: Reads) -> Reads:
        return Reads(self.now | other.now, self.later | other.later)


def reads(nodes: Iterable[ast.AST], lazy_annotations: bool = False) -> Reads:
    """What ``nodes``, at the level of a module, read of it; ``lazy_annotations``: annotations are not evaluated."""
    scope = _Scope(lazy_annotations)
    for node in nodes:
        scope.visit(node)
    return Reads(frozenset(scope.now), frozenset(scope.later))


def bound(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """The names that ``nodes`` bind in their own scope; those of functions and classes inside are theirs."""
    return frozenset(name for node in nodes for name in _bound(node))


def root(node: ast.AST) -> str:
    """``model`` of ``model.layers[0].weight``; empty where no name is at the root."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def dotted(node: ast.AST) -> str:
    """``json.load`` of that expression; a part that is no name stands as ``?``."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def at_once(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the statement runs: without the bodies of functions and lambdas."""
    todo = [node]
    while todo:
        now = todo.pop()
        yield now
        if isinstance(now, FUNCTIONS):
            todo += [*now.decorator_list, *now.args.defaults, *(d for d in now.args.kw_defaults if d)]
        elif isinstance(now, ast.Lambda):
            todo += [*now.args.defaults, *(d for d in now.args.kw_defaults if d)]
        else:
            todo += list(ast.iter_child_nodes(now))


def _bound(node: ast.AST) -> Iterator[str]:
    yield from _own_names(node)
    if isinstance(node, COMPREHENSIONS):  # a walrus in a comprehension binds outside it
        yield from (n.target.id for n in ast.walk(node) if isinstance(n, ast.NamedExpr))
    elif not isinstance(node, OWN_SCOPE):
        for child in ast.iter_child_nodes(node):
            yield from _bound(child)


def _own_names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.alias(name=name, asname=asname):
            yield from () if name == "*" else (asname or name.partition(".")[0],)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name


class _Scope(ast.NodeVisitor):
    """Walks statements as Python resolves names; ``hidden`` are names of enclosing functions, ``own`` of a class body."""

    def __init__(self, lazy_annotations: bool) -> None:
        self.now: set[str] = set()
        self.later: set[str] = set()
        self.lazy_annotations = lazy_annotations
        self.deferred = False
        self.hidden: frozenset[str] = frozenset()
        self.own: frozenset[str] = frozenset()

    def _read(self, name: str) -> None:
        if name not in self.hidden and name not in self.own:
            (self.later if self.deferred else self.now).add(name)

    def _inside(self, nodes: Iterable[ast.AST], hidden: frozenset[str], *, deferred: bool) -> None:
        before = self.deferred, self.hidden, self.own
        self.deferred, self.hidden, self.own = deferred, hidden, frozenset()
        for node in nodes:
            self.visit(node)
        self.deferred, self.hidden, self.own = before

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Store):
            self._read(node.id)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._read(node.target.id)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        evaluated = not self.lazy_annotations and not self.deferred
        for part in (node.target, node.value, node.annotation if evaluated else None):
            if part is not None:
                self.visit(part)

    def visit_Global(self, node: ast.Global) -> None:
        for name in node.names:
            self._read(name)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._signature(node.args, [*node.decorator_list, *([node.returns] if node.returns else [])], node.returns)
        said = {name for n in _direct(node.body) if isinstance(n, ast.Global) for name in n.names}
        own = (bound(node.body) | _arguments(node.args)) - said
        self._inside(node.body, (self.hidden | own) - said, deferred=True)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._signature(node.args, [], None)
        self._inside([node.body], self.hidden | _arguments(node.args), deferred=True)

    def _signature(self, args: ast.arguments, more: list[ast.expr], returns: ast.expr | None) -> None:
        for part in (*more, *args.defaults, *(d for d in args.kw_defaults if d)):
            if part is not returns or not self.lazy_annotations:
                self.visit(part)
        every = (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg)
        for arg in every if not self.lazy_annotations else ():
            if arg is not None and arg.annotation is not None:
                self.visit(arg.annotation)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        before = self.own
        for statement in node.body:
            self.visit(statement)
            self.own |= bound([statement])
        self.own = before

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        targets = bound(g.target for g in node.generators)
        self.visit(node.generators[0].iter)
        rest = [n for i, g in enumerate(node.generators) for n in (*([g.iter] if i else []), *g.ifs)]
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._inside([*rest, *results], self.hidden | targets, deferred=self.deferred)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815


def _direct(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node of a function's own body, not of functions and classes inside it."""
    for node in body:
        yield node
        if not isinstance(node, OWN_SCOPE):
            yield from _direct(ast.iter_child_nodes(node))


def _arguments(args: ast.arguments) -> frozenset[str]:
    every = (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg)
    return frozenset(arg.arg for arg in every if arg is not None)
