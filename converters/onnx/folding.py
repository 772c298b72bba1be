"""What a file computes from constants alone is computed once, by the reference evaluator of the onnx package.

The same evaluator moves indices: an operator that only rearranges values is run on the indices of the values.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, helper
from onnx.reference import ReferenceEvaluator

from converters.onnx.values import Constant
from snndeploy.errors import ModelError, Unsupported

LARGEST = 2**27
"""Elements of one constant; beyond it a file is taken for damaged."""

_FOLDED = """
    Abs Add And Cast Ceil Clip Concat Constant ConstantOfShape DepthToSpace DequantizeLinear Div Equal Exp Expand Flatten Floor Gather Gemm
    Greater GreaterOrEqual Identity Less LessOrEqual Log MatMul Max Min Mod Mul Neg Not Or Pad Pow QuantizeLinear Range Reciprocal
    ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Relu Reshape Round Shape Sigmoid Sign Size Slice SpaceToDepth Split Sqrt Squeeze Sub
    Tanh Tile Transpose Unsqueeze Where Xor
"""
QUANTIZING = 19
"""The first operator set whose (de)quantization the evaluator knows; it means what the earlier ones mean."""
FOLDED = frozenset(_FOLDED.split())
"""Operators that are computed where all their inputs are constants."""


def evaluate(node: NodeProto, inputs: Sequence[Constant | None], opset: int, where: str) -> tuple[Constant, ...]:
    """The node's outputs for these inputs (None where one is left out).

    Raises:
        Unsupported: more than ``LARGEST`` elements.  ModelError: the node cannot be run on what enters it.
    """
    if _elements(node.op_type, inputs) > LARGEST:
        raise Unsupported(where, f"makes a constant of more than {LARGEST:,} values", "the file is damaged, or the model too large")
    opset = max(opset, QUANTIZING) if node.op_type in ("QuantizeLinear", "DequantizeLinear") else opset
    given = {name: value for name, value in zip(node.input, inputs, strict=False) if name and value is not None}
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), None) for n, v in given.items()]
    outputs = [helper.make_tensor_value_info(n, 1, None) for n in node.output if n]
    model = helper.make_model(helper.make_graph([node], "fold", infos, outputs), opset_imports=[helper.make_opsetid("", opset)])
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            results = ReferenceEvaluator(model).run(None, given)
    except Exception as error:  # noqa: BLE001 - onnx's evaluator raises whatever NumPy and its own checks raise
        raise ModelError(where, f"cannot be computed: {_first_line(error)}", "the file is damaged, or its parts do not fit") from None
    return tuple(np.asarray(result) for result in results)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _elements(op: str, inputs: Sequence[Constant | None]) -> float:
    """How many values the result will have, for the operators that can make many of few."""
    count = _MANY.get(op)
    known = [np.asarray(value) for value in inputs if value is not None]
    return count(known) if count is not None and known else 0.0


def _product(values: Constant) -> float:
    return math.prod(abs(float(v)) for v in values.ravel()[:16])


_MANY: Mapping[str, Callable[[list[Any]], float]] = {
    "ConstantOfShape": lambda x: _product(x[0]),
    "Expand": lambda x: _product(x[-1]) * x[0].size,
    "Tile": lambda x: _product(x[-1]) * x[0].size,
    "Range": lambda x: abs(float(x[1]) - float(x[0])) / max(abs(float(x[2])), 1e-9) if len(x) == 3 else 0.0,
    "Pad": lambda x: x[0].size * _product(1.0 + np.abs(x[1])) if len(x) > 1 else 0.0,
    "Gather": lambda x: x[0].size * x[1].size / max(1, max(x[0].shape, default=1)) if len(x) > 1 else 0.0,
}
