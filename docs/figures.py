"""Draw every construction of a burst neuron with two rungs, from the graph that the conversion builds.

Neurons, synapses, weights and steps are read from the candidates of ``IntegerNeuron.lower`` and from ``passes.align``; only where
a thing stands on the page is written here. A neuron or a synapse that has no place is an error, so is a place that nothing has.

    python docs/figures.py [folder, docs/figures]
"""

from __future__ import annotations

import dataclasses
import math
import sys
from html import escape
from pathlib import Path

import numpy as np

from snndeploy.ir.graph import Candidate, Graph, Limits
from snndeploy.ir.layers import Input, Scale
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.registers import UNIT
from snndeploy.ir.paths import has_state, neurons, paths_into
from snndeploy.passes.align import align

Point = tuple[float, float]
RADIUS, HEIGHT = 27.0, 26.0
THETA, LEVELS, KEPT, AMOUNTS = (8, 16), (2, 5), 1024, (4, 12)
"""The example: thresholds and amounts in weight units, levels, decay in 4096ths. All sums that are named differ."""
STEPS = "A synapse takes one step unless it says more; a plate is the weight of one."
FONT = 'font-family="Helvetica, Arial, sans-serif" font-size="14"'
BOUND = 20
"""Largest |input| of the example, in weight units."""
INK, PLUS, MINUS, SOFT = "#24292f", "#0550ae", "#b3261e", "#6e7781"


@dataclasses.dataclass(frozen=True)
class Link:
    """One synapse, or several with the same ends: weights in weight units (None: the layer's own), steps each takes."""

    source: str
    target: str
    synapses: tuple[tuple[float | None, int], ...]


@dataclasses.dataclass(frozen=True)
class Route:
    """How a link runs: control points of its curve, where it starts and ends (None: at the edge), where its text stands."""

    via: tuple[Point, ...] = ()
    start: Point | None = None
    end: Point | None = None
    text: Point | None = None


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where everything stands. ``boxes``: name -> (members, left, top, width, height). ``symbols``: weight -> its name."""

    size: tuple[int, int]
    places: dict[str, Point]
    routes: dict[tuple[str, str], Route]
    boxes: dict[str, tuple[tuple[str, ...], float, float, float, float]] = dataclasses.field(default_factory=dict)
    note: str = ""


def example(reset: str) -> IntegerNeuron:
    """The burst neuron of the figures."""
    amounts = {"amounts": np.array(AMOUNTS, float) * UNIT} if reset == "subtract" else {}
    thresholds, levels = np.array(THETA, float) * UNIT, np.array(LEVELS, float)
    return IntegerNeuron(4095.0, 4096.0 - KEPT, thresholds, levels, 0.0, reset, **amounts)


def constructions() -> dict[str, Candidate]:
    """Every construction of the example, by name."""
    limits = Limits((1,), BOUND, programs=True, payload_bits=24)
    found = {c.construction: c for reset in ("hard", "subtract") for c in example(reset).lower(limits)}
    inexact = [name for name, c in found.items() if not c.exact]
    if inexact:
        raise ValueError(f"not exact for the example: {inexact}")
    return found


def links(graph: Graph) -> list[Link]:
    """What reaches every neuron, and the output: there the weight is an item of its own, since several spikes may share it."""
    times = align(graph)
    found: dict[tuple[str, str], list[tuple[float | None, int]]] = {}
    for name in neurons(graph):
        for path in paths_into(graph, name):
            scales = [n for n in path.nodes if isinstance(graph.nodes[n], Scale)]
            weight = weight_of(graph, scales[0]) if scales else None
            found.setdefault((path.source, name), []).append((weight, 1 + times.delay(path, name)))
    read = [(edge.source, source, delay) for edge in graph.into("out") for source, delay in behind(graph, edge.source)]
    last = max(times.shifts[source] - delay for _, source, delay in read)
    for item, source, delay in read:
        found.setdefault((source, item if item != source else "out"), []).append((None, 1 + last - times.shifts[source] + delay))
    found |= {(item, "out"): [(None, 1)] for item, source, _ in read if item != source}
    return [Link(*ends, tuple(sorted(synapses, key=lambda s: s[1]))) for ends, synapses in found.items()]


def behind(graph: Graph, name: str) -> list[tuple[str, int]]:
    """The neurons and inputs that reach a node of the output, and how late."""
    if has_state(graph.nodes[name]) or isinstance(graph.nodes[name], Input):
        return [(name, 0)]
    return [(source, late + edge.delay) for edge in graph.into(name) for source, late in behind(graph, edge.source)]


def weight_of(graph: Graph, name: str) -> float:
    """The one value of a Scale."""
    node = graph.nodes[name]
    if not isinstance(node, Scale) or len(np.unique(node.scale)) != 1:
        raise TypeError(f"{name}: not a synapse of one value")
    return float(node.scale.flat[0])


def grouped(found: list[Link], layout: Layout) -> list[Link]:
    """Links from one source to every member of a box become one link to the box."""
    for box, (members, *_) in layout.boxes.items():
        for source in dict.fromkeys(link.source for link in found):
            inside = [link for link in found if link.source == source and link.target in members]
            if len(inside) == len(members) and len({link.synapses for link in inside}) == 1:
                found = [link for link in found if link not in inside] + [Link(source, box, inside[0].synapses)]
    return found


def symbols(name: str, graph: Graph) -> dict[float, str]:
    """Names of the weights within a construction, by value: the forces that it chose, and what the amounts make."""
    known: dict[float, str] = {}
    forces = {"ping-pong": {"F": "A1.A"}, "look-ahead": {"F": "A.B", "G": "T.C.kick"}, "two-phase": {"F": "force"}}
    for letter, scale in forces.get(name.removesuffix("-direct"), {}).items():
        value = weight_of(graph, scale)
        known |= {value: f"+{letter}", -value: f"−{letter}"}
    if name == "lateral":
        keep, (one, two) = KEPT / 4096, (AMOUNTS[0], AMOUNTS[1] - AMOUNTS[0])
        known |= {-keep * one: "−d ρ₁", -keep * two: "−d (ρ₂ − ρ₁)", keep * (THETA[0] - one): "+d (θ₁ − ρ₁)"}
        known[keep * (THETA[1] - two)] = "+d (θ₂ − ρ₂ + ρ₁)"
    return known


def plates() -> dict[float, str]:
    """Names of the weights into the output, by value."""
    one, two = LEVELS
    return {one: "a₁", two - one: "(a₂ − a₁)", -two: "(−a₂)", one - two: "(a₁ − a₂)", 2 * one - two: "(2a₁ − a₂)"}


def subscript(name: str) -> str:
    """A1 as A with a subscript."""
    return name.translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def kind(node: IntegerNeuron) -> str:
    """What a neuron's circle says below its name: the threshold it has, and what it forgets."""
    if node.rungs > 1:
        return "program"
    weight_units = float(node.thresholds.flat[0]) / UNIT
    if weight_units in THETA:
        return f"> θ{'₁₂'[THETA.index(int(weight_units))]}"
    return {0: "every 2nd", 4095: "both"}[int(node.dv)]


class Page:
    """The picture, line by line."""

    def __init__(self, name: str, graph: Graph, layout: Layout) -> None:
        self.graph, self.layout, self.names = graph, layout, symbols(name, graph)
        width, height = layout.size
        self.lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" {FONT}>',
            f"<title>{name}</title>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        ]
        for colour in (INK, PLUS, MINUS, SOFT):
            self.lines.append(
                f'<marker id="{colour[1:]}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
                f'<path d="M0 0L10 5L0 10z" fill="{colour}"/></marker>'
            )

    def text(self, at: Point, words: str, colour: str = INK, size: int = 14, anchor: str = "middle") -> None:
        """One line of text."""
        where = f'x="{at[0]:g}" y="{at[1]:g}" dominant-baseline="central"'
        self.lines.append(f'<text {where} text-anchor="{anchor}" font-size="{size}" fill="{colour}">{escape(words)}</text>')

    def rectangle(self, left: float, top: float, width: float, height: float, style: str) -> None:
        """A rounded rectangle."""
        self.lines.append(f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="8" {style}/>')

    def label(self, name: str) -> str:
        """What an item says."""
        node = self.graph.nodes[name]
        if isinstance(node, Scale):
            weight = weight_of(self.graph, name)
            return "× " + plates()[weight]
        return {"in": "input", "out": "output", "one": "1 at every step:"}.get(name, subscript(name))

    def item(self, name: str) -> None:
        """A neuron as a circle, a weight into the output as a plate, input and output as words."""
        (x, y), node = self.layout.places[name], self.graph.nodes[name]
        if isinstance(node, IntegerNeuron):
            self.lines.append(f'<circle cx="{x:g}" cy="{y:g}" r="{RADIUS:g}" fill="#f6f8fa" stroke="{INK}" stroke-width="1.5"/>')
            self.text((x, y - 7), self.label(name) if name != "neuron" else "burst")
            self.text((x, y + 10), kind(node), SOFT, 10)
            return
        if isinstance(node, Scale):
            half = self.half(name)
            self.rectangle(x - half, y - HEIGHT / 2, 2 * half, HEIGHT, f'fill="#fff8e1" stroke="{SOFT}"')
        self.text((x, y), self.label(name))

    def half(self, name: str) -> float:
        """Half the width of an item's words."""
        return 4 * len(self.label(name)) + 8

    def edge(self, name: str, towards: Point) -> Point:
        """Where a line from the middle of an item to a point leaves the item."""
        if name in self.layout.boxes:
            _, left, top, wide, high = self.layout.boxes[name]
            x, y, half, tall = left + wide / 2, top + high / 2, wide / 2, high / 2
        else:
            (x, y), half, tall = self.layout.places[name], 0.0, HEIGHT / 2
        dx, dy = towards[0] - x, towards[1] - y
        if half == 0 and isinstance(self.graph.nodes[name], IntegerNeuron):
            far = RADIUS / math.hypot(dx, dy)
        else:
            half = half or self.half(name)
            far = min(half / abs(dx) if dx else math.inf, tall / abs(dy) if dy else math.inf)
        return x + far * dx, y + far * dy

    def middle(self, name: str) -> Point:
        """The middle of an item or a box."""
        if name not in self.layout.boxes:
            return self.layout.places[name]
        _, left, top, wide, high = self.layout.boxes[name]
        return left + wide / 2, top + high / 2

    def arrow(self, link: Link, route: Route) -> None:
        """A link, with its weights and the steps it takes where these are not one."""
        points = (route.start or self.middle(link.source), *route.via, route.end or self.middle(link.target))
        start = route.start or self.edge(link.source, points[1])
        end = route.end or self.edge(link.target, points[-2])
        curve = {0: "L", 1: "Q", 2: "C"}[len(route.via)]
        path = f"M{start[0]:.1f} {start[1]:.1f}{curve}" + " ".join(f"{x:.1f} {y:.1f}" for x, y in (*route.via, end))
        colour = self.colour(link)
        self.lines.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5" marker-end="url(#{colour[1:]})"/>')
        words = ", ".join(self.words(*synapse) for synapse in link.synapses if self.words(*synapse))
        if route.start is not None and link.source in ("in", "one"):
            words = " ".join(filter(None, (self.label(link.source), words)))
        if words:
            x, y = route.text or ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
            wide = 6.6 * len(words) + 6
            self.rectangle(x - wide / 2, y - 9, wide, 18, 'fill="#ffffff"')  # no arrow runs through the words
            self.text((x, y), words, colour, 13)

    def colour(self, link: Link) -> str:
        """Blue drives, red holds down, black is the layer's own."""
        weight = link.synapses[0][0]
        return INK if weight is None or link.target.startswith(("R", "T")) else PLUS if weight > 0 else MINUS

    def words(self, weight: float | None, steps: int) -> str:
        """A weight's name, and its steps unless one."""
        name = "" if weight in (None, 1.0) and weight not in self.names else self.names.get(float(weight or 0), f"{weight:+g}")
        return " ".join(filter(None, (name, f"({steps} steps)" if steps > 1 else "")))


def draw(name: str, candidate: Candidate, layout: Layout) -> str:
    """The picture of a construction, as SVG. Raises ``ValueError`` if page and graph do not hold the same things."""
    graph = candidate.graph
    found = grouped(links(graph), layout)
    routes = {ends: layout.routes.get(ends, Route()) for ends in ((link.source, link.target) for link in found)}
    shown = {name for (source, target), route in routes.items() for name in ((source, target) if route.start is None else (target,))}
    shown |= {node for node in graph.nodes if has_state(graph.nodes[node])}
    wrong = (shown - set(layout.boxes)) ^ set(layout.places), set(layout.routes) - set(routes)
    if any(wrong):
        raise ValueError(f"{name}: page and graph differ in {wrong}")
    page = Page(name, graph, layout)
    for box, (_, *sides) in layout.boxes.items():
        page.rectangle(*sides, f'fill="#ffffff" stroke="{SOFT}" stroke-dasharray="5 4"')
        page.text((sides[0] + sides[2] - 6, sides[1] + (14 if box.endswith("A") else sides[3] - 14)), box, SOFT, 12, "end")
    for link in found:
        page.arrow(link, routes[link.source, link.target])
    for item in layout.places:
        page.item(item)
    page.text((14, layout.size[1] - 16), layout.note, SOFT, 12, "start")
    return "\n".join([*page.lines, "</svg>", ""])


def banks(relays: bool) -> Layout:
    """Ping-pong: bank A above, bank B below; what the banks say to each other between them, what each says to itself outside."""
    places = {"in": (50, 215), "A1": (270, 85), "A2": (390, 125), "B2": (390, 305), "B1": (270, 345), "out": (810, 215)}
    places |= {"step1": (740, 165), "step2": (740, 260)}
    routes = {
        ("in", "bank A"): Route(end=(200, 125)),
        ("in", "bank B"): Route(end=(200, 305)),
        ("A1", "bank A"): Route(via=((300, 15), (225, 10)), end=(225, 45), text=(262, 22)),
        ("B1", "bank B"): Route(via=((300, 415), (225, 420)), end=(225, 385), text=(262, 408)),
        ("B2", "bank B"): Route(via=((375, 415), (340, 420)), end=(340, 385), text=(362, 408)),
        ("A1", "bank B"): Route(end=(252, 265), start=(252, 105), text=(252, 215)),
        ("B1", "bank A"): Route(end=(290, 165), start=(290, 326), text=(290, 215)),
        ("B2", "bank A"): Route(end=(390, 165), text=(390, 215)),
        ("one", "bank B"): Route(start=(105, 370), end=(200, 345), text=(100, 385)),
    }
    if relays:
        places |= {"R1": (640, 165), "R2": (530, 215)}
        outer, inner = "R1", "R2"
    else:
        places |= {"offset": (740, 340), "step1": (660, 160), "step2": (560, 215)}
        routes[("one", "offset")] = Route(start=(650, 390), text=(600, 398))
        outer, inner = "step1", "step2"
    routes |= {("A1", outer): Route(via=((540, 60),)), ("B1", outer): Route(via=((640, 350),))}
    routes |= {("A2", inner): Route(via=((470, 140),)), ("B2", inner): Route(via=((470, 290),))}
    boxes = {f"bank {b}": ((f"{b}1", f"{b}2"), 200.0, top, 250.0, 120.0) for b, top in (("A", 45.0), ("B", 265.0))}
    return Layout((870, 470), places, routes, boxes, f"F forces a whole bank to fire. {STEPS}")


def parity(relays: bool) -> Layout:
    """Look-ahead: A first, T below it, the pair two steps later."""
    places = {"in": (45, 90), "A": (190, 90), "T": (190, 300), "B2": (470, 120), "C2": (470, 270)}
    routes = {
        ("A", "B2"): Route(text=(330, 105)),
        ("A", "C2"): Route(text=(290, 154)),
        ("T", "B2"): Route(text=(290, 236)),
        ("T", "C2"): Route(text=(330, 285)),
        ("in", "B2"): Route(start=(530, 72), text=(550, 66)),
        ("in", "C2"): Route(start=(530, 325), text=(550, 332)),
    }
    routes[("A", "step1")] = Route(via=((280, 30),), text=(420, 37))
    places |= {"step1": (690, 40), "step2": (710, 195), "out": (820, 120)}
    if relays:
        places["R2"] = (595, 195)
    return Layout((880, 400), places, routes, {}, f"F forces, G takes off. {STEPS}")


def layouts() -> dict[str, Layout]:
    """Where everything stands, for every construction."""
    rungs = {"step1": (500.0, 70.0), "step2": (500.0, 230.0), "N1": (270.0, 70.0), "N2": (270.0, 230.0), "in": (60.0, 150.0)}
    across = {
        ("N1", "N2"): Route(via=((215, 150),), start=(257, 94), end=(257, 206), text=(225, 150)),
        ("N2", "N1"): Route(via=((325, 150),), start=(283, 206), end=(283, 94), text=(325, 150)),
        ("N1", "N1"): Route(via=((200, 5), (340, 5)), start=(253, 49), end=(287, 49), text=(270, 14)),
        ("N2", "N2"): Route(via=((200, 295), (340, 295)), start=(253, 251), end=(287, 251), text=(270, 290)),
    }
    twice = {("N1", "N2"): Route(text=(270, 150)), ("N1", "forced"): Route(text=(385, 105))}
    return {
        "graded": Layout((560, 130), {"in": (60, 55), "neuron": (260, 55), "out": (480, 55)}, {}, {}, "One spike carries 0, a₁ or a₂."),
        "lateral": Layout((720, 350), {**rungs, "out": (650, 150)}, across, {}, f"d: what decay keeps; ρ: what is subtracted. {STEPS}"),
        "ping-pong": banks(relays=True),
        "ping-pong-direct": banks(relays=False),
        "look-ahead": parity(relays=True),
        "look-ahead-direct": parity(relays=False),
        "two-phase": Layout((720, 310), {**rungs, "forced": (500, 150), "out": (650, 150)}, twice, {},
                            f"Two steps for one: input at the first, F at the second. {STEPS}"),
    }  # fmt: skip


def figures() -> dict[str, str]:
    """File name -> SVG, for every construction that the conversion knows."""
    places = layouts()
    built = constructions()
    if set(places) != set(built):
        raise ValueError(f"constructions without a layout, or the reverse: {set(places) ^ set(built)}")
    return {f"{name}.svg": draw(name, built[name], places[name]) for name in built}


def main() -> None:
    """Write every figure."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "figures")
    folder.mkdir(exist_ok=True)
    for name, picture in figures().items():
        (folder / name).write_text(picture, encoding="utf-8")
        print(folder / name)


if __name__ == "__main__":
    main()
