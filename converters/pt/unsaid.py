"""What a bare file does not say and was taken at its default, and what it says that nothing here reads: note by note."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from torch import Tensor

from converters import Fact
from converters.pt.bare import BUFFERS, Entry
from converters.pt.chained import Chained
from converters.pt.reading import RUN_STATE, Weights
from snndeploy.errors import ModelError

QUANTIZERS = frozenset(
    [
        *("weight_fake_quant", "activation_post_process", "fake_quant_enabled", "observer_enabled", "zero_point", "scale"),
        *("weight_scale", "weight_zero_point", "input_scale", "output_scale", "_packed_params", "_weight_bias"),
        *("weight_quant", "bias_quant", "input_quant", "output_quant", "act_quant", "tensor_quant", "scaling_impl"),
        *("fused_activation_quant_proxy", "quantizer", "step_size", "scale_int", "qweight", "qzeros", "scales"),
    ]
)
"""Parts of names that quantizers leave: torch.ao (QAT and converted), Brevitas, learned step sizes, packed integers."""
HARMLESS = RUN_STATE | BUFFERS | {"b", "act_fun.alpha", "recurrent.v"}
"""Keys that change nothing: the state of the last batch, counts of training, widths of surrogate gradients."""
READ: Mapping[str, frozenset[str]] = {
    "weights": frozenset(["weight", "bias"]),
    "norm": frozenset(["running_mean", "running_var", "weight", "bias", "Vth"]),
}
"""The keys that are read of a layer."""


def check_quantizers(weights: Mapping[str, Tensor], where: str) -> None:
    """Raise ``ModelError`` for tensors, or packed values, that only a quantizer leaves: its numbers would go unused."""
    left = weights.left if isinstance(weights, Weights) else ()
    for name in (*weights, *left):
        words = name.split(".")
        found = next((word for word in words[1:] if word in QUANTIZERS), None)
        if found is not None and not _norm_beside(name, weights):
            what = (
                f"has {name!r}, which a quantizer leaves ({found}): the network computes with rounded numbers, "
                "and a file of weights does not say which"
            )
            hint = "save the rounded weights: float ones, as the layers use them, under their layers' own names"
            raise ModelError(where, what, hint)


def _norm_beside(name: str, weights: Mapping[str, Tensor]) -> bool:
    """Whether a key stands beside the running statistics of a norm, where "scale" is no quantizer's."""
    return name.rpartition(".")[0] + ".running_mean" in weights


def notes(chain: Chained, entries: Sequence[Entry], weights: Mapping[str, Tensor]) -> Iterator[str]:
    """Every note, assumptions first; each ASSUMED one names the option that changes it."""
    yield from _defaults(chain)
    yield from _classes(chain)
    yield from _layers(chain)
    yield from _integers(entries)
    if isinstance(weights, Weights):
        yield from _quantizers(weights)
    yield from _unread(chain, entries, weights)


def _defaults(chain: Chained) -> Iterator[str]:
    """Settings of neurons that were taken at their library's defaults; neurons with the same ones together."""
    same: dict[str, list[str]] = {}
    for name, meant in chain.meant.items():
        assumed = [f"{f.name}={f.value}" for f in meant.asked.values() if f.origin == "ASSUMED"]
        if assumed:
            same.setdefault(", ".join(assumed), []).append(chain.asked[name])
        yield from (f"{name}: {fact.name}: {fact.value}" for fact in meant.said if fact.origin == "ASSUMED")
    for text, names in same.items():
        yield f"ASSUMED of {', '.join(names)}, by the library's defaults: {text} (--neuron '{names[0]}: ...' changes it)"


def _classes(chain: Chained) -> Iterator[str]:
    """Neurons that are known by keys which other classes leave too."""
    same: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name, (kind, twins) in chain.by_keys.items():
        if twins:
            same.setdefault((kind, twins), []).append(name)
    for (kind, twins), names in same.items():
        leaves = "leaves" if len(twins) == 1 else "leave"
        option = f"--neuron '{names[0]}: {twins[0]}()' says otherwise"
        yield f"ASSUMED {', '.join(names)} to be {kind}: {' and '.join(twins)} {leaves} the same keys in a file ({option})"


def _layers(chain: Chained) -> Iterator[str]:
    """Settings of layers that were taken at torch's defaults; layers with the same ones together."""
    same: dict[str, list[str]] = {}
    for entry in chain.semantics:
        if entry.layer not in chain.meant and entry.was.endswith("in the file"):
            assumed = ", ".join(_said(fact) for fact in entry.facts if fact.origin == "ASSUMED")
            if assumed:
                same.setdefault(assumed, []).append(entry.layer)
    for text, names in same.items():
        word = "BatchNorm2d(eps=1e-3)" if text.startswith("eps=") else "Conv2d(stride=2, padding=1)"
        layer = f"--layer '{names[0]}: {word}' says it; " if "=" in text and not text.startswith("pre_hook") else ""
        yield f"ASSUMED of {', '.join(names)}, by the library's defaults: {text} ({layer}--arch names code with others)"


def _said(fact: Fact) -> str:
    return f"{fact.name}={fact.value}"


def _integers(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        weight = entry.tensors.get("weight")
        if entry.kind == "weights" and weight is not None and not weight.is_floating_point() and not weight.is_quantized:
            kind = str(weight.dtype).removeprefix("torch.")
            yield f"ASSUMED {entry.name}.weight, of type {kind}, to be weights as they are, of scale 1 (--arch names code that scales them)"


def _quantizers(weights: Weights) -> Iterator[str]:
    """Quantizers that the file lists among its modules and that have no tensors of their own."""
    found = [name for name in weights.modules if name.rpartition(".")[2] in QUANTIZERS]
    owners = list(dict.fromkeys(next(n for n in _prefixes(name) if n.rpartition(".")[2] in QUANTIZERS) for name in found))
    if owners:
        yield (
            f"ASSUMED that the quantizers {', '.join(owners)} do nothing: the file names them, and not what they round to, "
            "so the weights are taken as they stand (--arch names the code)"
        )


def _prefixes(name: str) -> Iterator[str]:
    words = name.split(".")
    return (".".join(words[: k + 1]) for k in range(len(words)))


def _unread(chain: Chained, entries: Iterable[Entry], weights: Mapping[str, Tensor]) -> Iterator[str]:
    """Keys that nothing here used: harmless ones, and those whose meaning is not known."""
    known = {f"{entry.name}.{key}".lstrip(".") for entry in entries for key in READ.get(entry.kind, frozenset())}
    known |= {f"{name}.{setting}" for handle, meant in chain.meant.items() if (name := chain.asked[handle]) for setting in meant.asked}
    known |= {f"{name}.{setting}" for name, settings in chain.read.items() for setting in settings}
    unread = [name for name in weights if name not in known and not _stored_otherwise(name)]
    harmless = [name for name in unread if _harmless(name, weights)]
    open_ = [name for name in unread if name not in harmless]
    if open_:
        yield f"ASSUMED that {_few(open_)}, which nothing here reads, change nothing (--arch names code that uses them)"
    if harmless:
        yield f"not read, and without effect: {_few(harmless)} (what the last batch left, or what training alone uses)"
    left = weights.left if isinstance(weights, Weights) else ()
    if left:
        yield f"not read: {_few(left)}, no tensors (--arch names code that uses them)"


def _harmless(name: str, weights: Mapping[str, Tensor]) -> bool:
    owner, _, last = name.rpartition(".")
    return last in HARMLESS or name.endswith("act_fun.alpha") or (last == "V" and f"{owner}.recurrent.V" in weights)


def _stored_otherwise(name: str) -> bool:
    """Whether a weight is stored in parts that were multiplied out (weight_norm, pruning)."""
    return (
        name.endswith(("weight_g", "weight_v", "weight_orig", "weight_mask", "bias_orig", "bias_mask"))
        or ".parametrizations." in f".{name}"
    )


def _few(names: Sequence[str]) -> str:
    """Names, those of one kind together: ``lif1.mem``, ``num_batches_tracked of bn1 and 19 more``."""
    if len(names) <= 12:
        return ", ".join(names)
    by_kind: dict[str, list[str]] = {}
    for name in names:
        by_kind.setdefault(name.rpartition(".")[2], []).append(name.rpartition(".")[0])
    return ", ".join(
        f"{kind} of {owners[0]} and {len(owners) - 1} more" if owners[1:] else f"{owners[0]}.{kind}" for kind, owners in by_kind.items()
    )
