"""What a bare state_dict says: its tensors by the module they belonged to, and what each module must have been."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

from torch import Tensor

from converters.pt.libraries import LIBRARIES
from converters.pt.neuron import Library
from converters.pt.reading import RUN_STATE
from snndeploy.errors import ModelError

Kind: TypeAlias = Literal["weights", "norm", "neuron", "gap"]
_BESIDE = "down_?sample|shortcut|skip|residual|identity|attn|attention|branch|lateral|fpn|upsample"
FORKS = re.compile(rf"(^|[._])({_BESIDE})\d*([._]|$)", re.IGNORECASE)
"""Names of modules that run beside others; the file does not say where they join."""
BUFFERS = frozenset(["num_batches_tracked"])
ONE_LETTER = frozenset(["w", "k"])
"""Keys that say little: the neuron is known by them only if each is one number."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One module of the file. ``neuron`` is its library and class where its keys tell."""

    name: str
    kind: Kind
    tensors: Mapping[str, Tensor]
    neuron: tuple[Library, str] | None = None


def entries(weights: Mapping[str, Tensor], source: Library | None, where: str) -> list[Entry]:
    """The modules of a file, in its order.

    Raises:
        ModelError: tensors that belong to nothing this reads, or names that stand beside each other, not in a row.
    """
    forked = next((name for name in weights if FORKS.search(name)), None)
    if forked is not None:
        what = f"has {forked!r}, a branch beside the others; a file of weights does not say where it leaves and where it joins again"
        hint = "give the code that does: --arch 'file.py:Net(T=10)', or in Python the live module: sd.convert(module, data)"
        raise ModelError(where, what, hint)
    found = [_entry(name, tensors, source, where) for name, tensors in _grouped(normal(weights)).items()]
    return _synapse_first(found)


def _synapse_first(found: list[Entry]) -> list[Entry]:
    """A block of lava-dl lists its neuron before the synapse in front of it."""
    for i, (one, two) in enumerate(pairwise(found)):
        same = one.name.rpartition(".")[0] == two.name.rpartition(".")[0]
        if same and one.name.endswith(".neuron") and two.name.endswith(".synapse"):
            found[i], found[i + 1] = two, one
    return found


def normal(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights that are stored as direction and length (weight_norm, over all axes but the first) multiplied out.

    w = g v / |v| (Salimans and Kingma 2016); both spellings of torch.
    """
    pairs = (("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1"))
    weights = _pruned(weights)
    plain: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        for length, direction in pairs:
            if name.endswith(direction) and name.removesuffix(direction) + length in weights:
                g, v = weights[name.removesuffix(direction) + length].double(), tensor.double()
                plain[name.removesuffix(direction) + "weight"] = g * v / v.flatten(1).norm(dim=1).reshape(-1, *(1,) * (v.ndim - 1))
                break
            if name.endswith(length):
                break
        else:
            plain[name] = tensor
    return plain


def _pruned(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights that torch's pruning stores beside their masks: ``weight_orig`` times ``weight_mask``."""
    plain: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        mask = weights.get(name.removesuffix("_orig") + "_mask") if name.endswith("_orig") else None
        if mask is not None:
            plain[name.removesuffix("_orig")] = tensor * mask
        elif not (name.endswith("_mask") and name.removesuffix("_mask") + "_orig" in weights):
            plain[name] = tensor
    return plain


def _grouped(weights: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in weights.items():
        owner, _, last = name.rpartition(".")
        above, _, inner = owner.rpartition(".")
        if inner in ("recurrent", "act_fun"):
            owner, last = above, f"{inner}.{last}"
        if last not in BUFFERS:
            groups.setdefault(owner, {})[last] = tensor
    return groups


def _entry(name: str, tensors: Mapping[str, Tensor], source: Library | None, where: str) -> Entry:
    if "running_mean" in tensors and "running_var" in tensors:
        return Entry(name, "norm", tensors)
    known = neuron_of(tensors, source)
    if known is not None:
        return Entry(name, "neuron", tensors, known)
    weight = tensors.get("weight")
    if weight is not None and weight.ndim == 5 and weight.shape[-1] == 1 and tensors.keys() == {"weight"}:
        return Entry(name, "weights", tensors)
    if weight is not None and weight.ndim in (2, 3, 4) and tensors.keys() <= {"weight", "bias"}:
        return Entry(name, "weights", tensors)
    if tensors.keys() <= RUN_STATE:
        return Entry(name, "gap", {})
    listed = ", ".join(f"{name}.{key}".lstrip(".") + f" {list(t.shape)}" for key, t in list(tensors.items())[:3])
    what = f"holds weights only, and {listed} belong to no layer or neuron that is known by its keys"
    raise ModelError(where, what, "name the code they belong to: --arch 'file.py:Net(T=10)' or --arch pkg.mod:factory")


def neuron_of(tensors: Mapping[str, Tensor], source: Library | None) -> tuple[Library, str] | None:
    """The library and class whose keys these are: the class with the most of them, of ``source`` if that has any."""
    names = {key.partition(".")[0] for key in tensors}
    names |= {name.replace("alpha_", "tau_", 1) for name in names if name.startswith("alpha_")}
    found = [
        (library is source, len(kind.keys), library, name)
        for library in LIBRARIES
        for name, kind in library.neurons.items()
        if kind.keys and kind.keys <= names and (not kind.keys <= ONE_LETTER or all(t.numel() == 1 for t in tensors.values()))
    ]
    if not found:
        return None
    _, _, library, name = max(found, key=lambda f: f[:2])
    return library, name
