"""A hard-resetting neuron in the words of a library: what ``--neuron`` takes for a bare file, and a constructor for code.

Words are proposed and then read as ``--neuron`` reads them; only those that give the very neuron are handed out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from converters import Origin
from converters.pt.constructors import neuron_named, parse, settings_from
from converters.pt.neuron import Library, Settings
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import SnnError
from snndeploy.ir.graph import Node
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.lif import LIF

LONGEST_LIST = 8
"""So many numbers of a layer are written out."""


@dataclass(frozen=True)
class Place:
    """Where a neuron stands: the name its user says, the library it is of, its shape, and what its file holds of it.

    ``sources`` are those in whose words alone it may be said: that of ``--source``, None for every library.
    """

    name: str
    library: Library | None
    shape: Shape
    tensors: Mapping[str, Any]
    sources: tuple[Library | None, ...] = (None,)


def as_option(places: Mapping[str, Place], nodes: Mapping[str, Node]) -> str:
    """``--neuron 'lif1,lif2: Leaky(beta=0.75, reset_mechanism="zero")'`` for a bare file; "" where no words give these neurons."""
    said = _said(places, nodes)
    return " ".join(f"--neuron '{','.join(names)}: {words}'" for words, names in said.items())


def as_code(places: Mapping[str, Place], nodes: Mapping[str, Node]) -> str:
    """``Leaky(beta=0.75, reset_mechanism="zero") for lif1, lif2 in your code``; "" as for a bare file."""
    said = "; ".join(f"{words} for {', '.join(names)}" for words, names in _said(places, nodes).items())
    return f"{said} in your code, trained again" if said else ""


def _said(places: Mapping[str, Place], nodes: Mapping[str, Node]) -> dict[str, list[str]]:
    """Words -> the names they are said of; {} where one of the neurons has none."""
    said: dict[str, list[str]] = {}
    for layer, node in nodes.items():
        words = in_words(places[layer], node) if layer in places else None
        if words is None:
            return {}
        said.setdefault(words, []).append(places[layer].name)
    return said


def in_words(place: Place, node: Node) -> str | None:
    """The first proposal that is read as the node itself; None where there is none."""
    if not isinstance(node, LIF | CubaLIF):
        return None
    proposed = [words for words in _proposals(place.library, node) if "?" not in words]
    return next((words for words in proposed for source in place.sources if _reads_as(words, node, place, source)), None)


def _reads_as(words: str, node: LIF | CubaLIF, place: Place, source: Library | None) -> bool:
    """Whether ``--neuron`` makes this very neuron of the words."""
    sources: list[tuple[Origin, Mapping[str, Any]]]
    try:
        said = parse("--neuron", place.name, words)[0]
        _, kind = neuron_named(said.kind, source, place.name)
        sources = [("user", settings_from(said, kind, place.name)), ("file", place.tensors), ("ASSUMED", kind.defaults)]
        made = kind.build(Settings(place.name, sources, "", said.kind), place.shape)
    except SnnError:
        return False
    return isinstance(made.node, LIF | CubaLIF) and not made.feedback and _plain(made.node) == _plain(node)


def _plain(node: LIF | CubaLIF) -> LIF | CubaLIF:
    """Without what a hard reset does not read, and without the order in which a library rounds."""
    plain = replace(node, order=None, leak=None)
    return replace(plain, amount=frozen(1.0)) if node.reset == "hard" else plain


def _proposals(library: Library | None, node: LIF | CubaLIF) -> Iterator[str]:
    """Words of the library, then the project's own."""
    of = "" if library is None else library.name
    current, decay, threshold = _numbers(getattr(node, "current_decay", None)), _numbers(node.decay), _numbers(node.threshold)
    level = "" if (node.threshold == 1).all() else f", threshold={threshold}"
    if of == "snntorch" and isinstance(node, CubaLIF):
        yield f'Synaptic(alpha={current}, beta={decay}{level}, reset_mechanism="zero", reset_delay=False)'
    elif of == "snntorch":
        yield f'Leaky(beta={decay}{level}, reset_mechanism="zero")'
    elif of == "spikingjelly" and isinstance(node, LIF):
        yield from _spikingjelly(node, threshold)
    beside = "".join(f", {name}={_numbers(getattr(node, name))}" for name in BESIDE if _said_of(node, name))
    strict = ", strict=True" if node.strict else ""
    lead = f"current_decay={current}, " if isinstance(node, CubaLIF) else ""
    yield f'{type(node).__name__}({lead}decay={decay}{level}, reset="zero"{strict}{beside})'


BESIDE: Mapping[str, float | None] = {"v_reset": 0.0, "rest": None, "gain": 1.0, "current_gain": 1.0}
"""What goes without saying at these values (None: at the reset's)."""


def _said_of(node: LIF | CubaLIF, name: str) -> bool:
    usual = node.v_reset if BESIDE[name] is None else BESIDE[name]
    return hasattr(node, name) and bool(np.any(getattr(node, name) != usual))


def _spikingjelly(node: LIF, threshold: str) -> Iterator[str]:
    """LIFNode by its tau (which its decay says up to rounding), or IFNode."""
    end = f"v_threshold={threshold}, v_reset={_numbers(node.v_reset)}"
    yield f"IFNode({end})"
    keeps = 1.0 - node.decay
    if (keeps > 0).all():
        for tau in (frozen((1.0 / keeps).round(6)), frozen(1.0 / keeps)):
            yield from (f"LIFNode(tau={_numbers(tau)}, {end}, decay_input={entering})" for entering in (True, False))


def _numbers(values: Floats | None) -> str:
    """One number, or a short list; of more what no constructor takes, so that nobody is told to paste it."""
    if values is None:
        return "?"
    if (values == values.flat[0]).all():
        return repr(float(values.flat[0]))
    return str(values.tolist()) if values.ndim == 1 and values.size <= LONGEST_LIST else "?"
