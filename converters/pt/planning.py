"""What runs in which order in a bare file, what the user said of each part, and whether anything is left unsaid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from converters.pt.bare import Entry
from converters.pt.constructors import KNOWN, Said, Wish, is_neuron
from converters.pt.neuron import Library
from converters.pt.rebuilt_layers import LAYERS
from snndeploy.errors import ModelError, OptionError, did_you_mean

PLEASE = {
    "spikingjelly": "LIFNode(tau=2.0)",
    "norse": "LIFCell(stateless=False)",
    "sinabs": "IAF(min_v_mem=-1.0)",
    "snntorch": "Leaky(beta=0.9)",
    "braincog": "LIFNode(tau=2.0)",
}


WEIGHTS = ("Conv1d", "Conv2d", "Linear", "BatchNorm1d", "BatchNorm2d", "tdBatchNorm")
"""Layers that come from the file; the user can say their settings."""
Step: TypeAlias = tuple[str, Entry, tuple[Said, ...]]
"""A name, the file's entry (``NOTHING`` where the user alone speaks), and what the user said."""
NOTHING = Entry("", "gap", {})


def plan(parts: Sequence[Entry], said: Sequence[Wish]) -> list[Step]:
    """What runs, in order. Raises ``OptionError`` for words that are unknown, double, or said of nothing in the file."""
    _check_words(said)
    used: set[int] = set()
    steps = list(_steps(parts, said, used))
    for k, wish in enumerate(said):
        if k not in used:
            names = ", ".join(p.name for p in parts[:12])
            raise OptionError(f"{wish.flag} '{wish.pattern}'", "matches nothing in the file", f"it has {names}")
    return steps


def open_gaps(steps: Sequence[Step]) -> list[str]:
    """Numbers that a Sequential skips and nobody said anything of."""
    return [name for name, entry, said in steps if entry.kind == "gap" and entry is not NOTHING and not said]


def _steps(parts: Sequence[Entry], said: Sequence[Wish], used: set[int]) -> Iterator[Step]:
    """(name, entry, what the user said of it), in running order; parts said behind weights come behind their norm."""
    behind: list[Step] = []
    neurons = any(entry.kind == "neuron" for entry in parts)
    for i, entry in enumerate(parts):
        own, after = _said_of(entry, said, used, neurons)
        if entry.kind != "norm":
            yield from behind
            behind = []
        yield entry.name, entry, own
        behind += [(f"{entry.name}.{_short(p.kind)}" if entry.kind != "gap" else entry.name, NOTHING, (p,)) for p in after]
        if i + 1 == len(parts):
            yield from behind
            yield from ((name, NOTHING, wish.parts) for wish in _appended(said, used, parts) for name in wish.names())


def _appended(said: Sequence[Wish], used: set[int], parts: Sequence[Entry]) -> Iterator[Wish]:
    """Parts for numbers behind the last one of a Sequential: 'layer.2: LIFNode(...)' where the file ends with layer.1."""
    parents = {p.name.rpartition(".")[0] for p in parts if p.name.rpartition(".")[2].isdigit()}
    for k, wish in enumerate(said):
        fresh = [n for n in wish.names() if n.rpartition(".")[2].isdigit() and n.rpartition(".")[0] in parents]
        beyond = [n for n in fresh if all(p.name != n for p in parts)]
        if beyond:
            used.add(k)
            yield Wish(wish.flag, ",".join(beyond), wish.parts)


def _said_of(entry: Entry, said: Sequence[Wish], used: set[int], neurons: bool) -> tuple[tuple[Said, ...], tuple[Said, ...]]:
    """What the user said of an entry itself, and what comes behind it."""
    matching = [(k, wish) for k, wish in enumerate(said) if wish.matches(entry.name)]
    parts = [(k, wish, part) for k, wish in matching for part in wish.parts if _is_meant(entry, wish, part, neurons)]
    used |= {k for k, _, _ in parts}
    if entry.kind == "gap":
        return tuple(part for _, _, part in parts), ()
    own = tuple(p for _, _, p in parts if _is_own(entry, p))
    behind = [(wish, p) for _, wish, p in parts if not _is_own(entry, p)]
    if len({id(wish) for wish, _ in behind}) > 1:
        what = f"says of {entry.name!r} what {behind[0][0].flag} '{behind[0][0].pattern}' says too, and which comes first is open"
        raise OptionError(
            f"{behind[-1][0].flag} '{behind[-1][0].pattern}'", what, "give both in one: 'conv1: LIFNode(tau=2.0), AvgPool2d(2)'"
        )
    return own, tuple(p for _, p in behind)


def _is_meant(entry: Entry, wish: Wish, part: Said, neurons: bool) -> bool:
    """A name that is written out is meant; a wildcard means layers, and neurons only where the file has its own."""
    if entry.name in wish.names() or entry.kind == "neuron":
        return True
    return entry.kind == "weights" and not (neurons and (not part.kind or is_neuron(part.kind)))


def _is_own(entry: Entry, part: Said) -> bool:
    """Whether a part is about the entry itself: a neuron's settings, a convolution's stride."""
    if entry.kind == "neuron":
        return not part.kind or is_neuron(part.kind)
    return part.kind in WEIGHTS


def _short(kind: str) -> str:
    return "neuron" if not kind or is_neuron(kind) else kind.lower()


def _check_words(said: Sequence[Wish]) -> None:
    for wish in said:
        for part in wish.parts:
            if part.kind and part.kind not in (*LAYERS, *WEIGHTS) and not is_neuron(part.kind):
                words = {*LAYERS, *(name for library in KNOWN for name in library.neurons)}
                raise OptionError(
                    f"{wish.flag} '{wish.pattern}'", f"{part.kind!r} is no layer or neuron known here", did_you_mean(part.kind, words)
                )


def check_said(steps: Sequence[Step], source: Library | None, tensors: Mapping[str, Any], where: str) -> None:
    """Every Linear and Conv has a neuron behind it, or the user said that it has none (Identity); all others at once."""
    silent: list[str] = []
    last: str | None = None
    fired = False
    for name, entry, parts in steps:
        neuron = entry.kind == "neuron" or any(_is_neuron_or_none(entry, p) for p in parts)
        if entry.kind == "neuron" and fired:
            what = f"has the neuron {name} right behind another; what runs between them is in your code"
            raise ModelError(where, what, "name it: --arch 'file.py:Net(T=10)'")
        if entry.kind == "weights":
            silent += [last] if last else []
            last = name
        fired = neuron or (fired and entry.kind != "weights")
        last = None if neuron else last
    silent += [last] if last else []
    if silent:
        raise ModelError(where, *_please(silent, steps, source, tensors))


def _is_neuron_or_none(entry: Entry, part: Said) -> bool:
    return entry.kind == "gap" and (not part.kind or is_neuron(part.kind) or part.kind == "Identity")


def _please(silent: Sequence[str], steps: Sequence[Step], source: Library | None, tensors: Mapping[str, Any]) -> tuple[str, str]:
    shapes = ", ".join(f"{n} {list(t.shape)}" for n, t in list(tensors.items())[:3])
    keeps = (
        f" ({source.name} keeps tau, threshold and reset of its neurons in no key)" if source is not None and source.name in PLEASE else ""
    )
    what = f"holds weights only ({shapes}); which neuron stands behind {', '.join(silent)} is not in it{keeps}"
    names = ",".join(silent)
    numbered = f", or by the numbers it skips: {', '.join(skipped)}" if (skipped := open_gaps(steps)) else ""
    example = PLEASE.get(source.name if source else "", 'LIF(tau=2.0, threshold=1.0, reset="zero")')
    hint = f"say it: --neuron '{names}: {example}' (Identity() for none){numbered}; or name your code: --arch 'file.py:Net(T=10)'"
    return what, hint
