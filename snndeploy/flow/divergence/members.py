"""Why a decoupled burst layer and the graph's neuron part on the same input: a flaw of the construction, its parameters, or rounding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from snndeploy.arrays import Floats, Ints, frozen, same
from snndeploy.chip.models import DECAY_UNIT
from snndeploy.chip.network import ChipNetwork
from snndeploy.errors import ChipError
from snndeploy.flow.divergence import rungs
from snndeploy.flow.divergence.apart import DECAY_STEP
from snndeploy.flow.divergence.around import graph_sums
from snndeploy.flow.divergence.comparing import NEAR, Alone
from snndeploy.flow.divergence.flaws import Flaw, Ideal, flaws, ideal, snapped, wanted
from snndeploy.flow.divergence.folds import Fold, Series
from snndeploy.flow.divergence.inlets import entering
from snndeploy.flow.divergence.mending import judged
from snndeploy.flow.divergence.sides import Side, fed_name, part, run_part
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Input
from snndeploy.ir.neurons.decoupling import UNIT
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.sim import kernels
from snndeploy.verdict import Suspect

FAR = 0.1
"""Sums that are off by more than this part of the threshold were not merely rounded."""
ROUNDED = 3.0
"""Thresholds farther apart than so many times what rounding may do were not merely rounded: the scale is known from them."""
COARSE = 0.1
"""Amounts farther apart than this part were not merely rounded to the lateral synapses."""


@dataclass(frozen=True, eq=False)
class Case:
    """A decoupled layer alone, fed as the graph's neuron was: ``network``, its faultless integers, and what both sides gave."""

    graph: Side
    chip: Side
    fold: Fold
    network: ChipNetwork
    apart: Alone
    steps: int

    @property
    def wanted(self) -> Series:
        """What the graph's neuron sent."""
        return self._shaped(self.apart.run_a.outputs[self.fold.layer.name])

    @property
    def given(self) -> Series:
        """What the chip's layer sent."""
        return self._shaped(self.fold.sent(self.apart.run_b.outputs))

    def sent(self, network: ChipNetwork) -> Series:
        """What the layer sends, changed to this network."""
        feeds = rungs.fed_anew(self.chip, self.apart.feeds_a, self.apart.feeds_b)
        return self._shaped(self.fold.sent(run_part(network, feeds, self.chip.execute).outputs))

    def _shaped(self, values: Series) -> Series:
        return values[: self.steps].reshape(min(len(values), self.steps), -1, *self.fold.shape)

    def real_sums(self) -> Floats:
        """What enters the graph's neuron [T, B, *shape], with its gain and its rest."""
        network = part(self.graph, self.fold.layer.name)
        assert isinstance(network, Graph)
        return self._shaped(_real_sums(self.fold, network, self.apart.feeds_a))


def _real_sums(fold: Fold, network: Graph, feeds: Mapping[str, Series]) -> Floats:
    sums = graph_sums(network, fold.layer.name, feeds)
    return np.asarray(sums * fold.node.gain + fold.node.rest * (1 - fold.node.decay))


def silent(fold: Fold, network: Graph) -> Floats:
    """[size] what enters the graph's neuron, which stands alone in ``network``, where nothing is sent."""
    feeds = {n.removesuffix(fed_name("")): np.zeros((1, 1, *node.shape)) for n, node in network.named(Input).items()}
    return _real_sums(fold, network, feeds).reshape(-1)


def suspects(case: Case) -> Iterator[Suspect]:
    """A flaw that, mended, makes the layer the burst neuron that it stands for; else what the two sides hold differently."""
    i = _ideal(case)
    found, stands = list(flaws(case.fold, case.network, i)), claimed(case, i)
    if found and not _equal(case.given, stands):
        yield from _mended(case, found, stands)
        return
    tried: list[Suspect] = []
    for trials in (_inlets(case), _parameters(case, i), _sums(case, i)):
        if not any(said.reproduces == "mended" for said in tried):
            tried += trials
    yield from tried
    if not any(said.reproduces == "mended" for said in tried):
        words = "the layer is the burst neuron that its integers say, spike for spike: what was rounded is the integers"
        yield Suspect("rounding", words, "mended" if _equal(case.given, stands) else "inferred", read=True)
    yield from (Suspect(cause, f"on the chip, where it changes nothing here: {words}", "inferred", read=True) for cause, words, _ in found)


def flawed(case: Case) -> bool:
    """True if the layer is not the burst neuron that its own integers stand for, on what entered it."""
    i = _ideal(case)
    return not _equal(case.given, claimed(case, i))


def _ideal(case: Case) -> Ideal:
    inside = part(case.graph, case.fold.layer.name)
    assert isinstance(inside, Graph)
    return ideal(case.fold, silent(case.fold, inside))


def claimed(case: Case, i: Ideal, entered: Ints | None = None) -> Series:
    """What the burst neuron of those integers sends for what enters the layer, or for other sums with the constant in them."""
    shape = case.fold.shape
    sums, bias = entering(case.fold, case.network, case.apart.feeds_b)
    if entered is not None:
        sums, bias = entered - i.constant.reshape(shape), np.zeros_like(bias)
    amounts = None if i.amounts is None else frozen(i.amounts.reshape(-1, *shape))
    count = case.fold.layer.rungs
    node = IntegerNeuron(
        frozen(DECAY_UNIT - 1), frozen((DECAY_UNIT - i.keep).reshape(shape)), frozen(i.thresholds.reshape(-1, *shape)),
        frozen(np.arange(1.0, count + 1)), reset="hard" if amounts is None else "subtract", amounts=amounts,
    )  # fmt: skip
    state: Any = {w: values[None] for w, values in node.initial_state(shape).items()}
    sent = []
    levels = np.stack([np.zeros_like(case.fold.levels[0]), *case.fold.levels])
    for now, host in zip(sums[: case.steps], bias[: case.steps], strict=True):
        y, state = node.step((now + i.constant.reshape(shape) + host / UNIT,), state, NUMPY)
        sent.append(np.take_along_axis(np.broadcast_to(levels[:, None], (count + 1, *y.shape)), y[None].astype(np.int64), axis=0)[0])
    return np.stack(sent)


def _mended(case: Case, found: list[Flaw], stands: Series) -> Iterator[Suspect]:
    """Each flaw mended by itself; where none is all of it, they are listed as read."""
    made = []
    for cause, words, mend in found:
        sent = case.sent(mend(case.network))
        how: Literal["output", "claim", "no"] = "output" if _equal(sent, case.wanted) else "claim" if _equal(sent, stands) else "no"
        made.append((int((np.abs(sent - case.wanted) > NEAR).sum()), Suspect(cause, f"on the chip: {words}", how, read=True)))
    whole = [entry for entry in made if entry[1].reproduces != "no"]
    if whole:
        yield from (suspect for _, suspect in sorted(whole, key=lambda entry: entry[0]))
        return
    mended = case.network
    for _, _, mend in found:
        mended = mend(mended)
    sent = case.sent(mended)
    together: Literal["output", "claim", "inferred"] = "output" if _equal(sent, case.wanted) else "inferred"
    together = "claim" if together == "inferred" and _equal(sent, stands) else together
    yield from (Suspect(s.cause, f"{s.words}, together with the others", together, read=True) for _, s in made)


def _equal(x: Series, y: Series) -> bool:
    length = min(len(x), len(y))
    return bool((np.abs(x[:length] - y[:length]) <= NEAR).all())


def _parameters(case: Case, i: Ideal) -> Iterator[Suspect]:
    """Thresholds, decays and amounts that are farther apart than a register's rounding."""
    node, fold = case.fold.node, case.fold
    theta = wanted(node.thresholds, fold)
    off = np.abs(theta - i.thresholds * i.scale)
    if (off > ROUNDED * snapped(i) * i.scale).any():
        j, n = np.unravel_index(int(off.argmax()), off.shape)
        said = f"threshold {j + 1} of neuron {n} is {i.thresholds[j, n] * i.scale:.5g}, the graph's {theta[j, n]:.5g}"
        right = np.rint(theta / i.scale).astype(np.int64)
        yield _again(case, i, "threshold", said, claimed(case, replace(i, thresholds=right)))
    keep, decay = i.keep / DECAY_UNIT, wanted(node.decay, fold)
    if (np.abs(keep - decay) > DECAY_STEP).any():
        said = f"the chip keeps {keep[0]:.5g}, the graph {decay[0]:.5g}"
        yield _again(case, i, "decay", said, claimed(case, replace(i, keep=np.rint(decay * DECAY_UNIT).astype(np.int64))))
    if i.amounts is not None:
        amounts = wanted(node.amounts, fold)
        if not same(np.abs(amounts - i.amounts * i.scale) > COARSE * np.abs(amounts) + UNIT * i.scale, np.zeros(amounts.shape, np.bool_)):
            said = f"the reset takes {i.amounts[0, 0] * i.scale:.5g} at the first rung, the graph {amounts[0, 0]:.5g}"
            right = np.rint(amounts / i.scale).astype(np.int64)
            yield _again(case, i, "reset-kind", said, claimed(case, replace(i, amounts=right)))


def _sums(case: Case, i: Ideal) -> Iterator[Suspect]:
    """What enters, where it is off by more than rounding."""
    sums, bias = entering(case.fold, case.network, case.apart.feeds_b)
    chip = (((sums + i.constant.reshape(case.fold.shape)) << kernels.INPUT_SHIFT) + bias)[: case.steps] * i.scale
    real = case.real_sums()
    gap = real - chip
    most, least = float(np.abs(gap).max(initial=0)), float(np.abs(gap).min(axis=(0, 1)).max(initial=0))
    theta = float(np.abs(case.fold.node.thresholds).max())
    # where thresholds lie on a coarse grid, all sums are off by as much, relatively
    far = FAR * theta + float(np.abs(chip).max(initial=0)) * float((snapped(i) / np.maximum(i.thresholds.min(axis=0), 1)).max())
    words = f"what enters is off by up to {most:.3g}, by {least:.3g} even at best, where the threshold is {theta:.3g}"
    whole = np.rint(real / i.scale / UNIT).astype(np.int64)
    if least > far:
        yield _again(case, i, "bias", words, claimed(case, i, whole))
    if most > far + FAR * max(0.0, float(np.abs(real).max(initial=0)) - theta):
        yield _again(case, i, "weights", words, claimed(case, i, whole))


def _again(case: Case, i: Ideal, cause: str, words: str, sent: Series) -> Suspect:
    """What the run of the burst neuron with one number mended says."""
    before, left = (int((np.abs(values - case.wanted) > NEAR).sum()) for values in (claimed(case, i), sent))
    return judged(cause, words, before, left)


def _inlets(case: Case) -> Iterator[Suspect]:
    """What the synapses from a decoupled source contradict each other in, mended and run again."""
    assert isinstance(case.chip.network, ChipNetwork)
    before = int((np.abs(case.given - case.wanted) > NEAR).sum())
    for cause, words, mend in rungs.mends(case.chip, case.fold.layer.name):
        try:
            network = part(replace(case.chip, network=mend(case.chip.network)), case.fold.layer.name)
        except ChipError:
            continue
        assert isinstance(network, ChipNetwork)
        left = int((np.abs(case.sent(network) - case.wanted) > NEAR).sum())
        yield judged(cause, words, before, left)
