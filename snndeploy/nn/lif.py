"""LIF, IF, LI, PLIF and CUBA-LIF as torch modules."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from snndeploy.arrays import frozen
from snndeploy.ir.neurons import cubalif, li, lif
from snndeploy.ir.neurons.lif import Reset
from snndeploy.nn.neuron import Layout, Neuron, StepMode, decay_of, raw_decay
from snndeploy.nn.surrogates import Surrogate


class LIF(Neuron):
    """Leaky integrate-and-fire; the equations are ``snndeploy.ir.neurons.lif.LIF``'s with decay = 1 - 1/tau.

    ``tau`` in steps; ``decay_input`` scales the input by 1/tau (as SpikingJelly and PLIF do). "hard" goes to
    ``v_reset``, which is also the resting and first potential; "subtract" takes the threshold off. ``learn_decay``
    trains w with 1/tau = sigmoid(w); ``learn_threshold`` trains the threshold; both are one value a channel if
    ``channels`` is given. Raises ``OptionError`` for tau < 1.
    """

    w: Tensor

    def __init__(
        self,
        tau: float = 2.0,
        threshold: float = 1.0,
        *,
        decay_input: bool = True,
        reset: Reset = "hard",
        v_reset: float = 0.0,
        strict: bool = False,
        late: bool = False,
        floor: float | None = None,
        learn_decay: bool = False,
        learn_threshold: bool = False,
        channels: int | None = None,
        spatial_dims: int = 0,
        surrogate: Surrogate | None = None,
        step_mode: StepMode = "s",
    ) -> None:
        decay = decay_of(type(self).__name__, tau)
        node = lif.LIF(
            decay=frozen(decay),
            gain=frozen(1 - decay if decay_input else 1.0),
            threshold=frozen(threshold),
            strict=strict,
            reset=reset,
            v_reset=frozen(v_reset),
            amount=frozen(threshold),
            late=late,
            rest=frozen(v_reset),
            v_init=frozen(v_reset),
            floor=None if floor is None else frozen(floor),
        )
        self.decay_input = decay_input
        self.learn_decay = learn_decay
        derived = ["amount", *learned_by_w(learn_decay, decay_input)]
        super().__init__(node, derived, Layout(channels, spatial_dims), surrogate, step_mode)
        if learn_decay:
            self.learn("w", raw_decay(type(self).__name__, tau))
        if learn_threshold:
            self.learn("threshold", threshold)

    def values(self) -> dict[str, Tensor]:
        """Adds ``amount`` = threshold, and decay and gain where they are learned."""
        fields = super().values()
        return {**fields, "amount": fields["threshold"], **decay_and_gain(self)}


class PLIF(LIF):
    """LIF with a learned time constant: 1/tau = sigmoid(w), w starts at -ln(tau - 1) (Fang et al., ICCV 2021)."""

    def __init__(
        self,
        tau: float = 2.0,
        threshold: float = 1.0,
        *,
        decay_input: bool = True,
        reset: Reset = "hard",
        v_reset: float = 0.0,
        strict: bool = False,
        learn_threshold: bool = False,
        channels: int | None = None,
        spatial_dims: int = 0,
        surrogate: Surrogate | None = None,
        step_mode: StepMode = "s",
    ) -> None:
        super().__init__(
            tau,
            threshold,
            decay_input=decay_input,
            reset=reset,
            v_reset=v_reset,
            strict=strict,
            learn_decay=True,
            learn_threshold=learn_threshold,
            channels=channels,
            spatial_dims=spatial_dims,
            surrogate=surrogate,
            step_mode=step_mode,
        )


class IF(LIF):
    """Integrate-and-fire: a LIF that forgets nothing (decay 1) and takes its input undivided."""

    def __init__(
        self,
        threshold: float = 1.0,
        *,
        reset: Reset = "hard",
        v_reset: float = 0.0,
        strict: bool = False,
        learn_threshold: bool = False,
        channels: int | None = None,
        spatial_dims: int = 0,
        surrogate: Surrogate | None = None,
        step_mode: StepMode = "s",
    ) -> None:
        super().__init__(
            math.inf,
            threshold,
            decay_input=False,
            reset=reset,
            v_reset=v_reset,
            strict=strict,
            learn_threshold=learn_threshold,
            channels=channels,
            spatial_dims=spatial_dims,
            surrogate=surrogate,
            step_mode=step_mode,
        )


class LI(Neuron):
    """Leaky integrator read-out: gives its membrane, never fires. tau = infinity sums the input over time."""

    w: Tensor

    def __init__(
        self,
        tau: float = math.inf,
        *,
        decay_input: bool = False,
        learn_decay: bool = False,
        channels: int | None = None,
        spatial_dims: int = 0,
        step_mode: StepMode = "s",
    ) -> None:
        decay = decay_of("LI", tau)
        node = li.LI(decay=frozen(decay), gain=frozen(1 - decay if decay_input else 1.0))
        self.decay_input = decay_input
        self.learn_decay = learn_decay
        super().__init__(node, learned_by_w(learn_decay, decay_input), Layout(channels, spatial_dims), None, step_mode)
        if learn_decay:
            self.learn("w", raw_decay("LI", tau))

    def values(self) -> dict[str, Tensor]:
        """Adds decay and gain where they are learned."""
        return {**super().values(), **decay_and_gain(self)}


class CubaLIF(Neuron):
    """LIF with a synaptic current of its own time constant; the equations are ``snndeploy.ir.neurons.cubalif``'s.

    ``tau_current`` and ``tau`` in steps; the current takes its input undivided, ``decay_input`` scales what the
    membrane takes from it by 1/tau. ``learn_decay`` trains w and w_current, 1/tau = sigmoid(w).
    """

    w: Tensor
    w_current: Tensor

    def __init__(
        self,
        tau_current: float = 2.0,
        tau: float = 2.0,
        threshold: float = 1.0,
        *,
        decay_input: bool = False,
        reset: Reset = "hard",
        v_reset: float = 0.0,
        strict: bool = False,
        learn_decay: bool = False,
        learn_threshold: bool = False,
        channels: int | None = None,
        spatial_dims: int = 0,
        surrogate: Surrogate | None = None,
        step_mode: StepMode = "s",
    ) -> None:
        decay = decay_of("CubaLIF", tau)
        node = cubalif.CubaLIF(
            current_decay=frozen(decay_of("CubaLIF", tau_current)),
            decay=frozen(decay),
            gain=frozen(1 - decay if decay_input else 1.0),
            threshold=frozen(threshold),
            strict=strict,
            reset=reset,
            v_reset=frozen(v_reset),
            amount=frozen(threshold),
            rest=frozen(v_reset),
            v_init=frozen(v_reset),
        )
        self.decay_input = decay_input
        self.learn_decay = learn_decay
        derived = ["amount", *learned_by_w(learn_decay, decay_input), *(["current_decay"] if learn_decay else [])]
        super().__init__(node, derived, Layout(channels, spatial_dims), surrogate, step_mode)
        if learn_decay:
            self.learn("w", raw_decay("CubaLIF", tau))
            self.learn("w_current", raw_decay("CubaLIF", tau_current))
        if learn_threshold:
            self.learn("threshold", threshold)

    def values(self) -> dict[str, Tensor]:
        """Adds ``amount`` = threshold, and both decays where they are learned."""
        fields = super().values()
        current = {"current_decay": 1 - torch.sigmoid(self.w_current)} if self.learn_decay else {}
        return {**fields, "amount": fields["threshold"], **current, **decay_and_gain(self)}


def learned_by_w(learn_decay: bool, decay_input: bool) -> list[str]:
    """The fields that follow from w: the decay, and the gain of a decayed input."""
    return ["decay", *(["gain"] if decay_input else [])] if learn_decay else []


def decay_and_gain(neuron: LIF | LI | CubaLIF) -> dict[str, Tensor]:
    """decay = 1 - sigmoid(w), gain = sigmoid(w) where the input is decayed; nothing if the decay is fixed."""
    if not neuron.learn_decay:
        return {}
    rate = torch.sigmoid(neuron.w)
    return {"decay": 1 - rate, **({"gain": rate} if neuron.decay_input else {})}
