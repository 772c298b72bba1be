"""Integer neurons that the chip's fixed LIF cannot compute -> neuron programs (ours: a model without silicon reference)."""

from __future__ import annotations

import numpy as np

from snndeploy.arrays import Ints, frozen_ints
from snndeploy.chip.program import NeuronProgram, assemble
from snndeploy.ir.neurons.integer import IntegerNeuron


def program(node: IntegerNeuron, name: str, reset_at: int = 0) -> NeuronProgram:
    """The program that computes ``node`` word for word, as long as no intermediate sum saturates."""
    lines = [*_charge(node), *_fire(node), *_reset(node)]
    state = {"v": 0, **({"u": 0} if _current(node) else {}), **({"s": 0} if node.late else {})}
    return assemble(name, "\n".join(lines), state, _constants(node), reset_at)


def _current(node: IntegerNeuron) -> bool:
    """True if a synaptic current is kept from step to step."""
    return bool((node.du != 4095).any())


def _charge(node: IntegerNeuron) -> list[str]:
    lines = ["MUL u u k.ku 12", "ADD u u I", "MOV t u"] if _current(node) else ["MOV t I"]
    # input and bias are added first, so that the membrane saturates once, as in the fixed LIF
    lines += ["ADD t t k.bias"] if node.bias.any() else []
    lines += ["SEL r s k.r0 0", "SUB t t r"] if node.late else []
    lines += ["MUL v v k.kv 12", "ADD v v t"]
    return lines + (["MAX v v k.floor"] if node.floor is not None else [])


def _fire(node: IntegerNeuron) -> list[str]:
    lines = [f"GT p{j} v k.t{j}" for j in range(node.rungs)]
    lines += ["MOV y k.l0", *(f"SEL y p{j} k.l{j} y" for j in range(1, node.rungs))] if node.rungs > 1 else ["MOV y k.l0"]
    return [*lines, "SPK p0 y"]


def _reset(node: IntegerNeuron) -> list[str]:
    if node.late:
        return ["MOV s p0"]
    if node.reset == "hard":
        return ["SEL v p0 0 v"]
    if node.reset == "none":
        return []
    return ["MOV r k.r0", *(f"SEL r p{j} k.r{j} r" for j in range(1, node.rungs)), "SUB r v r", "SEL v p0 r v"]


def _constants(node: IntegerNeuron) -> dict[str, Ints]:
    values = {"kv": 4096 - node.dv, "ku": 4095 - node.du, "bias": node.bias}
    values |= {f"t{j}": node.thresholds[j] for j in range(node.rungs)} | {f"l{j}": node.levels[j] for j in range(node.rungs)}
    if node.amounts is not None:
        values |= {f"r{j}": node.amounts[j] for j in range(node.rungs)}
    if node.floor is not None:
        values["floor"] = node.floor
    return {name: frozen_ints(np.asarray(value)) for name, value in values.items()}
