"""The small namespace a node's ``step`` is written over.

A node is written once. Run with NumPy, ``step`` is the float64 reference; with torch it trains; with
symbols it is the ONNX function body; with error intervals it is the rounding bound. A backend provides
these names and plain ``+ - *`` on its arrays; nothing else may be used inside ``step``. There is no bare
comparison: ``fire`` is where a training backend puts its surrogate gradient.

Arrays carry the batch first: ``[B, *shape]``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from snndeploy.arrays import Shape

Array: TypeAlias = Any
"""A backend's array: numpy.ndarray, torch.Tensor, an ONNX symbol, an interval."""

Pads: TypeAlias = tuple[tuple[int, int], ...]
"""(before, after) per spatial axis."""


class Namespace(Protocol):
    """What a backend provides."""

    def where(self, condition: Array, yes: Array, no: Array) -> Array:
        """``yes`` where ``condition`` (0 or 1) is 1, else ``no``."""

    def fire(self, h: Array, theta: Array, strict: bool) -> Array:
        """1 where ``h > theta`` (strict) or ``h >= theta``, else 0."""

    def exp(self, x: Array) -> Array:
        """Elementwise e**x."""

    def sigmoid(self, x: Array) -> Array:
        """Elementwise 1 / (1 + e**-x)."""

    def divide(self, a: Array, b: Array) -> Array:
        """Elementwise a / b; b is a parameter that is nowhere 0."""

    def rounded(self, written: Callable[..., Array], reals: Callable[..., Array], *operands: Array) -> Array:
        """Of two functions that are one over the reals, ``written`` where floats are computed, ``reals`` where nothing rounds."""

    def table(self, rows: Array, t: Array) -> Array:
        """Row ``t`` of ``rows`` [T, ...]; ``t`` [B, *shape] is the layer's own step, one whole number everywhere.

        Raises ``DataError``, or the runtime's own error, behind the last row.
        """

    def gather(self, entries: Array, index: Array) -> Array:
        """Elementwise entry ``index`` of ``entries`` [n], for whole numbers 0 .. n - 1."""

    def minimum(self, a: Array, b: Array) -> Array:
        """Elementwise smaller value."""

    def maximum(self, a: Array, b: Array) -> Array:
        """Elementwise larger value."""

    def trunc(self, x: Array) -> Array:
        """Elementwise rounding toward zero (the chip's decay)."""

    def floor(self, x: Array) -> Array:
        """Elementwise rounding down (the chip's arithmetic shift)."""

    def linear(self, x: Array, weight: Array) -> Array:
        """``[..., I]`` times ``weight`` ``[O, I]`` -> ``[..., O]``."""

    def sparse(self, x: Array, rows: Array, columns: Array, weight: Array, targets: int) -> Array:
        """``[B, I]`` -> ``[B, targets]``: the sum of ``weight[i] x[columns[i]]`` at ``rows[i]``, which do not fall."""

    def conv(self, x: Array, weight: Array, stride: Shape, padding: Pads, dilation: Shape, groups: int) -> Array:
        """Cross-correlation of ``[B, C, *S]`` with ``[O, C/groups, *K]``, zeros outside (torch's convention)."""

    def sum_pool(self, x: Array, kernel: Shape, stride: Shape, padding: Pads) -> Array:
        """Sum over each window of ``[B, C, *S]``; zeros outside."""

    def max_pool(self, x: Array, kernel: Shape, stride: Shape, padding: Pads) -> Array:
        """Maximum over each window of ``[B, C, *S]``; minus infinity outside."""

    def reshape(self, x: Array, shape: Shape) -> Array:
        """``[B, ...]`` -> ``[B, *shape]``, C order."""

    def concat(self, parts: Sequence[Array], axis: int) -> Array:
        """Join along feature axis ``axis`` (0 is the first axis after the batch)."""
