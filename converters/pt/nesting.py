"""How deep the containers in a pickle nest, found by reading its opcodes; nothing is built.

Deep containers are a known way to stop a reader: hashing a tuple of tuples recurses in C, and one that holds the
tuple below it twice takes 2**depth steps.
"""

from __future__ import annotations

import pickletools
from typing import Any

DEEPEST = 20
"""Checkpoints nest below ten deep; a key that doubles 20 times is still hashed at once."""
MOST = 250_000
"""Instructions; a checkpoint takes some thirty a tensor."""
WIDEST = 100_000
"""Things on the stack; pickle writes containers in batches of a thousand."""
INSIDE = frozenset(["APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"])
"""What puts things into a container that is there already."""


class Nesting:
    """A pickle's stack, where each thing is only its depth. Raises ``ValueError`` at what no checkpoint does."""

    def __init__(self) -> None:
        self.stack: list[int] = []
        self.marks: list[int] = []
        self.memo: dict[int, int] = {}
        self.count = 0

    def step(self, opcode: Any, argument: object) -> None:
        """One opcode."""
        self.count += 1
        if self.count > MOST:
            raise ValueError(f"more than {MOST:,} instructions")
        if opcode.name == "MARK":
            self.marks.append(len(self.stack))
        elif opcode.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if argument is None else int(str(argument))] = self.stack[-1] if self.stack else 0
        elif opcode.name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo.get(int(str(argument)), 0))
        elif opcode.name == "DUP":
            self.stack.append(self.stack[-1] if self.stack else 0)
        else:
            self._build(opcode)
        if len(self.marks) > DEEPEST or len(self.stack) > WIDEST:
            raise ValueError(f"{max(len(self.marks), len(self.stack)):,} things are open at once")

    def _build(self, opcode: Any) -> None:
        taken = self._taken(opcode)
        depth = max(taken, default=-1) + 1
        if opcode.name in INSIDE and taken:
            depth = max(taken[0], max(taken[1:], default=-1) + 1)
        if depth > DEEPEST:
            raise ValueError(f"containers nest more than {DEEPEST} deep")
        self.stack += [depth] * len(opcode.stack_after)

    def _taken(self, opcode: Any) -> list[int]:
        needs = opcode.stack_before
        if pickletools.markobject in needs:
            mark = self.marks.pop() if self.marks else 0
            start = max(0, mark - needs.index(pickletools.markobject))
        else:
            start = max(0, len(self.stack) - len(needs))
        taken = self.stack[start:]
        del self.stack[start:]
        return taken
