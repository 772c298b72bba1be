"""KLIF as a torch module."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from snndeploy.arrays import frozen
from snndeploy.ir.neurons import klif
from snndeploy.nn.neuron import Layout, Neuron, StepMode, decay_of
from snndeploy.nn.surrogates import Surrogate


class KLIF(Neuron):
    """LIF whose membrane is scaled by a learned k and rectified; the equations are ``snndeploy.ir.neurons.klif``'s.

    ``k`` starts at 1 (Jiang and Zhang, arXiv 2302.09238), one value a channel if ``channels`` is given; ``scale_reset``
    divides what stays by k again. tau, threshold, input and reset as in ``LIF``. Raises ``OptionError`` for tau < 1.
    """

    k: Tensor

    def __init__(
        self,
        tau: float = 2.0,
        threshold: float = 1.0,
        *,
        decay_input: bool = True,
        scale_reset: bool = False,
        reset: Literal["hard", "subtract"] = "hard",
        v_reset: float = 0.0,
        strict: bool = False,
        channels: int | None = None,
        spatial_dims: int = 0,
        surrogate: Surrogate | None = None,
        step_mode: StepMode = "s",
    ) -> None:
        decay = decay_of("KLIF", tau)
        node = klif.KLIF(
            decay=frozen(decay),
            gain=frozen(1 - decay if decay_input else 1.0),
            threshold=frozen(threshold),
            strict=strict,
            reset=reset,
            v_reset=frozen(v_reset),
            amount=frozen(threshold),
            rest=frozen(v_reset),
            v_init=frozen(v_reset),
            scale_reset=scale_reset,
        )
        super().__init__(node, (), Layout(channels, spatial_dims), surrogate, step_mode)
        self.learn("k", 1.0)
