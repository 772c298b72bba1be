"""Makes loihi_lif.json: every group run by the real Lava and by our simulator, which must agree.

python conformance/generate.py        (needs Lava: snndeploy doctor --setup-lava)
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import converters
from snndeploy.chip.models import HostInput, Lif, TernaryLif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Synapses, Wire, loihi_weights
from snndeploy.sim.chip import run_chip
from snndeploy.sim.lava import run_lava

VERSION = "1.0.0"
NEVER = 1 << 17
Group = dict[str, Any]
Rng = np.random.Generator


def neuron(count: int, **given: Any) -> dict[str, Any]:
    """Registers of ``count`` neurons; what is not given is 0, and never fires."""
    names = ("du", "dv", "bias_mant", "bias_exp", "u", "v", *(() if "vth_lo" in given else ("vth",)))
    values = {"du": 4095, "dv": 0, "vth": NEVER} | given
    each = {n: np.broadcast_to(np.asarray(values.get(n, 0)), count).tolist() for n in (*names, *(k for k in given if k.startswith("vth_")))}
    return {**each, "reset_interval": values.get("reset_interval", 0), "reset_offset": values.get("reset_offset", 0)}


def group(name: str, covers: str, registers: dict[str, Any], x: Any, **synapses: Any) -> Group:
    """One group of vectors, without what is expected."""
    return {"name": name, "covers": covers, "neuron": registers, "synapses": synapses or {"kind": "none"}, "input": np.asarray(x).tolist()}


def decays(rng: Rng) -> Iterator[Group]:
    """Both decays, truncation of both signs, currents and potentials that fade, forget, or stay."""
    du = np.array([-1, 0, 1, 7, 255, 1024, 2047, 2048, 4000, 4094, 4095])
    x = np.zeros((24, len(du)), int)
    x[0], x[9] = 1001, -2003
    yield group(
        "current decay", "du from -1 (never fades) to 4095 (forgets), truncation toward zero of both signs", neuron(11, du=du, dv=4096), x
    )
    dv = np.array([0, 1, 3, 100, 1024, 2048, 3000, 4094, 4095, 4096])
    x = np.zeros((24, len(dv)), int)
    x[0], x[9] = 777, -1555
    yield group("potential decay", "dv from 0 (keeps) to 4096 (forgets), truncation toward zero of both signs", neuron(10, dv=dv), x)
    size = 40
    registers = neuron(size, du=rng.integers(-1, 4096, size), dv=rng.integers(0, 4097, size), vth=rng.integers(1, 300, size),
                       bias_mant=rng.integers(-99, 100, size), bias_exp=rng.integers(0, 8, size))  # fmt: skip
    yield group("usual", "random registers, inputs that make a third of the steps a spike", registers, rng.integers(-200, 300, (24, size)))


def thresholds() -> Iterator[Group]:
    """Equality, one above, never, below zero; u is kept by a spike; two thresholds."""
    vth = np.array([10, 10, 10, 0, 0, -3, -3, NEVER - 1, NEVER, NEVER])
    start = np.array([640, 641, 639, 0, 1, -192, -191, 8388607, 8388607, 0])
    yield group(
        "threshold",
        "strict: v equal to vth << 6 does not fire; vth 131072 never fires",
        neuron(10, vth=vth, v=start),
        np.zeros((4, 10), int),
    )
    x = np.zeros((8, 3), int)
    x[0] = (20, 40, 80)
    yield group("a spike clears v and keeps u", "du 0, so that u goes on driving", neuron(3, du=0, vth=12), x)
    ternary = neuron(6, vth_hi=10, vth_lo=-7, v=[640, 641, 639, -448, -449, -447])
    x = np.zeros((6, 6), int)
    x[2], x[4] = 11, -8
    yield group("two thresholds", "above hi is 1, below lo is -1, both strict, both clear v", ternary, x)


def ranges() -> Iterator[Group]:
    """Where registers end: u wraps once, v saturates, the input and the bias wrap at 32 bits."""
    edge = 1 << 17
    x = np.zeros((6, 8), int)
    x[0] = (edge - 1, edge, edge + 1, -edge + 1, -edge, -edge - 1, 2 * edge, 3 * edge)
    x[2] = 5
    yield group("u wraps", "2**23 is kept, one above wraps by 2**24; -2**23 wraps to 2**23", neuron(8, du=0), x)
    x = np.zeros((8, 4), int)
    x[:, 0], x[:, 1], x[:, 2], x[:, 3] = edge - 1, -(edge - 1), 100_000, -100_000
    yield group(
        "v saturates", "at +-(2**23 - 1), and comes back from there", neuron(4, v=[8388607, -8388607, 0, 0]), np.concatenate([x, -x])
    )
    x = np.zeros((5, 7), int)
    x[0] = (1 << 25, (1 << 25) + 3, (1 << 26) + 1, -(1 << 25) - 1, (1 << 30) + 7, (1 << 25) - 1, (1 << 25) - 1)
    full = neuron(7, du=[4095] * 6 + [-1], u=[0] * 6 + [8388607])
    yield group("input beyond 32 bits", "the input shifted by 6, and its sum with u, wrap in 32 bits before u does", full, x)
    mantissa = [4095, -4096, 1, -1, 32767, -32768, 5, -5, 3, -3]
    exponent = [7, 7, 0, 0, 16, 16, -1, -1, -3, -3]
    yield group(
        "bias",
        "shifted left in 32 bits, right with floor (-5 >> 1 is -3); not shifted by 6",
        neuron(10, bias_mant=mantissa, bias_exp=exponent),
        np.zeros((4, 10), int),
    )


def resets() -> Iterator[Group]:
    """Clearing before integrating, at t mod interval = offset mod interval, t from 1."""
    x = np.tile(np.array([[3, 50, 100]]), (12, 1))
    for interval, offset in ((4, 0), (4, 3), (5, 7), (1, 0)):
        registers = neuron(3, du=1000, dv=100, vth=90, bias_mant=9, bias_exp=3, u=500, v=300, reset_interval=interval, reset_offset=offset)
        yield group(f"reset every {interval}, offset {offset}", "u and v cleared before the step's input", registers, x)


def synapses(rng: Rng) -> Iterator[Group]:
    """The matrix as it is held, the sum and its exponent, grading, delays, and the convolution's wrap."""
    matrices = {
        "mixed signs": [[-5, 7, 3], [1, -1, 255], [-256, -300, 300]],
        "excitatory": [[5, 7, 3], [1, 0, 255], [256, 300, 2]],
        "inhibitory": [[-5, -7, -3], [-1, 0, -255], [-256, -300, -2]],
        "all zero": [[0, 0, 0]],
    }
    binary = (rng.random((10, 3)) < 0.6).astype(int)
    for name, matrix in matrices.items():
        for bits in (8, 5):
            what = "clipped to 8 bits and sign, truncated by floor to the grid; a mixed matrix holds even values only"
            yield dense(f"{name}, {bits} bits", what, binary, matrix, bits=bits)
    yield dense("sign mode given", "mode 1 (mixed) although no weight is negative", binary, [[5, 7, 3]], mode=1)
    payload = rng.integers(-9, 20, (10, 3))
    for exponent in (-3, -1, 0, 4):
        yield dense(
            f"exponent {exponent}", "the sum is shifted, downward with floor", payload, matrices["mixed signs"], exp=exponent, graded=True
        )
    yield dense("grading off", "any payload counts as one spike", payload, matrices["mixed signs"])
    late = [[0, 3, 1], [2, 0, 0], [5, 5, 1]]
    yield dense(
        "delays",
        "a spike of step t arrives at t + 1 + delay; each delay's sum is shifted by itself",
        binary,
        matrices["mixed signs"],
        delays=late,
        exp=-1,
    )
    x = np.zeros((6, 5), int)
    x[1], x[3] = (1, 2, 3, 4, 5), 700_000
    yield group(
        "convolution",
        "turned over; odd weights of both signs are kept; the sum wraps to 24 bits",
        neuron(3),
        x,
        kind="conv",
        weights=[3, -50, 101],
    )


def dense(
    name: str, covers: str, x: Any, weights: Any, bits: int = 8, mode: int = 0, exp: int = 0, graded: bool = False, delays: Any = None
) -> Group:
    """A group behind a synapse matrix."""
    more = {} if delays is None else {"delays": delays}
    return group(name, covers, neuron(len(weights)), x, kind="dense", weights=weights, bits=bits, mode=mode, exp=exp, graded=graded, **more)


def network_of(g: Group) -> ChipNetwork:
    """The group as a chip network: input "x", neurons "n"."""
    x, n, s = np.asarray(g["input"]), dict(g["neuron"]), g["synapses"]
    if "vth_lo" in n:
        del n["reset_interval"], n["reset_offset"]
    model = TernaryLif(**n) if "vth_lo" in n else Lif(**n)
    made: Synapses = Wire()
    source = (x.shape[1],)
    if s["kind"] == "conv":
        source, made = (1, x.shape[1]), Conv(np.array(s["weights"])[::-1][None, None], (1,), ((0, 0),), (1,))
    elif s["kind"] == "dense":
        made = Dense(loihi_weights(np.array(s["weights"]), s["bits"], s["mode"] or None), s.get("delays"))
    target = (1, len(n["du"])) if s["kind"] == "conv" else (len(n["du"]),)
    model = model if s["kind"] != "conv" else Lif(**{k: np.array(v)[None] if isinstance(v, list) else v for k, v in n.items()})
    populations = {"x": Population("x", source, HostInput(31, signed=True)), "n": Population("n", target, model)}
    p = Projection("p", "x", "n", made, s.get("exp", 0), graded=s.get("graded", s["kind"] == "conv"))
    return ChipNetwork("lava", populations, (p,), steps=len(x))


def by_lava(g: Group, network: ChipNetwork, x: Any) -> dict[str, Any]:
    """What Lava makes of the group; a matrix goes in as it was given, so that Lava itself puts it on its grid."""
    with tempfile.TemporaryDirectory() as spare:
        folder = Path(spare) / "g.lava"
        converters.save(network, folder)
        _from_the_start(folder, g)
        if g["synapses"]["kind"] == "dense":
            _as_given(folder, g["synapses"])
        trace, first = run_lava(folder, {"x": x})
    assert set(first.values()) == {0}
    return {word: trace.outputs[f"n.{name}"][:, 0] for word, name in (("u", "u"), ("v", "v"), ("s", "spikes"))}


def _from_the_start(folder: Path, g: Group) -> None:
    """Every step is recorded, and nothing is cleared but by the group's own reset."""
    spec = json.loads((folder / "network.json").read_text())
    spec["mode"] = "restart"
    for p in spec["populations"]:
        if p["class"] == "LIFReset" and not g["neuron"]["reset_interval"]:
            p["class"], p["params"] = "LIF", {}
    (folder / "network.json").write_text(json.dumps(spec))


def _as_given(folder: Path, s: dict[str, Any]) -> None:
    spec = json.loads((folder / "network.json").read_text())
    entry = {
        **next(iter(spec["connections"]), {}),
        "class": "DelayDense" if "delays" in s else "Dense",
        "source": "x",
        "target": "n",
        "delay": 0,
    }
    entry["params"] = {"weight_exp": s["exp"], "num_message_bits": 24 if s["graded"] else 0, "num_weight_bits": s["bits"]}
    entry["params"] |= {"sign_mode": s["mode"]} if s["mode"] else {}
    entry["params"] |= {"max_delay": int(np.max(s["delays"]))} if "delays" in s else {}
    entry["arrays"] = {"weights": "w", **({"delays": "d"} if "delays" in s else {})}
    spec["connections"] = [entry]
    (folder / "network.json").write_text(json.dumps(spec))
    with np.load(folder / "network.npz") as held:
        arrays = dict(held) | {"w": np.array(s["weights"], np.int32), **({"d": np.array(s["delays"])} if "delays" in s else {})}
    np.savez(folder / "network.npz", **arrays)


def expected(g: Group) -> dict[str, Any]:
    """u, v and s [T][neurons], as Lava and we compute them. Raises ``AssertionError`` where the two differ."""
    network = network_of(g)
    x = np.asarray(g["input"])[:, None].reshape(len(g["input"]), 1, *network.populations["x"].shape)
    ours = run_chip(network, {"x": x}, states=True)
    mine = {"u": ours.states["n.u"], "v": ours.states["n.v"], "s": ours.outputs["n"]}
    theirs = by_lava(g, network, x)
    for word, values in theirs.items():
        np.testing.assert_array_equal(mine[word].reshape(values.shape), values, err_msg=f"{g['name']} {word}")
    return {word: values.astype(int).tolist() for word, values in theirs.items()}


def groups() -> list[Group]:
    """Every group, in order."""
    rng = np.random.default_rng(2026)
    return [*decays(rng), *thresholds(), *ranges(), *resets(), *synapses(rng)]


def main() -> None:
    """Write loihi_lif.json beside this file."""
    made = [{**g, "expect": expected(g)} for g in groups()]
    head = {"name": "Loihi LIF arithmetic, as lava-nc 0.10.0 (select_tag fixed_pt) computes it", "version": VERSION, "license": "CC0-1.0"}
    lines = ",\n".join(json.dumps(g) for g in made)
    text = json.dumps(head)[:-1] + f',\n"groups": [\n{lines}\n]}}\n'
    Path(__file__).with_name("loihi_lif.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
