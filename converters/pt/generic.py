"""The project's own constructor words for ``--neuron``: LIF, IF, LI and CubaLIF, as in ``snndeploy.nn``, from numbers alone."""

from __future__ import annotations

from converters.pt.neuron import REQUIRED, Library, Neuron, NeuronClass, Settings
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import OptionError
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF, Reset

RESETS: dict[str, Reset] = {"zero": "hard", "hard": "hard", "subtract": "subtract", "soft": "subtract", "none": "none"}


def lif(settings: Settings, shape: Shape) -> Neuron:
    """LIF: decay 1 - 1/tau, or ``decay`` itself; ``decay_input`` multiplies what enters by 1/tau."""
    decay = _decay(settings, "", shape)
    return Neuron(_lif(settings, shape, decay, _gain(settings, decay, shape)))


def integrate(settings: Settings, shape: Shape) -> Neuron:
    """IF: nothing decays."""
    return Neuron(_lif(settings, shape, frozen(1.0), frozen(1.0)))


def leaky(settings: Settings, shape: Shape) -> Neuron:
    """LI: gives its membrane, never fires."""
    decay = _decay(settings, "", shape)
    return Neuron(LI(decay, frozen(1.0 - decay if settings("decay_input") else 1.0)))


def cuba(settings: Settings, shape: Shape) -> Neuron:
    """CubaLIF: ``tau_current`` or ``current_decay``, and ``tau`` or ``decay``."""
    decay = _decay(settings, "", shape)
    threshold, reset, level = _fires(settings, shape)
    node = CubaLIF(
        _decay(settings, "current_", shape),
        decay,
        current_gain=_or(settings, "current_gain", frozen(1.0), shape),
        gain=_gain(settings, decay, shape),
        threshold=threshold,
        strict=bool(settings("strict")),
        reset=reset,
        v_reset=level,
        amount=threshold,
        rest=_or(settings, "rest", level, shape),
        v_init=level,
    )
    return Neuron(node)


def _lif(settings: Settings, shape: Shape, decay: Floats, gain: Floats) -> LIF:
    threshold, reset, level = _fires(settings, shape)
    floor = settings.get("floor")
    return LIF(
        decay,
        gain,
        threshold,
        strict=bool(settings("strict")),
        reset=reset,
        v_reset=level,
        amount=threshold,
        late=bool(settings("late")),
        rest=_or(settings, "rest", level, shape),
        v_init=level,
        floor=None if floor is None else settings.array("floor", shape),
    )


def _fires(settings: Settings, shape: Shape) -> tuple[Floats, Reset, Floats]:
    word = str(settings("reset"))
    if word not in RESETS:
        raise OptionError(f"--neuron '{settings.where}'", f"reset={word!r} is no reset", f"one of {', '.join(RESETS)}")
    level = settings.array("v_reset", shape) if RESETS[word] == "hard" else frozen(0.0)
    return settings.array("threshold", shape), RESETS[word], level


def _gain(settings: Settings, decay: Floats, shape: Shape) -> Floats:
    return _or(settings, "gain", frozen(1.0 - decay if settings("decay_input") else 1.0), shape)


def _or(settings: Settings, name: str, otherwise: Floats, shape: Shape) -> Floats:
    """A number that was said, or what it otherwise is."""
    return settings.array(name, shape) if settings.first(name, "") else otherwise


def _decay(settings: Settings, part: str, shape: Shape) -> Floats:
    tau = "tau_current" if part else "tau"
    if settings.first(f"{part}decay", tau) != tau:
        return settings.array(f"{part}decay", shape)
    value = settings.array(tau, shape)
    if not (value >= 1).all():
        raise OptionError(f"--neuron '{settings.where}'", f"{tau}={float(value.min()):g}", "a time constant in steps is at least 1")
    return frozen(1.0 - 1.0 / value)


_FIRES = {"threshold": 1.0, "reset": "zero", "v_reset": 0.0, "strict": False}
_LEAKS = {"tau": REQUIRED, "decay": None, "decay_input": False}
_BESIDE = {"gain": None, "rest": None}

GENERIC = Library(
    name="snndeploy",
    neurons={
        "LIF": NeuronClass(lif, {"tau": REQUIRED, **_FIRES, **_LEAKS, "late": False, "floor": None, **_BESIDE}),
        "IF": NeuronClass(integrate, {**_FIRES, "late": False, "floor": None, "rest": None}),
        "LI": NeuronClass(leaky, _LEAKS),
        "CubaLIF": NeuronClass(
            cuba,
            {"tau_current": REQUIRED, "tau": REQUIRED, **_FIRES, **_LEAKS, "current_decay": None, **_BESIDE, "current_gain": None},
        ),
    },
    resets={word: {"reset": word} for word in ("zero", "subtract", "none")},
)
