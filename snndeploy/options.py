"""What a file cannot say of itself, and the user can; and what has a meaning at which door.

An option that would change nothing is refused, not passed over: whoever gives it believes that it does something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from snndeploy.arrays import Shape
from snndeploy.errors import NoEffect, OptionError, did_you_mean

RESETS: Mapping[str, str] = {
    "zero": "the potential is set to the reset value",
    "late-zero": "the potential is set to 0 in the next step, whose input is lost",
    "subtract": "the threshold is taken off",
    "multi": "several spikes a step, the threshold is taken off for each",
    "none": "nothing",
}
"""What a spike does to the potential, in the words of ``--reset``."""

BELONGS: Mapping[str, str] = {
    "arch": "it names the code of torch weights (.pt, .pth, .bin, .ckpt)",
    "run_code": "it is for code that --arch or --data names, whose definitions alone are run otherwise",
    "trust": "it is for torch files that hold more than weights",
    "dt": "it is for torch models and for NIR files, whose time constants are in seconds",
    "reset": "it is for bare weights and NIR files, which do not say it; code says it itself",
    "source": "it is for bare weights, .nir and .net files, and beside --neuron or --neuron-class",
    "input_unit": "it is for files of integers (.net)",
    "neuron": "it is for torch models and bare weights",
    "neuron_class": "it is for classes of your own torch code: with --arch, and for live modules",
    "layer": "it is for bare weights; code says itself what its layers are",
    "state": "it is for ONNX files of one step that have their states as inputs and outputs",
    "input_shape": "it is for files that leave the shape open",
}
"""Where each option has a meaning. ``timesteps`` has one everywhere; a network with a T of its own refuses another."""


@dataclass(frozen=True)
class Options:
    """What a file cannot say of itself, and the user can.

    Attributes:
        arch: the code that makes the module: ``file.py:Net(T=10)`` or ``pkg.mod:factory``.
        run_code: run the file that ``arch`` names whole, as ``python FILE`` does, with all that it does besides defining.
        input_shape: one input's shape, without batch and time.
        timesteps: T; None if the model says it, or the data will.
        trust: allow full unpickling, which runs whatever code the file names.
        dt: the length of a step in seconds, or None.
        reset: what a spike does to the potential where the file is silent (``RESETS``), or None.
        source: the library whose conventions hold where the file is silent, such as "snntorch", or None.
        neuron: name or pattern -> the neuron a bare file does not hold: ``{"lif*": "LIFNode(tau=2.0)"}``, or its settings alone.
        neuron_class: class name or pattern -> the neuron that a class of one's own is: ``{"LIFSpike*": "LIF(tau=2.0)"}``.
        relu: "if" turns rectifiers into integrate-and-fire neurons by their rates; None refuses them.
        layer: name or pattern -> the same for layers: ``{"conv1": "Conv2d(padding=2), AvgPool2d(2)"}``.
        state: state input -> the output that holds it one step later, where an ONNX file's own names and operators leave a choice.
        input_unit: the real value of one unit of an analog input of a file of integers (.net); None: its inputs are spikes.
    """

    arch: str | None = None
    run_code: bool = False
    input_shape: Shape | None = None
    timesteps: int | None = None
    trust: bool = False
    dt: float | None = None
    reset: str | None = None
    source: str | None = None
    input_unit: float | None = None
    neuron: Mapping[str, str] = field(default_factory=dict)
    neuron_class: Mapping[str, str] = field(default_factory=dict)
    layer: Mapping[str, str] = field(default_factory=dict)
    relu: str | None = None
    state: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.input_shape is not None and (not self.input_shape or any(n < 1 for n in self.input_shape)):
            raise OptionError("--input-shape", f"{self.input_shape} has an axis below 1", "give it without batch and time: 1,28,28")
        if self.timesteps is not None and self.timesteps < 1:
            raise OptionError("--timesteps", f"is {self.timesteps}", "a run has at least one step")
        if self.dt is not None and not self.dt > 0:
            raise OptionError("--dt", f"is {self.dt}", "the length of a step is a positive number of seconds")
        if self.input_unit is not None and not self.input_unit > 0:
            raise OptionError("--input-unit", f"is {self.input_unit}", "the real value of one unit is a positive number")
        if self.reset is not None and self.reset not in RESETS:
            raise OptionError("--reset", f"{self.reset!r} is no reset", did_you_mean(self.reset, RESETS))

    @property
    def given(self) -> tuple[str, ...]:
        """The names of what was said at all."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) not in (None, False) and getattr(self, f.name) != {})

    def without(self, option: str) -> Options:
        """All but one, which is named as on the command line."""
        plain = {f.name: getattr(Options(), f.name) for f in fields(self) if flag(f.name) == option}
        return replace(self, **plain)

    def only(self, door: str, *used: str) -> None:
        """Raise ``NoEffect`` for an option that was given and that this door does not use.

        ``timesteps`` and ``relu`` are held against the network that was read (``same_steps``, ``flow.rates.asked``).
        """
        for name in self.given:
            if name not in (*used, "timesteps", "relu"):
                raise NoEffect(flag(name), f"changes nothing of {door}", f"leave it out; {BELONGS[name]}")


def flag(name: str) -> str:
    """An option's name on the command line."""
    return "--" + name.replace("_", "-")


def same_steps(said: int | None, own: int | None, what: str) -> None:
    """Raise ``OptionError`` where another T was said than the network has."""
    if own and said not in (None, own):
        hint = "leave --timesteps out, or convert the model again for that many"
        raise OptionError("--timesteps", f"is {said}, but {what} runs {own}", hint)


def same_shape(said: Shape | None, shapes: Mapping[str, Shape], where: str) -> None:
    """Raise ``OptionError`` where ``--input-shape`` is not the shape that the file itself gives its only input."""
    if said is None:
        return
    if len(shapes) > 1:
        raise OptionError("--input-shape", f"is one shape, and {where} has {len(shapes)} inputs", "leave it out: the file says them")
    for name, shape in shapes.items():
        if tuple(said) != tuple(shape):
            raise OptionError("--input-shape", f"is {list(said)}, but the file says that {name} is {list(shape)}", "leave it out")
