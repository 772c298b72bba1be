"""What a construction asks of the chip's registers: each obligation a ``Condition``, checked for the deployed numbers.

Source: the arithmetic of lava-nc 0.10.0 (u wraps at 24 bits, sums enter it shifted left by 6, firing is strict).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from snndeploy.arrays import frozen
from snndeploy.ir.graph import Condition, Limits

UNIT = 64
"""Units of v a weight unit is worth (synaptic sums enter u shifted left by 6)."""
U_LIMIT = 1 << 17
"""Weight units at which u would wrap."""
MANTISSA, EXPONENT, PARALLEL = 254, 7, 8
"""The largest even mantissa of a synapse, its largest exponent, and how many may lie side by side."""


def on_grid(value: int) -> int:
    """The smallest whole number >= ``value`` that one synapse can hold: at most 127 times 2, shifted left."""
    exponent = max(0, (value - 1).bit_length() - 7) if value > 0 else 0
    step = 1 << max(1, exponent)
    return -(-value // step) * step


def plain(node: Any, rung: int) -> Any:
    """The rung's own plain LIF: same decay and bias, its threshold, output 1, hard reset."""
    return dataclasses.replace(node, thresholds=frozen(node.thresholds[rung : rung + 1]), levels=frozen([1.0]))


def memoryless(node: Any) -> Any:
    """A relay: fires where at least two weight units arrive in this very step, and remembers nothing."""
    # 4095 / 4096 of at most 128 truncates to nothing, and 4096 does not fit the register
    one = frozen([1.0])
    return dataclasses.replace(node, du=frozen(4095.0), dv=frozen(4095.0), thresholds=frozen([float(UNIT)]), levels=one, bias=frozen(0.0))


def constant_part(node: Any) -> float:
    """What enters the membrane beside the synaptic current, in weight units: bias, and the amount of a late reset."""
    amount = float(np.abs(node.amounts).max()) if node.late else 0.0
    return float(np.ceil((np.abs(node.bias).max() + amount) / UNIT))


def programs(limits: Limits, why: str, hint: str) -> Condition:
    """The construction runs as a neuron program, for this reason."""
    return Condition("neuron programs", limits.programs, "available" if limits.programs else "not on this chip", f"one for {why}", hint)


def no_wrap(name: str, parts: Sequence[float]) -> Condition:
    """The parts of the largest sum, in weight units, stay below 24 bits of v."""
    value = " + ".join(f"{part:.0f}" for part in parts if part) or "0"
    return Condition(name, sum(parts) < U_LIMIT, value, f"< {U_LIMIT} weight units", "L013: fewer weight bits or a smaller fan-in")


def fading(node: Any) -> Condition:
    """A current that outlives its step would keep forcing."""
    holds = bool((node.du == 4095).all())
    return Condition("no synaptic memory", holds, f"du {node.du.min():g}", "du 4095", "use graded")


def drivable(node: Any) -> Condition:
    """The construction has delayed synapses, so the bias must come with the input, as a synapse from the constant."""
    whole = bool((node.bias % UNIT == 0).all())
    return Condition(
        "bias on the weights' grid", whole, f"{np.abs(node.bias).max():g}", f"a multiple of {UNIT}", "round it to whole weight units"
    )


def reached(force: int) -> Condition:
    """The force is what synapses hold: even mantissas, shifted; a large one takes several side by side."""
    exponent = min(EXPONENT, max(0, (force >> 1).bit_length() - 7))
    beside = -(-force // (MANTISSA << exponent))
    value = f"{force} on a grid of {2 << exponent}, {beside} synapse(s)"
    holds = force == on_grid(force) and beside <= PARALLEL
    return Condition("force on the synapses' grid", holds, value, f"at most {PARALLEL} synapses", "L005: fewer weight bits")


def start(limits: Limits, lingers: float) -> Condition:
    """Spikes on their way when a sample ends must have arrived before the neurons are cleared: that clears no synapse.

    ``lingers`` is how many steps those take that would do harm; infinite where what is left in a membrane fires on.
    """
    holds = limits.idle is None or limits.idle >= lingers
    given = "every sample starts on a cleared chip" if limits.idle is None else f"{limits.idle} idle steps, then neurons are cleared"
    value = "what is left fires on" if np.isinf(lingers) else f"the last ones take {lingers:g} step(s)"
    return Condition("no spikes from the sample before", holds, value, given, "restart the chip between samples")


def hard(node: Any, limits: Limits, force: int, lingers: float) -> tuple[Condition, ...]:
    """Every obligation of a construction that synchronises plain hard-reset LIF neurons by forcing them to fire."""
    theta_1, vth = float(node.thresholds.min()), int(node.thresholds.max()) // UNIT
    aligned = bool((node.thresholds % UNIT == 0).all()) and vth <= limits.vth_max
    return (
        no_wrap("no wrap of u", [force, limits.input_bound, constant_part(node)]),
        reached(force),
        Condition("threshold above the reset value", theta_1 >= 0, f"{theta_1:g}", ">= 0", "a neuron that fires at rest needs graded"),
        Condition("thresholds on the mantissa's grid", aligned, f"vth {vth}", f"<= {limits.vth_max}, in steps of 64",
                  "L006: quantize the thresholds to multiples of 64"),
        fading(node),
        Condition("no floor", node.floor is None, "none" if node.floor is None else "a floor", "none", "use graded"),
        drivable(node),
        start(limits, lingers),
    )  # fmt: skip
