"""Spike functions by the words of their libraries: a word stands for ``>`` or ``>=``, a live function is asked.

A state_dict holds no spike function, and the comparison is in it: SpikingJelly's surrogates fire at the threshold itself,
snnTorch's only above it, BrainCog's by class. Words were read at snnTorch 1.0.0, SpikingJelly 2.0.0, BrainCog 0.2.7.19.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from converters.pt.neuron import Settings, strictness
from snndeploy.errors import Unsupported, did_you_mean

Words: TypeAlias = Mapping[str, bool]
"""The name of a spike function -> whether it is strict: above the threshold, not at it."""

SNNTORCH: Words = dict.fromkeys(
    [
        *("atan", "fast_sigmoid", "sigmoid", "straight_through_estimator", "triangular", "heaviside"),
        *("spike_rate_escape", "SSO", "SFS", "custom_surrogate"),
    ],
    True,
)
SPIKINGJELLY: Words = dict.fromkeys(
    [
        *("PiecewiseQuadratic", "PiecewiseExp", "Sigmoid", "SoftSign", "SuperSpike", "ATan", "NonzeroSignLogAbs", "Erf"),
        *("PiecewiseLeakyReLU", "SquarewaveFourierSeries", "S2NN", "QPseudoSpike", "LeakyKReLU", "FakeNumericalGradient"),
        *("LogTailedReLU", "DeterministicPass", "Rect"),
    ],
    False,
)
BRAINCOG: Words = {
    "AtanGrad": True,
    "GateGrad": True,
    "QGateGrad": True,
    "STDPGrad": True,
    "BackEIGateGrad": True,
    "SigmoidGrad": False,
    "ReLUGrad": False,
}


def strict(settings: Settings, name: str, words: Words, otherwise: bool) -> bool:
    """Whether the spike function in a setting is ``>``; ``otherwise`` is the library's own, where the setting is None or absent.

    Raises:
        Unsupported: a function that is no step, or a word that is no step function of the library.
    """
    function = settings.get(name)
    if function is None:
        return otherwise
    if not isinstance(function, str):
        return strictness(function, settings.where)
    if function not in words:
        what = f"{name} {function!r} is no spike function whose comparison is known here"
        raise Unsupported(settings.where, what, did_you_mean(function, words))
    return words[function]
