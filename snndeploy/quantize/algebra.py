"""An expression put in short: constants folded, common terms shared, sums in one piece, input gain taken out.

All of it holds over the reals. What is multiplied by a spike becomes a choice; a choice between numbers absorbs the
numbers around it, so that a gate such as (1 - gamma s) costs one instruction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.ir.expressions import Expression, Term, apply, terms_of

ONE_ARGUMENT = ("exp", "sigmoid", "trunc", "floor")
BITS = ("ge", "gt", "bit")
"""Operations whose result is 0 or 1; ``bit`` is a state word that always is."""
ARITHMETIC = ("add", "sub", "mul", "div", "min", "max")


class Algebra:
    """Makes simplified terms; equal ones are the same object."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Term] = {}

    def intern(self, op: str, args: tuple[Term, ...] = (), value: Floats | None = None, name: str = "") -> Term:
        """The one term with this content."""
        content = None if value is None else (value.shape, value.tobytes())
        return self._known.setdefault((op, tuple(map(id, args)), content, name), Term(op, args, value, name))

    def number(self, value: Floats | float) -> Term:
        """A constant; one value where it is the same for all neurons."""
        array = np.asarray(value, dtype=np.float64) + 0.0
        same = array.size > 0 and bool((array == array.flat[0]).all())
        return self.intern("const", value=np.asarray(array.flat[0]) if same else array)

    def make(self, op: str, args: Sequence[Term], value: Floats | None = None, name: str = "") -> Term:
        """The simplest term that computes this."""
        args = tuple(args)
        if args and all(a.op == "const" for a in args) and op != "take":
            return self.number(np.asarray(apply(Term(op, args, value, name), [a.value for a in args]), dtype=np.float64))
        if op == "div" and args[1].op == "const":
            return self.make("mul", (args[0], self.number(1.0 / _value(args[1]))))
        pushed = self._into_choice(op, args) or self._into_table(op, args)
        if pushed is not None:
            return pushed
        rule = RULES.get(op)
        return rule(self, args) if rule else self.intern(op, args, value, name)

    def _into_choice(self, op: str, args: tuple[Term, ...]) -> Term | None:
        """An operation on a choice between numbers, and on other numbers, is a choice between its results."""
        if op not in ARITHMETIC + ONE_ARGUMENT:
            return None
        choices = [a for a in args if is_choice(a)]
        if not choices or any(a.op != "const" and a.args[:1] != choices[0].args[:1] for a in args if a.op == "const" or is_choice(a)):
            return None
        if not all(a.op == "const" or is_choice(a) for a in args):
            return None
        yes, no = ([a.args[side] if is_choice(a) else a for a in args] for side in (1, 2))
        return self.make("where", (choices[0].args[0], self.make(op, yes), self.make(op, no)))

    def _into_table(self, op: str, args: tuple[Term, ...]) -> Term | None:
        """An operation on tables over time and numbers is a table."""
        tables = [a for a in args if a.op == "table"]
        if op not in ARITHMETIC + ONE_ARGUMENT or not tables or not all(a.op in ("const", "table") for a in args):
            return None
        steps = max(len(_value(t)) for t in tables)
        rows = [apply(Term(op, args), [apply(a, (), t) for a in args]) for t in range(steps)]
        return self.table(np.stack(rows))

    def table(self, rows: Floats) -> Term:
        """A table over time; a number where all its rows are the same."""
        if bool((rows == rows[:1]).all()):
            return self.number(rows[0])
        return self.intern("table", value=np.asarray(rows, dtype=np.float64))

    def total(self, parts: list[tuple[str, Term]]) -> Term:
        """A sum of signed terms: everything constant in one term, at the end."""
        fixed: dict[object, Term] = {"const": self.number(0.0)}
        rest: list[tuple[str, Term]] = []
        for sign, term in parts:
            if _folds(term):
                key = id(term.args[0]) if is_choice(term) else term.op
                fixed[key] = self._fixed(sign, fixed.get(key), term)
            else:
                rest.append((sign, term))
        constant, *tail = fixed.values()
        if tail:
            tail[0] = self._fixed("+", constant, tail[0])
        elif _value(constant).any() or not rest:
            tail = [constant]
        rest += [("+", term) for term in tail if not _is(term, 0.0)] or ([] if rest else [("+", self.number(0.0))])
        rest.sort(key=lambda part: part[0])  # "+" first: a sum starts with something to add to
        if len(rest) == 1 and rest[0][0] == "+":
            return rest[0][1]
        return self.intern("sum", tuple(t for _, t in rest), name="".join(s for s, _ in rest))

    def _fixed(self, sign: str, before: Term | None, term: Term) -> Term:
        """Numbers, tables or choices of one kind, added up."""
        op = "add" if sign == "+" else "sub"
        args = (self.number(0.0) if before is None else before, term)
        if all(a.op == "const" for a in args):
            return self.number(apply(Term(op, args), [a.value for a in args]))
        found = self._into_choice(op, args) or self._into_table(op, args)
        assert found is not None, "constants of one kind fold"
        return found


def is_choice(term: Term) -> bool:
    """True for a choice between two numbers."""
    return term.op == "where" and term.args[1].op == term.args[2].op == "const"


def is_spike(term: Term) -> bool:
    """True if the term is 0 or 1."""
    return term.op in BITS or (is_choice(term) and all(bool(np.isin(_value(a), (0.0, 1.0)).all()) for a in term.args[1:]))


def _value(term: Term) -> Floats:
    assert term.value is not None, "a constant has a value"
    return term.value


def _is(term: Term, number: float) -> bool:
    return term.op == "const" and bool((_value(term) == number).all())


def _multiply(of: Algebra, args: tuple[Term, ...]) -> Term:
    a, b = sorted(args, key=_rank)
    if _is(b, 0.0):
        return of.number(0.0)
    if _is(b, 1.0):
        return a
    for spike, other in ((b, a), (a, b)):
        if spike.op in BITS:
            return of.make("where", (spike, other, of.number(0.0)))
        if is_spike(spike):
            yes, no = (of.make("mul", (other, branch)) for branch in spike.args[1:])
            return of.make("where", (spike.args[0], yes, no))
    if a.op == "mul" and _foldable(a.args[1], b):
        return of.make("mul", (a.args[0], of.make("mul", (a.args[1], b))))
    if b.op == "const" and a.op == "sum" and len(a.args) == 2 and a.args[1].op == "const":
        return of.make("add", (of.make("mul", (a.args[0], b)), of.make("mul", (a.args[1], b))))
    return of.intern("mul", (a, b))


def _folds(term: Term) -> bool:
    return term.op in ("const", "table") or is_choice(term)


def _foldable(a: Term, b: Term) -> bool:
    """True if the product of the two is again a number, a table or a choice."""
    if not (_folds(a) and _folds(b)):
        return False
    kinds = {t.op for t in (a, b)}
    return "const" in kinds or (kinds == {"where"} and a.args[0] is b.args[0]) or kinds == {"table"}


def _rank(term: Term) -> int:
    """Numbers behind what they multiply."""
    return 1 if _folds(term) else 0


def _choose(of: Algebra, args: tuple[Term, ...]) -> Term:
    p, yes, no = args
    if p.op == "const":
        return yes if _value(p).all() else no if not _value(p).any() else of.intern("where", args)
    if yes is no:
        return yes
    if is_choice(p) and is_spike(p) and p.args[1].value is not None:
        on, off = (_value(branch) for branch in p.args[1:])
        if on.ndim == off.ndim == 0:
            return of.make("where", (p.args[0], yes if on else no, yes if off else no))
    if _is(yes, 1.0) and _is(no, 0.0) and p.op in BITS:
        return p
    return of.intern("where", args)


def _add(of: Algebra, args: tuple[Term, ...]) -> Term:
    return of.total([("+", a) for a in args])


def _subtract(of: Algebra, args: tuple[Term, ...]) -> Term:
    if is_spike(args[1]) and args[1].op != "where":
        # what a spike takes off is a choice, and merges with the constants around it
        args = (args[0], of.intern("where", (args[1], of.number(1.0), of.number(0.0))))
    return of.total([("+", args[0]), ("-", args[1])])


RULES: dict[str, Callable[[Algebra, tuple[Term, ...]], Term]] = {"mul": _multiply, "where": _choose, "add": _add, "sub": _subtract}


def simplified(expression: Expression) -> Expression:
    """The expression in short; its step counter (if it has one) becomes tables over time."""
    return _used(_rewritten(_rewritten(expression, _words(expression)), {}))


def _words(expression: Expression) -> dict[str, str]:
    """What is special about state words: "count" counts steps, "bit" is the last spike or another 0 or 1."""
    special = {}
    for word, after in expression.after.items():
        start = expression.initial[word]
        if not start.any() and _counts(after, word):
            special[word] = "count"
        elif after.op in BITS and bool(np.isin(start, (0.0, 1.0)).all()):
            special[word] = "bit"
    return special


def _counts(after: Term, word: str) -> bool:
    if after.op != "add":
        return False
    a, b = sorted(after.args, key=lambda t: t.op)
    return _is(a, 1.0) and b.op == "state" and b.name == word


def _rewritten(expression: Expression, words: Mapping[str, str]) -> Expression:
    of = Algebra()
    roots = expression.roots()
    uses = Counter(id(a) for term in terms_of(roots) for a in term.args) + Counter(map(id, roots))
    new: dict[int, Term] = {}
    for term in terms_of(roots):
        args = [new[id(a)] for a in term.args]
        if term.op == "take" and words.get(term.args[0].name) == "count":
            new[id(term)] = of.table(_value(term))
        elif term.op == "const":
            new[id(term)] = of.number(_value(term))
        elif term.op == "state" and words.get(term.name) == "bit":
            new[id(term)] = of.intern("bit", name=term.name)
        elif term.op in ("add", "sub", "sum"):
            new[id(term)] = of.total(_parts(term, args, uses))
        else:
            new[id(term)] = of.make(term.op, args, term.value, term.name)
    return Expression(new[id(roots[0])], {w: new[id(t)] for w, t in expression.after.items()}, expression.initial)


def _parts(term: Term, args: list[Term], uses: Counter[int]) -> list[tuple[str, Term]]:
    """The signed terms of a sum, those of inner sums that nobody else reads among them."""
    signs = term.name if term.op == "sum" else "+" + ("-" if term.op == "sub" else "+")
    parts: list[tuple[str, Term]] = []
    for sign, old, new in zip(signs, term.args, args, strict=True):
        if new.op == "sum" and uses[id(old)] == 1:
            parts += [("+" if inner == sign else "-", t) for inner, t in zip(new.name, new.args, strict=True)]
        else:
            parts.append((sign, new))
    return parts


def _used(expression: Expression) -> Expression:
    """Without the words that nothing reads but themselves."""
    live: set[str] = set()
    todo = [expression.output]
    while todo:
        found = {t.name for t in terms_of(todo) if t.op in ("state", "bit")} - live
        live |= found
        todo = [expression.after[w] for w in found]
    after = {w: t for w, t in expression.after.items() if w in live}
    return Expression(expression.output, after, {w: expression.initial[w] for w in after})


def with_input(expression: Expression, gain: Floats, constant: Floats) -> Expression:
    """The expression reading x + ``constant`` for gain x, where ``gain`` is what ``input_gain`` found."""
    x = Term("input", name="x")
    entering = x + constant if constant.any() else x
    folded = not (gain == 1).all()
    new: dict[int, Term] = {}
    for term in terms_of(expression.roots()):
        args = tuple(new[id(a)] for a in term.args)
        if term.args[0].op == "input" and term.op == "mul" if folded and term.args else term.op == "input":
            new[id(term)] = entering
        else:
            new[id(term)] = Term(term.op, args, term.value, term.name) if args else term
    roots = [new[id(t)] for t in expression.roots()]
    return simplified(Expression(roots[0], dict(zip(expression.after, roots[1:], strict=True)), expression.initial))


def input_gain(expression: Expression) -> Floats:
    """What multiplies the input wherever it is read; 1 where it is read in more than one way."""
    readers = [t for t in terms_of(expression.roots()) if any(a.op == "input" for a in t.args)]
    gains = [t.args[1] for t in readers if t.op == "mul" and t.args[1].op == "const"]
    if readers and len(gains) == len(readers) and all(g is gains[0] for g in gains):
        return _value(gains[0])
    return np.ones(())
