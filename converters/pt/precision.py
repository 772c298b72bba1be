"""The float type a torch program really computes in: casts inside a model widened, or the coarsest of them noticed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from converters.pt.tape import leaves
from snndeploy.ir.spread import ARITHMETICS

NARROW = (torch.float32, torch.float16, torch.bfloat16)
CASTS = ("float", "half", "bfloat16")
NAMES = {torch.float64: "float64", torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16"}


class Widened(TorchFunctionMode):
    """While inside, a cast to a narrower float type is one to float64: nothing rounds but float64 itself."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in CASTS and args and isinstance(args[0], Tensor):
            return args[0].double()
        wide = {name: _wide(value) for name, value in (kwargs or {}).items()}
        return func(*(_wide(value) for value in args), **wide)


def _wide(value: Any) -> Any:
    return torch.float64 if isinstance(value, torch.dtype) and value in NARROW else value


class Watched(TorchFunctionMode):
    """While inside, the coarsest float type in which a number is computed that is not whole is kept in ``arithmetic``."""

    def __init__(self) -> None:
        super().__init__()
        self.arithmetic = "float64"

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.arithmetic = coarser(self.arithmetic, result)
        return result


def coarser(name: str, result: Any) -> str:
    """The coarser of a type and of those that a result's tensors were rounded to; spikes are whole in any type."""
    order = list(ARITHMETICS)
    for tensor in leaves(result, Tensor):
        own = NAMES.get(tensor.dtype, "float64")
        if order.index(own) > order.index(name):
            with torch._C.DisableTorchFunction():
                rounds = not bool((tensor.detach() == tensor.detach().round()).all())
            name = own if rounds else name
    return name
