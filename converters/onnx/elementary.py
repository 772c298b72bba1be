"""Elementwise operators of a foreign ONNX graph in float64 NumPy: what a neuron written out in operators is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper

Array = Any
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)


def _cast(x: Array, node: NodeProto) -> Array:
    to = next((a.i for a in node.attribute if a.name == "to"), TensorProto.FLOAT)
    if to == TensorProto.BOOL:
        return np.asarray(x) != 0
    return np.asarray(x, np.float64) if to in FLOATS else np.trunc(np.asarray(x, np.float64))


def _clip(x: Array, node: NodeProto, low: Array = None, high: Array = None) -> Array:
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    low, high = given.get("min", low), given.get("max", high)
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


COMPARING: Mapping[str, Callable[..., Array]] = {
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Equal": np.equal,
}
LOGICAL: Mapping[str, Callable[..., Array]] = {"Not": np.logical_not, "And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor}
PLAIN: Mapping[str, Callable[..., Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Neg": np.negative,
    "Abs": np.abs,
    "Sign": np.sign,
    "Exp": np.exp,
    "Sqrt": np.sqrt,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.round,
    "Reciprocal": lambda x: 1.0 / x,
    "Sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "Tanh": np.tanh,
    "Relu": lambda x: np.maximum(x, 0.0),
    "Identity": lambda x: x,
    "Pow": np.power,
    "Where": np.where,
    "Sum": lambda *xs: reduce(np.add, xs),
    "Max": lambda *xs: reduce(np.maximum, xs),
    "Min": lambda *xs: reduce(np.minimum, xs),
}
ELEMENTARY = frozenset({*COMPARING, *LOGICAL, *PLAIN, "Cast", "Clip"})
"""Operators that treat every element by itself."""


def run(node: NodeProto, values: Mapping[str, Array]) -> Array:
    """What an elementwise node gives for named values."""
    given = [values[name] if name else None for name in node.input]
    if node.op_type == "Cast":
        return _cast(given[0], node)
    if node.op_type == "Clip":
        return _clip(given[0], node, *given[1:])
    known = COMPARING.get(node.op_type) or LOGICAL.get(node.op_type) or PLAIN[node.op_type]
    return known(*given)
