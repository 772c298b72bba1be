"""CLIF as a torch module."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from snndeploy.arrays import frozen
from snndeploy.ir.neurons import clif
from snndeploy.nn.neuron import Layout, Neuron, StepMode, decay_of
from snndeploy.nn.surrogates import Rectangle, Surrogate


class CLIF(Neuron):
    """Complementary LIF; the equations are ``snndeploy.ir.neurons.clif``'s with decay = 1 - 1/tau and rate = 1/tau.

    Nothing is learned unless ``learn_threshold``; "subtract" takes the threshold off, and the complementary part too.
    tau 2, threshold 1, undivided input and the rectangle of width 1 as surrogate are the first values of
    HuuYuLong/Complementary-LIF ``ComplementaryLIFNeuron``. Raises ``OptionError`` for tau < 1.
    """

    def __init__(
        self,
        tau: float = 2.0,
        threshold: float = 1.0,
        *,
        decay_input: bool = False,
        reset: Literal["hard", "subtract"] = "subtract",
        v_reset: float = 0.0,
        strict: bool = False,
        learn_threshold: bool = False,
        channels: int | None = None,
        spatial_dims: int = 0,
        surrogate: Surrogate | None = None,
        step_mode: StepMode = "s",
    ) -> None:
        decay = decay_of("CLIF", tau)
        node = clif.CLIF(
            decay=frozen(decay),
            rate=frozen(1 / tau),
            gain=frozen(1 - decay if decay_input else 1.0),
            threshold=frozen(threshold),
            strict=strict,
            reset=reset,
            v_reset=frozen(v_reset),
            amount=frozen(threshold),
            rest=frozen(v_reset),
            v_init=frozen(v_reset),
        )
        super().__init__(node, ["amount"], Layout(channels, spatial_dims), surrogate or Rectangle(), step_mode)
        if learn_threshold:
            self.learn("threshold", threshold)

    def values(self) -> dict[str, Tensor]:
        """Adds ``amount`` = threshold."""
        fields = super().values()
        return {**fields, "amount": fields["threshold"]}
