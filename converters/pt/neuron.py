"""What a library's table says of its neurons: ``Neuron``, the ``Settings`` it is read from, ``NeuronClass``, ``Library``.

A neuron is built by one function from ``Settings``: the attributes of a live module, or, for a bare file, what the
user said, then what the file holds, then the library's defaults. Settings remember what was asked for and where it
was found, so the table of facts cannot say anything else than what was used.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch

from converters import Fact, Origin
from converters.pt.torch_nn import Chain, Convert
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import ModelError, Unsupported
from snndeploy.ir.graph import Node
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF

MOST = 4096
"""More levels than this are no neuron any more."""
REQUIRED = object()
"""In place of a default: what a file does not hold and no default can stand for."""


@dataclass(frozen=True)
class Idle:
    """In place of a default: an argument that cannot change what a trained neuron computes; ``why`` not."""

    why: str


TRAINED = Idle("says whether a value is trained; the file holds the value itself")
GRADIENT = Idle("decides gradients, and nothing of a forward pass")
STEPPING = Idle("says how the steps arrive, not what a step computes")
RECORDED = Idle("keeps or returns what was computed, and computes nothing")
SHAPED = Idle("gives a size that the weights in the file have themselves")


@dataclass(frozen=True, eq=False)
class Neuron:
    """A neuron as nodes.

    Attributes:
        node: the neuron itself.
        before: what its input passes through inside the module.
        after: what its output passes through before anyone sees it (a spike value other than 1).
        feedback: from its output, one step later, back into its input; empty for none.
        membrane: nodes that give the membrane the library returns beside the spikes, from the same input; None where
            no node does.
        ladder: for neurons that count their spikes: the node that holds at most K of them in a step; None asks for any
            number, and None back says that there is none.
        taps: what its input of 0, 1, ... steps before passes through; it takes the sum of them. Empty: its input as it is.
        delay: how many steps later its output reaches the next layer.
        said: facts that no field of the node shows.
        asked: the settings that were asked for, by name.
        origin: where a fact comes from that no setting decides.
    """

    node: Node
    after: Chain = ()
    feedback: Chain = ()
    membrane: Chain | None = None
    ladder: Callable[[int | None], Node | None] | None = None
    before: Chain = ()
    taps: Chain = ()
    delay: int = 0
    said: tuple[Fact, ...] = ()
    asked: Mapping[str, Fact] = field(default_factory=dict)
    origin: Origin = "model"


@dataclass(frozen=True, eq=False)
class Settings:
    """What a neuron was made with. ``sources`` are asked in turn, each with the origin it stands for.

    ``release`` of the library, where it is known and matters; ``word``: the class as the user has to write it, where
    the file has no neuron of its own.
    """

    where: str
    sources: Sequence[tuple[Origin, Mapping[str, Any]]]
    release: str = ""
    word: str = ""
    facts: dict[str, Fact] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return any(name in source for _, source in self.sources)

    def __call__(self, name: str) -> Any:
        """The value of a setting. Raises ``ModelError`` asking for it by name where nobody says it."""
        for origin, source in self.sources:
            if name in source and source[name] is not REQUIRED:
                value = source[name]
                self.facts[name] = Fact(name, shown(value), origin)
                return value
        raise ModelError(self.where, f"{name} is not in the file, and the result depends on it", self.please(f"{name}=..."))

    def please(self, setting: str) -> str:
        """The hint that asks for a setting."""
        text = f"{self.word}({setting})" if self.word else setting
        return f"say it: --neuron '{self.where}: {text}'"

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a setting, or ``default`` where nobody says it."""
        return self(name) if name in self else default

    def first(self, *names: str) -> str:
        """Of several ways to say one thing, the one that the earliest source says (what the user says before what a module holds)."""
        for _, source in self.sources:
            for name in names:
                if name in source and source[name] is not REQUIRED and source[name] is not None:
                    return name
        return names[-1]

    def array(self, name: str, shape: Shape) -> Floats:
        """A setting as numbers that broadcast against features of ``shape``."""
        return spread(self(name), shape, f"{self.where}: {name}")


def shown(value: Any) -> str:
    """A setting as text."""
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        return f"{float(value.detach()):.6g}"
    if isinstance(value, torch.Tensor):
        return f"{list(value.shape)} {float(value.detach().min()):.4g}..{float(value.detach().max()):.4g}"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value) if isinstance(value, str | int | bool | tuple | None) else type(value).__name__


def spread(value: Any, shape: Shape, where: str) -> Floats:
    """A number or tensor in float64, leading axes of size 1 (batch, time) cut off down to the features.

    Raises ``Unsupported`` where it does not broadcast against ``shape``.
    """
    try:
        array = value.detach().cpu().double().numpy() if isinstance(value, torch.Tensor) else np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise Unsupported(where, f"{shown(value)[:40]} is no number", "give a number, or one a channel") from None
    while array.ndim > len(shape) and array.shape[0] == 1:
        array = array[0]
    array = array.reshape(()) if array.size == 1 else array
    try:
        fits = np.broadcast_shapes(array.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise Unsupported(where, f"has the shape {list(array.shape)}, which does not fit features of {list(shape)}", "one value a channel")
    return frozen(array)


def counted(value: Any, where: str) -> int:
    """A number of spikes a step. Raises ``Unsupported`` outside 1 ... ``MOST``."""
    if not isinstance(value, int) or not 1 <= value <= MOST:
        raise Unsupported(where, f"{value!r} spikes a step is no number from 1 to {MOST}", "several spikes a step are a ladder of levels")
    return value


def divided(level: Floats, theta: Floats, strict: bool) -> Floats:
    """The float64 threshold for which h meets it exactly where h / theta, rounded, meets ``level``: a bit or two from level theta.

    A quotient rises with h, so there is one: the first h that meets the level, or with ``strict`` the last that does not.
    """
    near = [np.asarray(level * theta)]
    for _ in range(4):
        near = [np.nextafter(near[0], -np.inf), *near, np.nextafter(near[-1], np.inf)]
    met = np.stack([x / theta > level if strict else x / theta >= level for x in near])
    first = met.argmax(axis=0) - int(strict)
    return np.asarray(np.take_along_axis(np.stack(near), first[None], axis=0)[0])


def strictness(function: Any, where: str) -> bool:
    """Whether a spike function of (membrane - threshold) is ``> 0`` (True) or ``>= 0`` (False).

    Raises ``Unsupported`` for one that is neither: graded, leaky, random or switched to its smooth form.
    """
    points = torch.tensor([-2.0, -1e-3, 0.0, 1e-3, 2.0])
    try:
        with torch.no_grad():
            given = function(points.clone()).tolist()
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise Unsupported(where, f"its spike function cannot be asked: {error}", "use a surrogate of the library") from None
    if given in ([0, 0, 0, 1, 1], [0, 0, 1, 1, 1]):
        return bool(given[2] == 0)
    what = f"its spike function gives {given} for {[round(float(p), 3) for p in points]}, which is no step"
    raise Unsupported(where, what, "a chip's spike is 0 or 1; use a spiking surrogate")


Build: TypeAlias = Callable[[Settings, Shape], Neuron]


@dataclass(frozen=True, eq=False)
class NeuronClass:
    """One class of a library.

    Attributes:
        build: the function that reads it.
        defaults: the one list of what it can be made with: its constructor's arguments in order with their defaults, then what
            its library keeps beside them. ``REQUIRED`` stands for what a bare file cannot say and no default can; ``Idle`` for
            an argument that changes nothing of a trained neuron, with the reason. What a file does not hold of the rest is
            assumed, and said.
        keys: the names of the tensors by which its entries in a state_dict are known.
        twins: classes that leave the same keys and compute something else.
    """

    build: Build
    defaults: Mapping[str, Any] = field(default_factory=dict)
    keys: frozenset[str] = frozenset()
    twins: tuple[str, ...] = ()

    @property
    def meaning(self) -> dict[str, Any]:
        """The arguments that change what it computes."""
        return {name: value for name, value in self.defaults.items() if not isinstance(value, Idle)}

    @property
    def idle(self) -> dict[str, Idle]:
        """The arguments that do not."""
        return {name: value for name, value in self.defaults.items() if isinstance(value, Idle)}


def one_step(_: Any) -> tuple[str, ...]:
    """The leading axes of a neuron that takes one step a call."""
    return ("B",)


def no_memory(_: Any) -> tuple[Any, ...]:
    """A neuron that keeps nothing between calls: its state goes through the user's hands."""
    return ()


@dataclass(frozen=True, eq=False)
class Library:
    """One library.

    Attributes:
        name: as it is installed and chosen with ``--source``; classes are matched by its top package and their own name.
        neurons: by class name.
        layers: by class name.
        refused: class name -> why it has no exact meaning here.
        stateful: names of base classes that mark a neuron; one that is in no table is refused, not looked into.
        takes: the leading axes of a neuron's input: ("B",), ("T", "B"), ("B", "T") or ("BT",).
        memory: what a module keeps from call to call, to see whether someone else forgot it.
        forget: put a module back to before its first step.
        resets: the words of ``--reset`` -> the library's setting for it.
        marks: for classes that come in no package: class name -> the attributes by which a module of that name is known.
        passes_state: the state goes through the user's hands: not handing it back makes every step a first step.
    """

    name: str
    neurons: Mapping[str, NeuronClass]
    layers: Mapping[str, Convert] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    stateful: frozenset[str] = frozenset()
    takes: Callable[[Any], tuple[str, ...]] = one_step
    memory: Callable[[Any], tuple[Any, ...]] = no_memory
    forget: Callable[[Any], None] = lambda _: None
    passes_state: bool = False
    resets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    marks: Mapping[str, frozenset[str]] = field(default_factory=dict)


def without_memory(neuron: Neuron, where: str) -> Neuron:
    """The neuron whose every step is its first: nothing of the step before is left.

    Raises ``Unsupported`` for one that feeds back or is no neuron of ours.
    """
    node = neuron.node
    if not neuron.feedback and not isinstance(node, LIF | CubaLIF | Burst | LI):
        what = f"is called without its state, and a {type(node).__name__} without memory is no node"
        raise Unsupported(where, what, "hand its state back: z, s = cell(x, s)")
    if neuron.feedback or not isinstance(node, LIF | CubaLIF | Burst | LI):
        raise Unsupported(where, "is called without its state, but feeds its own spikes back", "hand its state back: z, s = cell(x, s)")
    start, none = frozen(node.rest + node.decay * (node.v_init - node.rest)), frozen(0.0)
    fresh: Node
    if isinstance(node, CubaLIF):
        gain = frozen(node.gain * node.current_gain)
        fresh = LIF(none, gain, node.threshold, strict=node.strict, reset="none", rest=start, v_init=start)
    elif isinstance(node, LI):
        fresh = dataclasses.replace(node, decay=none, rest=start, v_init=start)
    elif isinstance(node, LIF):
        fresh = dataclasses.replace(node, decay=none, rest=start, v_init=start, reset="none", late=False)
    else:
        fresh = dataclasses.replace(node, decay=none, rest=start, v_init=start, reset="none", amounts=None)
    return dataclasses.replace(neuron, node=fresh, membrane=None)


def buffered(names: Sequence[str], module: Any) -> tuple[Any, ...]:
    """The states that a module keeps itself, in buffers of these names."""
    return tuple(module._buffers.get(name) for name in names if name in module._buffers)


def emptied(names: Sequence[str], module: Any) -> None:
    """The next call starts from zeros, for whatever batch."""
    for name in names:
        if module._buffers.get(name) is not None:
            module._buffers[name] = module._buffers[name].new_zeros(0)
