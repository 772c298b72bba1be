"""Weights that are numbers."""

from __future__ import annotations

import torch
from torch import nn

from snndeploy.errors import ModelError


def check_finite(module: nn.Module) -> None:
    """Raise ``ModelError`` naming the first parameter or buffer that has NaN or infinite values."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if torch.nn.parameter.is_lazy(tensor):
            raise ModelError(name, "has no size yet (a lazy layer that never ran)", "run the model once, or load its weights")
        bad = int((~torch.isfinite(tensor)).sum()) if tensor.is_floating_point() else 0
        if bad:
            raise ModelError(name, f"has {bad} NaN or infinite values of {tensor.numel()}", "the training diverged, or the file is damaged")
