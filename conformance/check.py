"""Recomputes every vector of loihi_lif.json with NumPy alone: python check.py. Exit code 1 if one value differs."""

import json
import sys
from pathlib import Path

import numpy as np


def tz(x, k):
    """Divide by 2**k toward zero."""
    return np.sign(x) * (np.abs(x) >> k)


def wrap(x, bits=32):
    """Two's complement."""
    return (np.asarray(x, np.int64) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


def stored(weights, bits, mode):
    """What a synapse matrix holds: clipped to 8 bits and sign, then truncated. mode 1 mixed, 2 excitatory, 3 inhibitory."""
    mode = mode or (2 if weights.min() >= 0 else 3 if weights.max() <= 0 else 1)
    sign, mixed = (-1 if mode == 3 else 1), int(mode == 1)
    w, k = np.clip(sign * weights, -256 * mixed, 255), 8 - bits + mixed
    return sign * ((w >> k) << k)


def arrivals(group, x):
    """What reaches the neurons at each step, before the shift by 6: one step, and the synapse's delay, after the spike."""
    s, out = group["synapses"], np.zeros_like(np.array(group["expect"]["u"]))
    if s["kind"] == "none":
        return x
    w, delays = np.array(s["weights"]), np.array(s.get("delays", 0))
    if s["kind"] == "conv":  # a true convolution in one channel: the kernel turned over; the sum wraps to 24 bits
        rows = [x[:, i : i + w.size] @ w[::-1] for i in range(x.shape[1] - w.size + 1)]
        out[1:] = wrap(np.stack(rows, 1), 24)[:-1]
        return out
    w = stored(w, s["bits"], s["mode"])
    for d in np.unique(delays):
        acc = (x if s["graded"] else (x != 0)) @ (w * (delays == d)).T
        acc = wrap(wrap(acc) << s["exp"] if s["exp"] > 0 else wrap(acc) >> -s["exp"])  # the sum is shifted, downward by floor
        out[1 + d :] += acc[: len(acc) - 1 - d]
    return out


def run(group):
    """u, v and s after every step; v is read after the reset."""
    n = {k: np.array(v, np.int64) for k, v in group["neuron"].items()}
    bias = wrap(n["bias_mant"] << np.maximum(n["bias_exp"], 0)) >> np.maximum(-n["bias_exp"], 0)
    a, u, v, kept = arrivals(group, np.array(group["input"], np.int64)), n["u"], n["v"], {"u": [], "v": [], "s": []}
    for t in range(1, len(a) + 1):
        if n["reset_interval"] and t % n["reset_interval"] == n["reset_offset"] % n["reset_interval"]:
            u, v = 0 * u, 0 * v
        u = wrap(tz(u * (4096 - (n["du"] + 1)), 12) + wrap(a[t - 1] << 6))
        u = np.where(u > 2**23, u - 2**24, np.where(u <= -(2**23), u + 2**24, u))
        v = np.clip(wrap(tz(v * (4096 - n["dv"]), 12) + u + bias), -(2**23 - 1), 2**23 - 1)
        s = 1 * (v > (n.get("vth", n.get("vth_hi")) << 6)) - (v < (n.get("vth_lo", -(2**18)) << 6))
        v = np.where(s != 0, 0, v)
        kept = {"u": [*kept["u"], u], "v": [*kept["v"], v], "s": [*kept["s"], s]}
    return {k: np.array(x) for k, x in kept.items()}


groups = json.loads(Path(__file__).with_name("loihi_lif.json").read_text())["groups"]
found, bad = {g["name"]: run(g) for g in groups}, []
for g in groups:
    bad += [f"{g['name']}: {k} differs" for k, v in found[g["name"]].items() if not np.array_equal(v, g["expect"][k])]
print("\n".join(bad) or f"{len(groups)} groups, {sum(v.size for f in found.values() for v in f.values()):,} values, all equal")
sys.exit(bool(bad))
