"""GLIF as a torch module."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from snndeploy.errors import OptionError
from snndeploy.ir.neurons.glif import ROWS, fold, glif
from snndeploy.nn.neuron import Layout, Neuron, StepMode
from snndeploy.nn.on_torch import straight_through
from snndeploy.nn.surrogates import Rectangle, Surrogate


class GLIF(Neuron):
    """Gated LIF for ``steps`` time steps; see ``ir.neurons.glif``. It is run for so many steps, not for more.

    Everything is learned, raw, behind a sigmoid: ``alpha``, ``beta``, ``gamma`` (the gates of decay, input and reset),
    ``tau``, ``Vth``, ``leak``, ``reVth``, and ``conduct``, one value a step; one value a channel if ``channels`` is
    given (the paper's channel-wise form), else one a layer. With ``time_wise`` tau, Vth, leak and reVth have one value
    a step too. With ``hard_gates`` a gate is 1 where its raw value is positive, else 0, with the sigmoid's gradient.

    First values and names are those of CAS-CLab/Gated-LIF, ``layers.py: LIFSpike_CW`` and ``train.py``: decay 0.25,
    threshold and amount 0.5, leak threshold / (2 steps), conduct 0.5, sigmoid(gate) = 1/2 + (gate - 1/2)/2 for the gates
    (0.6, 0.8, 0.6), and the rectangle of width 1 as surrogate. Raises ``OptionError`` for a first value outside 0 .. 1.
    """

    alpha: Tensor
    beta: Tensor
    gamma: Tensor
    tau: Tensor
    Vth: Tensor
    leak: Tensor
    reVth: Tensor  # noqa: N815 (the name in the paper's files)
    conduct: Tensor

    def __init__(
        self,
        steps: int,
        gates: tuple[float, float, float] = (0.6, 0.8, 0.6),
        *,
        decay: float = 0.25,
        threshold: float = 0.5,
        leak: float | None = None,
        conduct: float = 0.5,
        strict: bool = True,
        time_wise: bool = False,
        hard_gates: bool = False,
        channels: int | None = None,
        spatial_dims: int = 0,
        surrogate: Surrogate | None = None,
        step_mode: StepMode = "s",
    ) -> None:
        if steps < 1:
            raise OptionError("GLIF", f"{steps} steps", "GLIF has constants for every step: say how many steps a sample has")
        self.hard_gates = hard_gates
        drop = threshold / (2 * steps) if leak is None else leak
        table = np.full(steps, conduct)
        node = glif((0.5, 0.5, 0.5), [decay], [threshold], [drop], [threshold], table, strict=strict)
        super().__init__(node, ROWS, Layout(channels, spatial_dims), surrogate or Rectangle(), step_mode)
        for name, gate in zip(("alpha", "beta", "gamma"), gates, strict=True):
            self.learn(name, _raw(name, 0.5 + (gate - 0.5) / 2))
        for name, value in (("tau", decay), ("Vth", threshold), ("leak", drop), ("reVth", threshold)):
            self.learn(name, np.full(steps if time_wise else 1, _raw(name, value)))
        self.learn("conduct", np.full(steps, _raw("conduct", conduct)))

    def values(self) -> dict[str, Tensor]:
        """The tables of the node, from the parameters; every one [steps or 1, ...]."""
        gates = self._gate(self.alpha), self._gate(self.beta), self._gate(self.gamma)
        keep, lost, subtract, drive = (torch.sigmoid(raw) for raw in (self.tau, self.leak, self.reVth, self.conduct))
        return {**super().values(), **fold(gates, keep, lost, subtract, drive), "threshold": torch.sigmoid(self.Vth)}

    def _gate(self, raw: Tensor) -> Tensor:
        """0 .. 1, as a row that holds at every step."""
        soft = torch.sigmoid(raw)[None]
        return straight_through((raw[None] > 0).to(raw.dtype), soft) if self.hard_gates else soft


def _raw(name: str, value: float) -> float:
    """What a sigmoid makes ``value`` of; raises ``OptionError`` outside 0 .. 1."""
    if not 0 < value < 1:
        raise OptionError("GLIF", f"{name} starts at {value}", "a value behind a sigmoid lies between 0 and 1")
    return -math.log(1 / value - 1)
