"""Random modules of definitions among statements that a definition never needs, for ``test_user_code``."""

from __future__ import annotations

import random

NAMES = ["a", "b", "c", "d", "e", "g"]
LISTS = ["xs", "ys", "zs"]
NOISE = ["print('noise')", "ran.append(1)", "tally(xs)", "assert ran is not None", "noisy = [ran.append(2) for _ in range(2)]"]
"""Statements that leave a mark where they run, and that nothing needs."""


class Script:
    """One random module: ``text`` is its source, and ``f`` in it gives a list of what some of its names hold."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.numbers, self.lists, self.functions = ["a"], ["xs"], ["h0"]
        self.decisive = False
        self.lines = ["ran = []", "a = 1", "xs = [1]", "def h0(v=0): return v + a", "def tally(part): ran.append(len(part))"]
        for _ in range(self.random.randint(4, 22)):
            self.lines += self.statement(0)
        asked = [self.value() for _ in range(self.random.randint(1, 4))]
        self.lines += ["def f():", f"    return [{', '.join(asked)}]"]
        self.text = "\n".join(self.lines) + "\n"

    def value(self) -> str:
        """An expression of what exists."""
        one = self.random.choice
        kinds = [
            one(self.numbers),
            f"{one(self.functions)}({self.random.randint(0, 3)})",
            f"sum({one(self.lists)})",
            f"len({one(self.lists)})",
        ]
        return f"({one(kinds)} + {one(kinds)}) % 97"

    def statement(self, depth: int) -> list[str]:
        """One random statement."""
        kind = self.random.choice([*self.SIMPLE, *(self.NESTED if depth < 2 else [])])
        found: list[str] = kind(self, depth)
        return found

    def assign(self, _depth: int) -> list[str]:
        name, value = self.random.choice(NAMES), self.value()
        how = self.random.choice(["{n} = {v}", "{n}: int = {v}", "{n}, _rest = {v}, 0", "{n} = _other = {v}", "_ = ({n} := {v})"])
        line = how.format(n=name, v=value)
        self.numbers.append(name)
        return [line]

    def augment(self, _depth: int) -> list[str]:
        return [f"{self.random.choice(self.numbers)} += {self.value()}"]

    def new_list(self, _depth: int) -> list[str]:
        name, value = self.random.choice(LISTS), self.value()
        known = self.random.choice(self.lists)
        line = self.random.choice(
            [f"{name} = [{value}]", f"{name} = {known}", f"{name} = [v + 1 for v in {known}]", f"{name} = list({known})"]
        )
        self.lists.append(name)
        return [line]

    def mutate(self, _depth: int) -> list[str]:
        known, value = self.random.choice(self.lists), self.value()
        return [
            self.random.choice([f"{known}.append({value})", f"{known}[0] = {value}", f"{known}.extend([{value}])", f"{known} += [{value}]"])
        ]

    def function(self, _depth: int) -> list[str]:
        name, value = f"h{self.random.randint(1, 4)}", self.value()
        self.functions.append(name)
        head = self.random.choice([f"def {name}(v=0):", f"def {name}(v={self.value()}):"])
        body = self.random.choice(
            [[f"    return (v + {value}) % 97"], ["    a = 5", "    return v + a"], [f"    return (lambda w: w + {value})(v)"]]
        )
        return [head, *body]

    def setter(self, _depth: int) -> list[str]:
        name, value = self.random.choice(NAMES), self.value()
        self.numbers.append(name)
        return ["def setup():", f"    global {name}", f"    {name} = {value}", "setup()"]

    def klass(self, _depth: int) -> list[str]:
        name, value = f"h{self.random.randint(5, 7)}", self.value()
        self.functions.append(name)
        return [f"class {name}_:", f"    k = {value}", "    def __call__(self, v=0): return (v + self.k + a) % 97", f"{name} = {name}_()"]

    def noise(self, _depth: int) -> list[str]:
        return [self.random.choice(NOISE)] if not self.decisive else []

    def branch(self, depth: int) -> list[str]:
        inside, other = self.kept(depth), self.kept(depth)
        return [f"if {self.value()} > 40:", *_in(inside), "else:", *_in(other)]

    def loop(self, depth: int) -> list[str]:
        inside = self.kept(depth)
        leave = [f"if {self.value()} > 80:", "    break"] if self.random.random() < 0.3 else []
        return [f"for i in range({self.random.randint(1, 3)}):", *_in([*inside, *leave])]

    def attempt(self, depth: int) -> list[str]:
        inside = self.kept(depth)
        return ["try:", *_in(inside), "finally:", "    pass" if self.decisive else "    ran.append(3)"]

    def within(self, depth: int) -> list[str]:
        return ["with contextlib.suppress(ValueError):", *_in(self.may_fail(depth))]

    def handled(self, depth: int) -> list[str]:
        inside, handler = self.may_fail(depth), self.random.choice([["pass"], self.may_fail(depth)])
        other = self.random.choice([[], ["else:", *_in(self.may_fail(depth))]])
        return ["try:", *_in(inside), "except ValueError:", *_in(handler), *other]

    def may_fail(self, depth: int) -> list[str]:
        """Statements of a block which an error may leave in the middle: none of them is noise, for it might be what fails."""
        before, self.decisive = self.decisive, True
        failing = self.random.choice([f"float('no' if {self.value()} > 50 else 1)", f"if {self.value()} > 50: raise ValueError"])
        lines = [*self.kept(depth), failing, *self.kept(depth)] if self.random.random() < 0.6 else self.kept(depth)
        self.decisive = before
        return lines

    def kept(self, depth: int) -> list[str]:
        """Statements of a block, which bind nothing that was not bound before: another branch may run."""
        before = list(self.numbers), list(self.lists), list(self.functions)
        lines = [line for _ in range(self.random.randint(1, 3)) for line in self.statement(depth + 1)]
        self.numbers, self.lists, self.functions = before
        return lines or ["pass"]

    SIMPLE = (assign, assign, augment, new_list, mutate, mutate, function, setter, klass, noise, noise)
    NESTED = (branch, loop, attempt, within, handled)


def _in(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
