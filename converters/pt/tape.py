"""What one recorded run of a torch module leaves: calls and values, in order.

A value is one result of one call (or an input, or a constant), numbered in the order in which it came to be. A
tensor changed in place is a new value. Calls refer to values by ``Ref``, never by tensor.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from converters.pt.trees import branches
from snndeploy.arrays import Floats, Shape

Leaf = TypeVar("Leaf")


@dataclass(frozen=True)
class Ref:
    """A value, in place of the tensor."""

    value: int


@dataclass(frozen=True, eq=False)
class Sample:
    """What a layer got and gave at its first call, for checking its node against it."""

    given: Floats
    gave: Floats


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a leaf module or of a torch function.

    Attributes:
        op: "layer", "neuron", or the function's name without underscores.
        args: as given, tensors replaced by ``Ref``; ``kwargs`` the same.
        outs: the values it made.
        module: the leaf module, or None for a function.
        path: the leaf module's path, or that of the module whose forward called the function.
        where: the user's "file:line".
        site: tells this place of the program from any other.
        sample: kept at the first call of a layer.
    """

    index: int
    op: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outs: tuple[int, ...]
    module: torch.nn.Module | None
    path: str
    where: str
    site: Hashable
    sample: Sample | None = None

    def __str__(self) -> str:
        if self.module is not None:
            return f"{self.path or 'the model'} ({type(self.module).__name__}) at {self.where}"
        inside = f" in {self.path}" if self.path else ""
        return f"{self.op}(){inside} at {self.where}"

    @property
    def key(self) -> Hashable:
        """Equal for calls of the same module, or of the same function at the same place."""
        return id(self.module) if self.module is not None else (self.op, self.path, self.site)


@dataclass(frozen=True, eq=False)
class Tape:
    """A whole recording.

    Attributes:
        calls: in order.
        tensors: every value's tensor, kept alive so that no id is used twice.
        shapes: every value's shape.
        producers: value -> the call that made it, and which of its results.
        constants: value -> its numbers, where it depends on no input.
        inputs: value -> (input name, number of the run).
        unknown: value -> why it cannot be followed.
        results: what the model returned, one entry a run, tensors replaced by ``Ref``.
        reset_inside: the model itself reset a neuron between two of its steps.
        arithmetic: the coarsest float type that a number was rounded to.
    """

    calls: tuple[Call, ...]
    tensors: tuple[torch.Tensor, ...]
    shapes: tuple[Shape, ...]
    producers: Mapping[int, tuple[Call, int]]
    constants: Mapping[int, Floats]
    inputs: Mapping[int, tuple[str, int]]
    unknown: Mapping[int, str]
    results: tuple[Any, ...]
    reset_inside: bool
    arithmetic: str = "float64"

    def op(self, value: int) -> str:
        """The name of the function that made a value; "" for inputs and constants."""
        return self.producers[value][0].op if value in self.producers else ""

    def first_ref(self, call: Call) -> int:
        """The first tensor argument of a call."""
        return next(refs((call.args, call.kwargs)))


def refs(tree: Any) -> Iterator[int]:
    """The values inside nested tuples, lists, dicts and data classes, in order."""
    yield from (ref.value for ref in leaves(tree, Ref))


def leaves(tree: Any, kind: type[Leaf]) -> Iterator[Leaf]:
    """The objects of one class inside nested tuples, lists, dicts and data classes, in order."""
    if isinstance(tree, kind):
        yield tree
    else:
        for item in (branches(tree) or {}).values():
            yield from leaves(item, kind)


def plain(tree: Any) -> Hashable:
    """A hashable copy of nested arguments with every ``Ref`` replaced by a mark."""
    if isinstance(tree, Ref):
        return "<tensor>"
    if isinstance(tree, tuple | list):
        return tuple(plain(item) for item in tree)
    if isinstance(tree, Mapping):
        return tuple((name, plain(item)) for name, item in sorted(tree.items()))
    if isinstance(tree, slice):
        return ("slice", tree.start, tree.stop, tree.step)
    return tree if isinstance(tree, Hashable) else repr(tree)


@contextmanager
def deep(tape: Tape) -> Iterator[None]:
    """The builder calls itself from layer to layer, some six frames each; a deep network needs more than Python's 1,000."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(max(usual, min(usual + 10 * len(tape.calls), 50_000)))
    try:
        yield
    finally:
        sys.setrecursionlimit(usual)
