"""Which inputs of a one-step graph are states, and which outputs hold them afterwards.

A state's new value depends on the old one through elementwise operators alone, without a spike in between, and has its
shape. Where that leaves a choice, the names decide (mem and mem_out, v and v_next); where they do not, the user does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from onnx import NodeProto

from converters.onnx.elementary import COMPARING
from converters.onnx.net import Net, elementary
from snndeploy.errors import OptionError, Unsupported, did_you_mean

FILLING = frozenset(("in", "out", "input", "output", "new", "next", "prev", "previous", "old", "last", "init", "initial", "final"))
"""Parts of a name that say before or after, and not which."""


def find(net: Net, wanted: Mapping[str, str]) -> dict[str, str]:
    """State input -> the output that holds it afterwards; empty where the graph has no state.

    ``wanted`` are the pairs that the user names.

    Raises:
        OptionError: a name in ``wanted`` that is no input or output.
        Unsupported: several inputs could be the state behind an output.
    """
    for before, after in wanted.items():
        _known(before, net.inputs, "input")
        _known(after, net.outputs, "output")
    pairs = dict(wanted)
    if len(net.inputs) < 2:
        return pairs
    compares = any(node.op_type in COMPARING for node in net.nodes)
    _by_dataflow(net, pairs, compares)
    if compares or pairs:
        _by_name(net, pairs)
    return pairs


def _known(name: str, names: Iterable[str], kind: str) -> None:
    if name not in names:
        raise OptionError("--state", f"the file has no {kind} {name!r}", did_you_mean(name, names))


def _by_dataflow(net: Net, pairs: dict[str, str], compares: bool) -> None:
    """Pairs where one input alone can be behind an output, again and again until nothing changes."""
    reach = {name: net.forward([name], lambda node: elementary(node) and not _spikes(net, node)) for name in net.inputs}
    while True:
        open_in = [i for i in net.inputs if i not in pairs]
        open_out = [o for o in net.outputs if o not in pairs.values() and net.real(o) not in net.spikes and net.real(o) not in net.inputs]
        behind = {o: [i for i in open_in if net.real(o) in reach[i] and _alike(net, i, o)] for o in open_out}
        if len(open_in) < 2:
            return
        chosen = _choose(net, {o: candidates for o, candidates in behind.items() if candidates}, compares)
        if chosen is None:
            return
        pairs[chosen[0]] = chosen[1]


def _choose(net: Net, behind: Mapping[str, list[str]], compares: bool) -> tuple[str, str] | None:
    named = [(i, o) for o, candidates in behind.items() for i in candidates if same_name(i, o) and (compares or _says_which(i))]
    if named:
        return named[0]
    if not compares or not behind:
        return None
    single = {o: candidates[0] for o, candidates in behind.items() if len(candidates) == 1}
    for output, before in single.items():
        rivals = [o for o, i in single.items() if i == before and net.real(o) != net.real(output)]
        if not rivals:
            return before, output
    said = "; ".join(f"{o} may follow {' or '.join(candidates)}" for o, candidates in behind.items())
    output, candidates = next(iter(behind.items()))
    raise Unsupported(
        "states", f"which input is the state behind which output is not clear: {said}", f"name it: --state {candidates[-1]}={output}"
    )


def _by_name(net: Net, pairs: dict[str, str]) -> None:
    """What else is fed back: spikes of the step before, whose name or shape says so. One input at least is data."""
    for output in [o for o in net.outputs if o not in pairs.values()]:
        rest = [i for i in net.inputs if i not in pairs]
        cause = net.backward([net.real(output)], lambda _: True)
        fits = [i for i in rest if i in cause and _alike(net, i, output)]
        named = [i for i in fits if same_name(i, output)]
        if named and len(rest) > 1:
            pairs[named[0]] = output


def _spikes(net: Net, node: NodeProto) -> bool:
    return node.op_type in COMPARING or node.output[0] in net.spikes


def _alike(net: Net, before: str, after: str) -> bool:
    shape = net.shapes.get(net.real(after))
    return shape is None or shape == net.inputs[before]


def same_name(before: str, after: str) -> bool:
    """Whether two names say which they are, and say the same."""
    return plain(before) == plain(after) != ""


def _says_which(name: str) -> bool:
    return any(c.isalpha() for c in plain(name))


def plain(name: str) -> str:
    """A name without what says before or after: ``mem1_out`` and ``next_mem1`` are ``mem1``."""
    words = re.findall(r"[a-z]+|\d+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())
    return " ".join(w for w in words if w not in FILLING)
