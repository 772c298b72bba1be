"""What of a module did not run though it may have changed what was made of it: each such statement, and why it matters."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from snndeploy.user_code.plan import Plan
from snndeploy.user_code.scopes import at_once, bound, dotted, root
from snndeploy.user_code.statements import Leaf

HARMLESS = frozenset(
    [
        *("print", "eval", "train", "to", "cuda", "cpu", "requires_grad_", "load_state_dict", "save", "step", "zero_grad"),
        *("info", "debug", "warning", "close", "show", "format", "summary", "len", "str", "repr"),
    ]
)
"""Calls whose absence changes nothing of what a definition is: weights come from the file, and it is put into eval mode."""
SEEDS = frozenset(["seed", "manual_seed", "manual_seed_all"])
GENERATORS = frozenset(["default_rng", "RandomState", "Generator", "Random"])
DRAWS = frozenset(
    [
        *("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "random", "random_sample", "randrange", "gauss"),
        *("permutation", "permuted", "shuffle", "normal", "uniform", "choice", "choices", "sample", "integers", "poisson"),
        *("bernoulli", "multinomial", "binomial", "standard_normal", "exponential"),
    ]
)
"""Functions and methods whose result depends on how many were called before, since the seed."""


def left_out(plan: Plan, ran: set[int], users: frozenset[str]) -> Iterator[tuple[Leaf, str]]:
    """Statements that did not run, with why that may matter; ``users`` are names that come from other files of the user's."""
    made = users | {n for leaf in plan.leaves if leaf.index in ran and _makes(leaf) for n in leaf.own}
    for leaf in plan.leaves:
        if leaf.index not in ran and (why := _may_change(leaf, plan, made, users)):
            yield leaf, why
    yield from _draws_left_out(plan, ran)


def _makes(leaf: Leaf) -> bool:
    return leaf.kind == "assignment" or isinstance(leaf.node, ast.ClassDef)


def _may_change(leaf: Leaf, plan: Plan, made: Collection[str], users: Collection[str]) -> str:
    call = leaf.node.value if isinstance(leaf.node, ast.Expr) else None
    if plan.sets_defaults(leaf):
        return "which sets a default for all that follows"
    if not isinstance(call, ast.Call) or dotted(call.func).rpartition(".")[2] in HARMLESS:
        return ""
    if "chdir" in plan.calls_inside(leaf) | {dotted(call.func).rpartition(".")[2]}:
        return "which changes the folder that names of files are looked up in"
    given = [root(call.func) if isinstance(call.func, ast.Attribute) else "", *map(root, call.args)]
    name = next((name for name in given if name in made), "")
    if name:
        return f"which is given `{name}`"
    return "which may change what its own file defines" if root(call.func) in users else ""


def _draws_left_out(plan: Plan, ran: set[int]) -> Iterator[tuple[Leaf, str]]:
    """The first draw that was left out between a seed and a draw that was not."""
    for start in (leaf for leaf in plan.leaves if leaf.index in ran):
        for name in _seeded(start):
            after = plan.leaves[start.index + 1 :]
            drawn = next((leaf for leaf in reversed(after) if leaf.index in ran and _draws(leaf, name)), None)
            before = plan.leaves[start.index + 1 : drawn.index] if drawn else ()
            lost = (leaf for leaf in before if leaf.index not in ran and (_draws(leaf, name) or _draws_inside(leaf, name, plan)))
            yield from ((leaf, f"which draws from `{name}` before line {drawn.line} does") for leaf in list(lost)[:1] if drawn)


def _calls(leaf: Leaf) -> list[ast.Call]:
    return [n for n in at_once(leaf.node) if isinstance(n, ast.Call)] if leaf.kind in ("assignment", "call") else []


def _seeded(leaf: Leaf) -> frozenset[str]:
    """The generators, or modules with one, that a statement makes or seeds."""
    named = [(dotted(call.func).rpartition(".")[2], call) for call in _calls(leaf)]
    seeded = {root(call.func) for last, call in named if last in SEEDS}
    made = bound([leaf.node]) if any(last in GENERATORS for last, _ in named) else frozenset()
    return frozenset((seeded | made) - {""})


def _draws(leaf: Leaf, name: str) -> bool:
    """Whether a statement draws from a generator: by its method, or by handing it on."""
    for call in _calls(leaf):
        given = [*call.args, *(word.value for word in call.keywords)]
        own = root(call.func) == name and dotted(call.func).rpartition(".")[2] in DRAWS
        if own or any(isinstance(part, ast.Name) and part.id == name for part in given):
            return True
    return False


def _draws_inside(leaf: Leaf, name: str, plan: Plan) -> bool:
    """Whether it calls what the module defines, which reads the generator."""
    called = [other for word in leaf.calls for other in plan.by_name.get(word, ()) if other.kind == "definition"]
    return any(name in other.reads.later | other.reads.now for other in called)
