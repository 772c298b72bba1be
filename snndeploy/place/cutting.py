"""How a population is cut into boxes that fit a core."""

from __future__ import annotations

from dataclasses import dataclass

from snndeploy.chip.network import ChipNetwork, Conv, Population
from snndeploy.place.boxes import Box, cut, narrow, volume, whole
from snndeploy.place.budget import Budget
from snndeploy.place.demand import Block, Demand, Wiring, within


@dataclass(frozen=True)
class Option:
    """One way to cut a convolutional layer: at most ``channels`` a core, then by rows where even that is too much.

    ``cores`` and ``axons_in`` are estimated from the first channels.
    """

    channels: int
    cores: int
    axons_in: int


@dataclass(frozen=True, eq=False)
class Plan:
    """How a population is cut: its blocks and what each takes alone. ``options``, cheapest first, where there was a choice."""

    blocks: tuple[Block, ...]
    demands: tuple[Demand, ...]
    options: tuple[Option, ...] = ()


def plan(net: Wiring, limits: Budget, population: Population, cap: float) -> Plan:
    """Cut a population into boxes of at most ``cap`` neurons, each within a core unless a single neuron is too much."""
    boxes, options = _cut(net, limits, population, cap)
    blocks = tuple(Block(population.name, box) for box in boxes)
    return Plan(blocks, tuple(net.demand([block]) for block in blocks), options)


def _cut(net: Wiring, limits: Budget, population: Population, cap: float) -> tuple[list[Box], tuple[Option, ...]]:

    def fits(box: Box) -> bool:
        return volume(box) <= cap and within(net.demand([Block(population.name, box)]), limits)

    box = whole(population.shape)
    axes = tuple(range(len(box)))
    if fits(box):
        return [box], ()
    like = net.alike[population.name].line
    options: list[Option] = []
    if _convolved(net.network, population):
        options = sorted(_options(net, population, limits, cap), key=lambda o: (o.cores, o.axons_in))
    if options:
        chunks = _chunks(box, options[0].channels)
        parts = [cut(chunk, (*axes[1:], 0), fits, like) for chunk in chunks]
    else:
        parts = [cut(box, axes, fits, like)]
    if any(part is None for part in parts):
        by_number = cut(box, axes, lambda b: volume(b) <= max(1, cap))
        return by_number or [box], ()
    return [b for part in parts for b in part or ()], tuple(options)


def _convolved(network: ChipNetwork, population: Population) -> bool:
    """Boxes of channels and rows matter where sources are shared between positions."""
    return len(population.shape) > 1 and any(isinstance(p.synapses, Conv) for p in network.into(population.name))


def _options(net: Wiring, population: Population, limits: Budget, cap: float) -> list[Option]:
    def fits(box: Box) -> bool:
        return volume(box) <= cap and within(net.demand([Block(population.name, box)]), limits)

    box, found = whole(population.shape), []
    total = population.shape[0]
    for width in sorted({-(-total // n) for n in range(1, total + 1)}, reverse=True):
        chunk = narrow(box, 0, 0, width)
        boxes = cut(chunk, tuple(range(1, len(box))), fits, net.alike[population.name].line)
        if boxes is None:
            continue
        count = -(-total // width)
        found.append(Option(width, count * len(boxes), count * sum(net.demand([Block(population.name, b)]).axons_in for b in boxes)))
        if len(boxes) == 1:
            break
    return found


def _chunks(box: Box, width: int) -> list[Box]:
    first, last = box[0]
    return [narrow(box, 0, at, min(at + width, last)) for at in range(first, last, width)]
