"""The order in which the modules of a bare file ran: as they stand, or, where kinds stand in blocks, one of each in turn."""

from __future__ import annotations

from collections.abc import Sequence

from converters.pt.bare import Entry, Kind
from snndeploy.errors import ModelError


def ordered(entries: Sequence[Entry], where: str) -> tuple[list[Entry], str]:
    """The modules in running order, and what was assumed for it.

    ``__init__`` often makes all layers first and all neurons afterwards (fc1, fc2, lif1, lif2). Then the i-th weights,
    the i-th norm and the i-th neuron belong together. Raises ``ModelError`` where the numbers do not fit.
    """
    kinds: list[Kind] = [e.kind for e in entries if e.kind != "gap"]
    if not _in_blocks(kinds):
        return list(entries), "the layers run one behind the other, in the order of the file (--arch names code that says otherwise)"
    blocks = {kind: [e for e in entries if e.kind == kind] for kind in ("weights", "norm", "neuron")}
    counts = {kind: len(block) for kind, block in blocks.items()}
    if counts["neuron"] not in (0, counts["weights"]) or counts["norm"] not in (0, counts["weights"]):
        listed = ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)
        what = f"holds weights only; it lists its layers in blocks ({listed}), and which belong together is in your code"
        raise ModelError(where, what, "name it: --arch 'file.py:Net(T=10)' or --arch pkg.mod:factory")
    columns = [block for block in blocks.values() if block]
    rows = [list(row) for row in zip(*columns, strict=True)]
    listed = "; ".join(" -> ".join(e.name for e in row) for row in rows)
    return [e for row in rows for e in row], f"the file lists layers and neurons in blocks; they are paired in their order: {listed}"


def _in_blocks(kinds: Sequence[Kind]) -> bool:
    """Whether some kind comes again only after another kind that then never comes again: w w n n, not w n w n."""
    runs = [kind for kind, before in zip(kinds, [None, *kinds], strict=False) if kind != before]
    return len(runs) == len(set(runs)) and len(runs) > 1 and kinds.count("weights") > 1


def gaps(entries: Sequence[Entry]) -> list[Entry]:
    """The modules with the numbers that a Sequential skips put in: those without tensors (activations, pooling, neurons).

    A number before the first module, and every number between two modules of one parent, is a gap.
    """
    full: list[Entry] = []
    last: dict[str, int] = {}
    for entry in entries:
        parent, _, number = entry.name.rpartition(".")
        if number.isdigit():
            missing = range(last.get(parent, -1) + 1, int(number))
            full += [Entry(f"{parent}.{m}".lstrip("."), "gap", {}) for m in missing]
            last[parent] = int(number)
        full.append(entry)
    return full
