"""A neuron on a grid -> a neuron program: one instruction an operation, and registers for what lies between.

A result that becomes a state word is written into that word at once where its old value is no longer read; everything
else goes through scratch registers, each used again as soon as its value is dead. Words that trade places are copied
first. So the program computes the node word for word: each write saturates where the operation does.
"""

from __future__ import annotations

from collections.abc import Mapping

from snndeploy.arrays import Floats, Ints, frozen_ints
from snndeploy.chip.program import Definition, Instruction, NeuronProgram
from snndeploy.errors import Unsupported
from snndeploy.ir.neurons.on_grid import GridNeuron, Operation


def compiled(node: GridNeuron, name: str, reset_at: int = 0) -> NeuronProgram:
    """The program that computes ``node``, word for word.

    Raises:
        Unsupported: the words of different neurons start with different values, which one program cannot hold.
    """
    code = _Code(node)
    for i, line in enumerate(node.operations):
        code.compute(i, line)
    if node.output not in node.results:
        code.send()
    code.leave()
    state = {word: _start(name, word, value) for word, value in node.initial.items()}
    return NeuronProgram(name, state, _constants(node), tuple(code.lines), _tables(node), reset_at, definition(node))


def definition(node: GridNeuron) -> Definition:
    """The node as the program's file keeps it, for proofs."""
    operations = tuple(Instruction(line.op, line.args) for line in node.operations)
    return Definition(operations, node.output, node.after, _whole(node.initial), _whole(node.constants), _whole(node.tables))


def _start(name: str, word: str, values: Floats) -> int:
    if values.size and (values != values.flat[0]).any():
        raise Unsupported(name, f"its word {word} starts differently from neuron to neuron", "start all neurons of a layer alike")
    return int(values.flat[0]) if values.size else 0


class _Code:
    """Instructions in the making, and what each register holds."""

    def __init__(self, node: GridNeuron) -> None:
        self.lines: list[Instruction] = []
        self._node = node
        self._last = self._last_uses()
        self._where: dict[str, str] = {w: w for w in node.after}
        self._free: list[str] = []
        self._count = 0

    def _last_uses(self) -> dict[str, int]:
        """The number of the last operation that reads each value; words that others become are read at the end."""
        last: dict[str, int] = {}
        for i, line in enumerate(self._node.operations):
            last |= dict.fromkeys(line.args, i)
        kept = [value for word, value in self._node.after.items() if value != word]
        kept += [] if self._node.output in self._node.results else [self._node.output]
        last |= {value: len(self._node.operations) for value in kept if value in self._node.after}
        return last

    def compute(self, i: int, line: Operation) -> None:
        """The i-th operation."""
        operands = self._operands(line)
        name = f"t{i}"
        for value in dict.fromkeys(line.args):
            self._release(value, i)
        target = self._target(name, i)
        self._where[name] = target
        self.lines.append(Instruction(line.op, (target, *operands)))
        if name == self._node.output:
            self.send()  # at once, so that its register may be used again
            self._release(name, i)

    def send(self) -> None:
        """The spike."""
        payload = self._operand(self._node.output)
        self.lines.append(Instruction("SPK", (payload, payload if self._node.graded else "1")))

    def leave(self) -> None:
        """What has not been written into its word yet."""
        moves = {word: self._operand(value) for word, value in self._node.after.items()}
        moves = {word: source for word, source in moves.items() if source != word}
        while moves:
            ready = next((w for w in moves if w not in moves.values()), None)
            if ready is None:
                ready = next(iter(moves))
                spare = self._scratch()
                self.lines.append(Instruction("MOV", (spare, ready)))
                moves = {word: spare if source == ready else source for word, source in moves.items()}
            self.lines.append(Instruction("MOV", (ready, moves.pop(ready))))

    def _operands(self, line: Operation) -> tuple[str, ...]:
        if line.op == "LUT":
            return line.args[0], self._operand(line.args[1])
        return tuple(self._operand(a) for a in line.args)

    def _operand(self, value: str) -> str:
        if value in self._where:
            return self._where[value]
        return f"k.{value}" if value in self._node.constants else value

    def _release(self, value: str, i: int) -> None:
        """A scratch register whose value is read for the last time is free."""
        held = self._where.get(value)
        if value.startswith("t") and held and held not in self._node.after and self._last.get(value, i) == i and not self._stays(value):
            self._free.append(held)

    def _stays(self, value: str) -> bool:
        return value in self._node.after.values()

    def _target(self, name: str, i: int) -> str:
        for word, value in self._node.after.items():
            if value == name and self._last.get(word, -1) <= i and name not in self._where:
                return word
        return self._scratch()

    def _scratch(self) -> str:
        if self._free:
            return self._free.pop()
        self._count += 1
        return f"r{self._count - 1}"


def _constants(node: GridNeuron) -> dict[str, Ints]:
    places = {line.args[0]: line.args[2:] for line in node.operations if line.op == "LUT"}
    located = {f"{name}.{part}": frozen_ints(int(v)) for name, at in places.items() for part, v in zip(("lo", "step"), at, strict=True)}
    return {**_whole(node.constants), **located}


def _tables(node: GridNeuron) -> dict[str, Ints]:
    return _whole(node.tables)


def _whole(values: Mapping[str, Floats]) -> dict[str, Ints]:
    return {name: frozen_ints(value) for name, value in values.items()}
