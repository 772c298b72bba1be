"""Reading a torch file without trusting it."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from converters.pt.pickles import check_claims, globals_named, suspicious
from snndeploy.errors import ModelError, UnsafePickle

Kind: TypeAlias = Literal["zip", "legacy", "torchscript", "exported", "other"]
WRAPPERS = ("state_dict", "model_state_dict", "net", "model", "module", "network", "weights")
PREFIXES = ("module.", "_orig_mod.")
RUN_STATE = frozenset(["v", "mem", "v_mem", "i_syn", "syn", "spk", "v_reset_state"])
"""Buffers in which libraries keep the state of the last batch; a module that has no such key does without them."""
QUANTIZED = frozenset(f"torch.{kind}" for kind in ("per_tensor_affine", "per_channel_affine", "qint8", "quint8", "qint32"))
"""What a file of quantized tensors names beside what all files do."""
FOREIGN = {b"\x89HDF": "an HDF5 file (.nir, .net or .h5)", b"\x93NUM": "a NumPy array", b"PK\x05\x06": "an empty zip"}


class Weights(dict[str, Tensor]):
    """The tensors of a file by name, and what else it says.

    Attributes:
        modules: every module of the network by name, also those without tensors; () where the file does not list them.
        left: the names of what lies among the weights and is no tensor.
    """

    modules: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def read(path: Path, trust: bool = False) -> Any:
    """A state dict (name -> tensor), or with ``trust`` whatever the file holds.

    Raises:
        ModelError: not a torch file, damaged, dishonest about its size, or nothing of weights in it.
        UnsafePickle: it names globals that weights never need.
    """
    kind = sniff(path)
    if kind in ("torchscript", "exported"):
        name = "a TorchScript program" if kind == "torchscript" else "an exported program (.pt2)"
        raise ModelError(str(path), f"is {name}, not weights", "save net.state_dict() and name the code with --arch")
    if kind == "other":
        with path.open("rb") as file:
            found = FOREIGN.get(file.read(4), "something else")
        raise ModelError(str(path), f"is not a torch file: it looks like {found}", "save with torch.save(net.state_dict(), path)")
    content = _trusting(path) if trust else _weights(path, kind)
    return content if is_module(content) else unwrap(content, str(path))


def sniff(path: Path) -> Kind:
    """What kind of file this is, by its first bytes and its claims."""
    with path.open("rb") as file:
        head = file.read(4)
    if head == b"PK\x03\x04":
        names = check_claims(path)
        parts = {name.partition("/")[2] for name in names}
        if any(p == "constants.pkl" or p.startswith("code/") for p in parts):
            return "torchscript"
        if "archive_format" in parts or any("serialized_exported_program" in p or p.startswith("models/") for p in (*names, *parts)):
            return "exported"
        return "zip" if any(n.endswith("data.pkl") for n in names) else "other"
    return "legacy" if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and len(head) > 1 else "other"


def _weights(path: Path, kind: Kind) -> Any:
    refused = suspicious(_globals(path, kind))
    if refused and all(name in QUANTIZED for name in refused):
        what = f"holds tensors of whole numbers with scales ({refused[0]}), as a quantizer leaves them, and nothing here reads them"
        raise ModelError(str(path), what, "save the weights as float tensors: weight.dequantize(), under their layers' own names")
    if refused:
        named = ", ".join(refused[:5]) + (f" and {len(refused) - 5} more" if len(refused) > 5 else "")
        what = f"asks to import {named}; weights never need that, so nothing of it was run"
        hint = "save net.state_dict() and use --arch; --trust runs whatever the file says, as you, with all your rights"
        raise UnsafePickle(str(path), what, hint)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnsafePickle(str(path), f"is refused by torch's restricted reader: {_first_line(error)}", "save net.state_dict()") from None
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, OSError, MemoryError, IndexError) as error:
        raise ModelError(str(path), f"is damaged or cut short: {_first_line(error)}", "copy or download it again") from None


def _globals(path: Path, kind: Kind) -> tuple[str, ...]:
    try:
        if kind == "legacy":
            with path.open("rb") as file:
                return globals_named(file)
        with zipfile.ZipFile(path) as archive:
            pickles = [name for name in archive.namelist() if name.endswith(".pkl")]
            return tuple(found for name in pickles for found in globals_named(BytesIO(archive.read(name))))
    except (ValueError, EOFError, IndexError, zipfile.BadZipFile, OSError, MemoryError, OverflowError) as error:
        raise ModelError(str(path), f"is damaged or cut short: {_first_line(error)}", "copy or download it again") from None


def _trusting(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=False)  # the user asked for it
    except Exception as error:
        hint = "the classes it names must be importable from here"
        raise ModelError(str(path), f"cannot be unpickled: {type(error).__name__}: {_first_line(error)}", hint) from error


def _first_line(error: BaseException) -> str:
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__


def is_module(content: Any) -> bool:
    """Whether a file held a whole module."""
    return isinstance(content, nn.Module)


def unwrap(content: Any, where: str) -> Weights:
    """The weights inside a checkpoint: ``{'net': ..., 'epoch': 3}`` -> {name: tensor}, prefixes of wrappers stripped."""
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping | nn.Module):
            inner = content[key]
            return unwrap(inner.state_dict() if isinstance(inner, nn.Module) else inner, where)
    if not isinstance(content, Mapping):
        raise ModelError(where, f"holds a {type(content).__name__}, not weights by name", "save net.state_dict()")
    weights = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not weights:
        raise ModelError(where, f"holds no tensors (its keys: {', '.join(map(str, list(content)[:5])) or 'none'})", "save net.state_dict()")
    listed = getattr(content, "_metadata", None)
    modules = [str(name) for name in listed] if isinstance(listed, Mapping) else []
    for prefix in PREFIXES * 2:
        if all(name.startswith(prefix) for name in weights):
            weights = {name[len(prefix) :]: value for name, value in weights.items()}
            modules = [name.removeprefix(prefix) for name in modules]
    check_tensors(weights, where)
    found = Weights(weights)
    found.modules = tuple(name for name in modules if name)
    found.left = tuple(str(name) for name, value in content.items() if not isinstance(value, Tensor))
    return found


def check_tensors(weights: Mapping[str, Tensor], where: str) -> None:
    """Raise ``ModelError`` for a tensor that claims more numbers than are stored, or has NaN or infinite values."""
    for name, tensor in weights.items():
        if tensor.layout != torch.strided or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            what = f"{name!r} claims {tensor.numel():,} numbers, more than the file stores"
            raise ModelError(where, what, "save net.state_dict() as plain tensors")
        bad = int((~torch.isfinite(tensor)).sum()) if tensor.is_floating_point() else 0
        if bad:
            what = f"{name!r} has {bad} NaN or infinite values of {tensor.numel()}"
            raise ModelError(where, what, "the training diverged, or the file is damaged")


def summary(weights: Mapping[str, Tensor]) -> str:
    """The first few names and shapes."""
    shown = [f"{name} {list(tensor.shape)}" for name, tensor in list(weights.items())[:4]]
    return ", ".join(shown) + (f", ... {len(weights)} tensors" if len(weights) > 4 else "")


def fill(module: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Load weights into a module, every name and shape accounted for; left-over run state is dropped.

    Raises ``ModelError`` listing what is missing, unexpected or of another shape.
    """
    own = module.state_dict()
    given = {n: w for n, w in weights.items() if n in own or n.rpartition(".")[2] not in RUN_STATE}
    missing, extra = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    differ = [n for n in own if n in given and given[n].shape != own[n].shape]
    other = [f"{n} is {list(given[n].shape)}, the module has {list(own[n].shape)}" for n in differ]
    found = [
        *([f"missing in the file: {_some(missing)}"] if missing else []),
        *([f"unknown to the module: {_some(extra)}"] if extra else []),
        *([f"other shapes: {_some(other)}"] if other else []),
    ]
    if found:
        what = f"does not fit {type(module).__name__} of --arch; " + "; ".join(found)
        raise ModelError(where, what, "build the module with the arguments it was trained with: --arch 'file.py:Net(channels=128)'")
    module.load_state_dict(given)
    module.eval()


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
