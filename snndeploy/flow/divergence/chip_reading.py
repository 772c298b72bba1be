"""What two layers of chip networks hold differently, read from their registers and synapses, and the class of each difference."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from snndeploy.arrays import Ints, same
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Projection, Sparse, Wire, loihi_weights
from snndeploy.flow.divergence.chip_changes import Change

CLASSES = {
    "vth": "threshold", "vth_hi": "threshold", "vth_lo": "threshold", "du": "decay", "dv": "decay", "bias_mant": "bias",
    "bias": "bias", "bias_exp": "exponent", "exponent": "exponent", "u": "start", "v": "start", "reset_interval": "timed-reset",
    "reset_offset": "timed-reset", "delay": "delay", "delays": "delay", "padding": "padding", "graded": "graded",
}  # fmt: skip
"""The class of a field that differs; of weights it depends on how, of any other it is the structure."""
TOGETHER = {
    "bias": ("bias_mant", "bias_exp", "bias"),
    "threshold": ("vth", "vth_hi", "vth_lo"),
    "decay": ("du", "dv"),
    "start": ("u", "v"),
    "timed-reset": ("reset_interval", "reset_offset"),
}
"""Fields that are one thing of a neuron: where several of them differ, they are tried at once too."""


def differences(a: ChipNetwork, b: ChipNetwork, layer: str) -> Iterator[Change]:
    """What turns the layer of ``a``, alone, into that of ``b``: one field at a time, then all of it."""
    p, q = a.populations[layer].model, b.populations[layer].model
    if type(p) is type(q):
        for name in _unlike(p, q):
            words = f"{name}: {show(getattr(p, name))} against {show(getattr(q, name))}"
            yield CLASSES.get(name, "structure"), words, partial(_register, a, b, layer, name)
        yield from _together(a, b, layer)
    yield from _projections(a, b)
    yield "structure", "the whole layer is another", lambda: b


def _together(a: ChipNetwork, b: ChipNetwork, layer: str) -> Iterator[Change]:
    """Registers that say one thing together."""
    p, q = a.populations[layer].model, b.populations[layer].model
    apart = _unlike(p, q)
    for cause, names in TOGETHER.items():
        both = [name for name in names if name in apart]
        if len(both) > 1:
            words = "; ".join(f"{name}: {show(getattr(p, name))} against {show(getattr(q, name))}" for name in both)
            yield cause, words, partial(_register, a, b, layer, *both)


def same_layer(a: ChipNetwork, b: ChipNetwork) -> bool:
    """Whether two layers that stand alone hold the same integers."""
    if a.populations.keys() != b.populations.keys() or len(a.projections) != len(b.projections):
        return False
    models = ((a.populations[n].model, b.populations[n].model) for n in a.populations)
    if any(type(x) is not type(y) or _unlike(x, y) for x, y in models):
        return False
    return all(_same_projection(p, q) for p, q in zip(a.projections, b.projections, strict=True))


def show(value: Any) -> str:
    """A number, or an array's shape and range."""
    if not isinstance(value, np.ndarray):
        return str(value)
    if value.size and (value == value.flat[0]).all():
        return str(value.flat[0])
    return f"{list(value.shape)} {value.min(initial=0)}..{value.max(initial=0)}"


def _unlike(p: Any, q: Any) -> list[str]:
    """The fields that differ; what a program was compiled from is none: nothing runs it."""
    return [f.name for f in dataclasses.fields(p) if f.name != "definition" and not same(getattr(p, f.name), getattr(q, f.name))]


def _same_projection(p: Projection, q: Projection) -> bool:
    alike = [n for n in _unlike(p, q) if n not in ("name", "synapses")] == [] and type(p.synapses) is type(q.synapses)
    return alike and not _unlike(p.synapses, q.synapses)


def _register(a: ChipNetwork, b: ChipNetwork, layer: str, *names: str) -> ChipNetwork:
    population = a.populations[layer]
    model: Any = replace(population.model, **{name: getattr(b.populations[layer].model, name) for name in names})
    return replace(a, populations={**a.populations, layer: replace(population, model=model)})


def _projections(a: ChipNetwork, b: ChipNetwork) -> Iterator[Change]:
    ours, theirs = _by_place(a), _by_place(b)
    for place in ours.keys() | theirs.keys():
        p, q = ours.get(place), theirs.get(place)
        odd = (p or q) if p is None or q is None else None
        if odd is not None:
            cause, words = _more_or_less(a, b, odd)
            yield cause, words, partial(_exchanged, a, p, q)
        elif p is not None and q is not None and not _same_projection(p, q):
            yield from _fields(a, p, q)
            yield "structure", f"{p.name} is another", partial(_exchanged, a, p, q)


def _by_place(network: ChipNetwork) -> dict[tuple[str, int, int], Projection]:
    """Projections by source, port, and which of several between the same ends."""
    found: dict[tuple[str, int, int], Projection] = {}
    seen: Counter[tuple[str, int]] = Counter()
    for p in network.projections:
        found[p.source, p.port, seen[p.source, p.port]] = p
        seen[p.source, p.port] += 1
    return found


def _more_or_less(a: ChipNetwork, b: ChipNetwork, odd: Projection) -> tuple[str, str]:
    lost = odd in a.projections
    twin = next((p for p in (b if lost else a).projections if p.source == odd.source and same(_weights(p), _weights(odd))), None)
    if twin is not None:
        return "duplicate", f"{odd.name} holds the synapses of {twin.name} again, on one side alone"
    return "lost", f"{odd.name} is {'not in the second' if lost else 'in the second alone'}"


def _weights(p: Projection) -> Ints | None:
    return None if isinstance(p.synapses, Wire) else p.synapses.weights


def _exchanged(a: ChipNetwork, p: Projection | None, q: Projection | None) -> ChipNetwork:
    kept = [r for r in a.projections if r is not p]
    return replace(a, projections=(*kept, *([] if q is None else [q])))


def _fields(a: ChipNetwork, p: Projection, q: Projection) -> Iterator[Change]:
    for name in ("exponent", "delay", "graded"):
        if getattr(p, name) != getattr(q, name):
            words = f"{p.name}, {name}: {getattr(p, name)} against {getattr(q, name)}"
            yield CLASSES[name], words, partial(_exchanged, a, p, replace(p, **{name: getattr(q, name)}))
    if type(p.synapses) is not type(q.synapses) or isinstance(p.synapses, Wire) or isinstance(q.synapses, Wire):
        return
    if p.synapses.weights.shape != q.synapses.weights.shape:
        cause, words = _entries(p.synapses, q.synapses)
        yield cause, f"{p.name}: {words}", lambda: _exchanged(a, p, replace(p, synapses=q.synapses))
        return
    for name in _unlike(p.synapses, q.synapses):
        cause, words = CLASSES.get(name, "structure"), f"{show(getattr(p.synapses, name))} against {show(getattr(q.synapses, name))}"
        if name == "weights":
            cause, words = weights_apart(p.synapses, q.synapses)
        yield cause, f"{p.name}, {name}: {words}", partial(_with_synapses, a, p, name, q)


def _with_synapses(a: ChipNetwork, p: Projection, name: str, q: Projection) -> ChipNetwork:
    synapses: Any = replace(p.synapses, **{name: getattr(q.synapses, name)})
    return _exchanged(a, p, replace(p, synapses=synapses))


def weights_apart(s: Dense | Conv | Sparse, t: Any) -> tuple[str, str]:
    """The class of a difference between the weights of two synapses of one kind, and where it begins."""
    w, x = s.weights, t.weights
    apart = np.argwhere(w != x)
    first = tuple(int(i) for i in apart[0])
    words = f"{len(apart)} of {w.size} differ, first at {list(first)}: {w[first]} against {x[first]}"
    if np.array_equal(np.sort(w, axis=None), np.sort(x, axis=None)):
        return "order", f"the same weights in another order; {words}"
    if np.array_equal(x, loihi_weights(w)) or (((x & 1) == 0).all() and np.abs(x - w).max() <= 1):
        return "sign-mode", f"odd weights became even; {words}"
    return _scaled(w, x), words


def _scaled(w: Ints, x: Ints) -> str:
    for by in range(1, 9):
        if np.array_equal(x, w << by) or np.array_equal(x, w >> by):
            return "exponent"
    apart = w != x
    if np.array_equal(x[apart], 2 * w[apart]):
        return "duplicate"
    if not x[apart].any():
        return "lost"
    return "rounding" if np.abs(x - w).max() <= 1 else "weights"


def _entries(s: Dense | Conv | Sparse, t: Any) -> tuple[str, str]:
    """Single synapses that one side has more of."""
    if not isinstance(s, Sparse):
        return "structure", f"shape {list(s.weights.shape)} against {list(t.weights.shape)}"
    ours, theirs = (Counter(zip(x.rows.tolist(), x.columns.tolist(), x.weights.tolist(), strict=True)) for x in (s, t))
    more, less = theirs - ours, ours - theirs
    words = f"{sum(more.values())} synapses more, {sum(less.values())} fewer"
    if more and not less:
        return "duplicate" if all(entry in ours for entry in more) else "weights", words
    return ("lost" if less and not more else "weights"), words
