"""Spiking modules as people write them by hand: one seed, one module's source text, and what its own code gives.

Ways to keep the state x to write the threshold x to reset x number types x read-outs x where T is. Weights, decays and
thresholds lie on decimal or binary grids in half of them, so that potentials tie with the threshold on purpose.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

KEEPS = ("attribute", "local", "argument", "buffer", "dictionary")
TIMES = ("outside", "repeated", "first axis", "second axis")
READOUTS = ("spikes", "count", "mean", "linear", "membrane", "last")
PLACES = ("class", "forward")
TYPES = ("as the input", ".float()", "input cast", "float64 module")
MEMBRANES = {
    "decay": "v = {decay} * v + current",
    "divided": "v = v + (current - v) / {tau}",
    "mixed": "v = {decay} * v + (1 - {decay}) * current",
    "in place": "v = v.mul({decay}).add(current)",
}
FIRES = {
    ">=": "sent = {spikes}(v >= {threshold})",
    ">": "sent = {spikes}(v > {threshold})",
    "heaviside": "sent = torch.heaviside(v - {threshold}, torch.zeros_like(v))",
    "where": "sent = torch.where(v >= {threshold}, torch.ones_like(v), torch.zeros_like(v))",
    "times one": "sent = ((v - {threshold}) > 0) * 1.0",
    "surrogate": "sent = Spike.apply(v - {threshold})",
}
RESETS = {
    "zero by product": "v = v * (1 - sent)",
    "zero by where": "v = torch.where(sent > 0, torch.zeros_like(v), v)",
    "zero by mask": "v = v.masked_fill(sent > 0, 0.0)",
    "subtract": "v = v - {threshold} * sent",
    "subtract detached": "v = v - sent.detach() * {threshold}",
    "to a value": "v = v * (1 - sent) + {rest} * sent",
}
STEPS, BATCH, SIZES = 5, 3, (6, 8, 4)


@dataclass(frozen=True)
class Style:
    """One way to write a module; ``grid`` is the weights' (0: none)."""

    seed: int
    keep: str
    fire: str
    reset: str
    membrane: str
    type: str
    readout: str
    time: str
    place: str
    decay: float
    threshold: float
    grid: float
    binary: bool

    @property
    def words(self) -> str:
        """The combination in one line, for counts by kind."""
        neuron = f"{self.keep} | {self.place} | {self.fire} | {self.reset} | {self.membrane}"
        return f"{neuron} | {self.type} | {self.readout} | {self.time}"


def style(seed: int) -> Style:
    """The style of a seed; combinations that no loop can have are drawn again."""
    draw = random.Random(seed)
    while True:
        made = Style(
            seed,
            keep=draw.choice(KEEPS),
            fire=draw.choice(list(FIRES)),
            reset=draw.choice(list(RESETS)),
            membrane=draw.choice(list(MEMBRANES)),
            type=draw.choice(TYPES),
            readout=draw.choice(READOUTS),
            time=draw.choice(TIMES),
            place=draw.choice(PLACES),
            decay=draw.choice((0.5, 0.75, 0.8, 0.9, 1 / 3)),
            threshold=draw.choice((1.0, 0.5, 0.3, 0.7)),
            grid=draw.choice((0.0, 0.0, 0.1, 0.125)),
            binary=draw.random() < 0.5,
        )
        if _possible(made):
            return made


COMMONEST = tuple(
    Style(
        seed,
        keep="attribute",
        place="class",
        fire=fire,
        reset=reset,
        membrane=membrane,
        type="as the input",
        readout=readout,
        time=time,
        decay=0.5,
        threshold=1.0,
        grid=0.0,
        binary=True,
    )
    for seed, (fire, reset, membrane, readout, time) in enumerate(
        (
            (">=", "zero by product", "decay", "linear", "repeated"),
            (">=", "zero by product", "divided", "mean", "repeated"),
            (">", "subtract", "decay", "spikes", "first axis"),
            (">=", "zero by where", "divided", "spikes", "outside"),
            ("surrogate", "zero by product", "decay", "count", "first axis"),
            ("surrogate", "subtract", "decay", "spikes", "outside"),
            (">", "zero by product", "mixed", "mean", "second axis"),
            (">=", "subtract detached", "decay", "linear", "first axis"),
        )
    )
)
"""The eight commonest combinations: a neuron class that keeps its potential as an attribute, in the loops of tutorials."""


def _possible(s: Style) -> bool:
    outside = s.time == "outside"
    if s.keep == "local" and (outside or s.place == "class"):
        return False
    if s.keep == "argument" and s.place == "class":
        return False
    if s.fire == "times one" and s.type == "float64 module":
        return False  # True * 1.0 is float32, which a float64 layer does not take
    return not (outside and s.readout != "spikes")


HEAD = """
import torch
from torch import nn


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x >= 0).to(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad / (1 + x.abs()) ** 2

"""


def source(s: Style, wide: bool = False, watched: bool = False) -> str:
    """The module ``Net`` as text.

    ``wide``: what it casts to is float64, so that it can be run in true float64. ``watched``: every potential before its
    reset is appended to the global list ``SEEN``.
    """
    lines = HEAD.splitlines() + (_cell(s, wide, watched) if s.place == "class" else [])
    lines += ["", "class Net(nn.Module):", "    def __init__(self):", "        super().__init__()"]
    lines += [f"        self.fc1, self.fc2 = nn.Linear({SIZES[0]}, {SIZES[1]}), nn.Linear({SIZES[1]}, {SIZES[2]})"]
    lines += ["        self.n1, self.n2 = Cell(), Cell()"] if s.place == "class" else _own_state(s)
    return "\n".join([*lines, *_resetting(s), *_forward(s, wide, watched)]) + "\n"


def _update(s: Style, wide: bool, watched: bool) -> list[str]:
    """The three lines of the neuron, from ``v`` and ``current`` to ``sent`` and ``v``."""
    cast = ".to(v)" if s.type != ".float()" else ".double()" if wide else ".float()"
    words = {"decay": s.decay, "tau": 1 / (1 - s.decay), "threshold": s.threshold, "rest": -0.25, "spikes": ""}
    fire = FIRES[s.fire].format(**words)
    fire = f"{fire}{cast}" if s.fire in (">=", ">") else fire
    lines = [MEMBRANES[s.membrane].format(**words)]
    lines += [f"SEEN.append((v - {s.threshold}).detach().double())"] if watched else []
    return [*lines, fire, RESETS[s.reset].format(**words)]


def _cell(s: Style, wide: bool, watched: bool) -> list[str]:
    get, put = {
        "attribute": ("self.v", "self.v"), "buffer": ("self.v", "self.v"), "dictionary": ('self.state["v"]', 'self.state["v"]'),
    }[s.keep]  # fmt: skip
    empty = {"attribute": "self.v = None", "buffer": 'self.register_buffer("v", None)', "dictionary": 'self.state = {"v": None}'}[s.keep]
    clear = empty if s.keep != "buffer" else "self.v = None"
    return [
        "", "class Cell(nn.Module):", "    def __init__(self):", "        super().__init__()", f"        {empty}", "",
        "    def reset(self):", f"        {clear}", "",
        "    def forward(self, current):", f"        v = torch.zeros_like(current) if {get} is None else {get}",
        *(f"        {line}" for line in _update(s, wide, watched)), f"        {put} = v", "        return sent", "",
    ]  # fmt: skip


def _names(s: Style, index: int) -> str:
    if s.keep in ("attribute", "buffer"):
        return f"self.v{index}"
    return f'self.state["v{index}"]' if s.keep == "dictionary" else f"v{index}"


def _own_state(s: Style) -> list[str]:
    if s.keep == "attribute":
        return ["        self.v1 = self.v2 = None"]
    if s.keep == "buffer":
        return ['        self.register_buffer("v1", None)', '        self.register_buffer("v2", None)']
    return ['        self.state = {"v1": None, "v2": None}'] if s.keep == "dictionary" else []


def _resetting(s: Style) -> list[str]:
    if s.keep in ("local", "argument"):
        return []
    body = ["self.n1.reset()", "self.n2.reset()"] if s.place == "class" else [f"{_names(s, i)} = None" for i in (1, 2)]
    return ["", "    def reset(self):", *(f"        {line}" for line in body)]


def _forward(s: Style, wide: bool, watched: bool) -> list[str]:
    outside, argument = s.time == "outside", s.keep == "argument"
    lines = ["", f"    def forward(self, x{', state=None' if argument else ''}):"]
    lines += [f"        x = x.{'double' if wide else 'float'}()"] if s.type == "input cast" else []
    if argument:
        zeros = ", ".join(f"torch.zeros({'x.shape[1]' if s.time == 'first axis' else 'len(x)'}, {n}).to(x)" for n in SIZES[1:])
        lines += [f"        v1, v2 = ({zeros}) if state is None else state"]
    if outside:
        return [*lines, *_step(s, "x", "        ", wide, watched), f"        return sent{', (v1, v2)' if argument else ''}"]
    if s.keep == "local":
        rows = "x.shape[1]" if s.time == "first axis" else "len(x)"
        lines += [f"        v{i} = torch.zeros({rows}, {n}).to(x)" for i, n in ((1, SIZES[1]), (2, SIZES[2]))]
    elif not argument:
        lines += ["        self.reset()"]
    lines += ["        total, gone = 0, []"]
    now = {"repeated": "x", "first axis": "x[t]", "second axis": "x[:, t]"}[s.time]
    count = {"repeated": str(STEPS), "first axis": "x.shape[0]", "second axis": "x.shape[1]"}[s.time]
    lines += [f"        for t in range({count}):", *_step(s, now, "            ", wide, watched)]
    return [*lines, *_answer(s)]


def _step(s: Style, now: str, indent: str, wide: bool, watched: bool) -> list[str]:
    lines = _layer(s, 1, f"self.fc1({now})", wide, watched)
    if s.readout == "linear":
        lines += ["out = self.fc2(sent)"]
    elif s.readout == "membrane":
        lines += ["gone.append(sent)", "current = self.fc2(sent)", f"total = {s.decay} * total + current"]
    else:
        lines += _layer(s, 2, "self.fc2(sent)", wide, watched)
    if s.time != "outside":
        lines += {"linear": ["total = total + out"], "membrane": []}.get(s.readout, ["gone.append(sent)", "total = total + sent"])
    return [f"{indent}{line}" for line in lines]


def _layer(s: Style, index: int, current: str, wide: bool, watched: bool) -> list[str]:
    if s.place == "class":
        return [f"sent = self.n{index}({current})"]
    name = _names(s, index)
    update = _update(s, wide, watched)
    if s.keep in ("local", "argument"):
        return [f"current, v = {current}, {name}", *update, f"{name} = v"]
    start = f"v = torch.zeros_like(current) if {name} is None else {name}"
    return [f"current = {current}", start, *update, f"{name} = v"]


def _answer(s: Style) -> list[str]:
    stacked = f"torch.stack(gone, {1 if s.time == 'second axis' else 0})"
    given = {
        "spikes": stacked, "count": "total", "mean": f"total / {STEPS}", "linear": "total", "membrane": "total", "last": "sent",
    }[s.readout]  # fmt: skip
    state = ", (v1, v2)" if s.keep == "argument" else ""
    return [f"        return {given}{state}"]


def built(s: Style, wide: bool = False, watched: bool = False) -> tuple[torch.nn.Module, list[torch.Tensor]]:
    """The module with its weights, and the list of potentials that a watched one fills."""
    home: dict[str, Any] = {"SEEN": []}
    exec(compile(source(s, wide, watched), f"hand_written_{s.seed}.py", "exec"), home)
    draw = np.random.default_rng(s.seed)
    net = home["Net"]()
    for layer, loud in ((net.fc1, 2.0), (net.fc2, 2.0)):
        for tensor in (layer.weight, layer.bias):
            values = draw.normal(0.1, loud / np.sqrt(layer.in_features), tuple(tensor.shape))
            values = np.round(values / s.grid) * s.grid if s.grid else values
            tensor.data = torch.tensor(values, dtype=tensor.dtype)
    return net.double() if wide or s.type == "float64 module" else net, home["SEEN"]


def data(s: Style, seed: int, wide: bool = False) -> torch.Tensor:
    """An input as the module takes it (one step's, if the loop is outside)."""
    lead = {"repeated": (BATCH,), "first axis": (STEPS, BATCH), "second axis": (BATCH, STEPS)}
    shape = (*lead.get(s.time, (STEPS, BATCH)), SIZES[0])
    draw = np.random.default_rng(1000 + seed)
    values = (draw.random(shape) < 0.4) * 1.0 if s.binary else np.round(draw.random(shape) * 2, 3)
    return torch.tensor(values, dtype=torch.float64 if wide or s.type == "float64 module" else torch.float32)


def example(s: Style, seed: int = 0) -> torch.Tensor:
    """What a user hands over to have the module read: one call's input."""
    given = data(s, seed)
    return given[0] if s.time == "outside" else given


def own_run(s: Style, seed: int, wide: bool) -> tuple[np.ndarray, np.ndarray]:
    """What the module's own code gives in a plain loop, time first, and how near a potential came to the threshold.

    Returns [T, B, n] of spikes or [B, n], and [B], the smallest distance of any potential of the sample.
    """
    net, seen = built(s, wide, watched=True)
    x = data(s, seed, wide)
    with torch.no_grad(), _default(torch.float64 if wide else torch.float32):
        if s.time == "outside":
            gave = _loop(s, net, x)
        else:
            gave = net(x)
            gave = gave[0] if s.keep == "argument" else gave
            gave = gave.transpose(0, 1) if s.time == "second axis" and s.readout == "spikes" else gave
    near = torch.stack([distance.abs().amin(1) for distance in seen]).amin(0)
    return gave.double().numpy(), near.numpy()


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    """True * 1.0 has the default type."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(usual)


def _loop(s: Style, net: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    sent, state = [], None
    if s.keep != "argument":
        net.reset()
    for now in x:
        if s.keep == "argument":
            out, state = net(now, state)
        else:
            out = net(now)
        sent.append(out)
    return torch.stack(sent)


def inputs(s: Style, seed: int) -> np.ndarray:
    """The same data as the graph takes them: [T, B, n], or [1, B, n] where the input holds still."""
    x = data(s, seed, wide=True).numpy()
    if s.time == "repeated":
        return x[None]
    return np.moveaxis(x, 1, 0) if s.time == "second axis" else x


def without_ties(s: Style) -> Style:
    """The same style with weights that lie on no grid."""
    return replace(s, grid=0.0)
