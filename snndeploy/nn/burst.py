"""LIFB, the burst neuron, as a torch module."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from snndeploy.arrays import frozen
from snndeploy.errors import OptionError
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.lif import Reset
from snndeploy.nn.neuron import Layout, Neuron, StepMode, decay_of
from snndeploy.nn.on_torch import straight_through
from snndeploy.nn.surrogates import Surrogate


class LIFB(Neuron):
    """A burst neuron: silent, a spike of 1 from the first threshold, kappa_j from the j-th; see ``ir.neurons.burst``.

    ``thresholds`` rise, two for LIFB (spike, burst) or more; ``kappa`` is the level of every rung but the first,
    learned (``learn_kappa``), one value a channel if ``channels`` is given. ``kappa_range`` bounds it and
    ``kappa_grid`` rounds it to multiples, in the forward pass with straight-through gradients: a level on a coarse
    grid costs few weight bits on a chip. "subtract" takes the first threshold off, whatever the level.
    ``strict`` is one answer for all rungs or one a rung. The paper's equations could not be had (arXiv
    2301.12356), so nothing here claims to be them. Raises ``OptionError`` for tau < 1 or a kappa count that misfits.
    """

    kappa: Tensor

    def __init__(
        self,
        tau: float = 2.0,
        thresholds: Sequence[float] = (1.0, 2.0),
        kappa: float | Sequence[float] = 2.0,
        *,
        decay_input: bool = True,
        reset: Reset = "hard",
        v_reset: float = 0.0,
        strict: bool | Sequence[bool] = False,
        learn_kappa: bool = True,
        learn_threshold: bool = False,
        kappa_range: tuple[float, float] | None = None,
        kappa_grid: float | None = None,
        channels: int | None = None,
        spatial_dims: int = 0,
        surrogate: Surrogate | None = None,
        step_mode: StepMode = "s",
    ) -> None:
        decay, rungs = decay_of("LIFB", tau), len(thresholds)
        sizes = _sizes(kappa, rungs)
        self.kappa_range, self.kappa_grid = kappa_range, kappa_grid
        self.subtracts = reset == "subtract"
        node = Burst(
            decay=frozen(decay),
            thresholds=frozen(thresholds),
            levels=frozen([1.0, *sizes]),
            strict=(strict,) * rungs if isinstance(strict, bool) else tuple(strict),
            reset=reset,
            v_reset=frozen(v_reset),
            amounts=frozen([thresholds[0]] * rungs) if reset == "subtract" else None,
            gain=frozen(1 - decay if decay_input else 1.0),
            rest=frozen(v_reset),
            v_init=frozen(v_reset),
        )
        super().__init__(node, ["levels", "amounts"], Layout(channels, spatial_dims), surrogate, step_mode)
        self.learn("kappa", sizes)
        self.kappa.requires_grad_(learn_kappa)
        if learn_threshold:
            self.learn("thresholds", list(thresholds))

    def values(self) -> dict[str, Tensor]:
        """Adds ``levels`` = (1, kappa...) and, for a subtracting reset, ``amounts``."""
        fields = super().values()
        sizes = self.sizes()
        fields["levels"] = torch.cat([torch.ones(1, *sizes.shape[1:], dtype=sizes.dtype, device=sizes.device), sizes])
        if self.subtracts:
            fields["amounts"] = fields["thresholds"][:1].expand_as(fields["thresholds"])
        return fields

    def sizes(self) -> Tensor:
        """Kappa as it is used: inside its range and on its grid; [K - 1] or [K - 1, C, 1, ...]."""
        used = self.kappa
        if self.kappa_range is not None:
            used = used.clamp(*self.kappa_range)
        if self.kappa_grid is not None:
            used = torch.round(used / self.kappa_grid) * self.kappa_grid
        return straight_through(used, self.kappa)


def _sizes(kappa: float | Sequence[float], rungs: int) -> list[float]:
    """One kappa for every threshold but the first; raises ``OptionError`` where the counts differ."""
    sizes = [float(kappa)] * (rungs - 1) if isinstance(kappa, int | float) else list(kappa)
    if len(sizes) != rungs - 1:
        raise OptionError("LIFB", f"{len(sizes)} kappa for {rungs} thresholds", "kappa has one value for every threshold but the first")
    return sizes
