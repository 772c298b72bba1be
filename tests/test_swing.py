"""The quantizer leaves v room for what it swings: no step's sum is large, but they add up."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import snndeploy as sd  # noqa: E402
import snndeploy.quantize as quantizer  # noqa: E402
from snndeploy.ir.neurons.decoupling import U_LIMIT  # noqa: E402
from snndeploy.nn import LIF  # noqa: E402
from snndeploy.quantize.swing import MARGIN, as_good, roomier, within  # noqa: E402

STEPS = 60


def inhibited(seed):
    """Two layers fed by real values that mostly push v down, held for 60 steps; v leaks slowly."""
    rng = np.random.default_rng(seed)
    net = torch.nn.Sequential(
        torch.nn.Linear(30, 12),
        LIF(tau=20.0, decay_input=False),
        torch.nn.Linear(12, 6, bias=False),
        LIF(tau=10.0, decay_input=False),
    )
    with torch.no_grad():
        net[0].weight.copy_(torch.as_tensor(rng.normal(-0.1, 1, (12, 30)) / 3))
        net[2].weight.copy_(torch.as_tensor(rng.normal(-0.1, 1, (6, 12))))
        net[0].bias.copy_(torch.as_tensor(rng.normal(0, 0.1, 12)))
    return net, np.repeat(rng.random((4, 1, 30)), STEPS, 1).astype(np.float32)


def on_chip(seed, bits):
    net, x = inhibited(seed)
    return sd.convert(net, x, sd.Wishes(chip="loihi2", weight_bits=bits), timesteps=STEPS)


@pytest.mark.parametrize("bits", [8, 5])
def test_v_holds_its_swing_and_without_room_it_does_not(bits, monkeypatch):
    made = [on_chip(seed, bits) for seed in range(3)]
    assert [m.faults for m in made] == [()] * 3
    assert all(m.chip_trace.activity["1"].own > 0 for m in made)
    monkeypatch.setattr(quantizer, "swing", lambda *_: 0.0)
    assert {f.kind for seed in range(3) for f in on_chip(seed, bits).faults} == {"membrane"}


def test_room_is_asked_for_only_where_it_is_missing():
    largest = 1000.0
    enough = next(iter(roomier(largest, 1e-9)))
    assert within(largest, enough)
    assert list(roomier(largest, enough)) == []
    assert enough * U_LIMIT >= MARGIN * largest
    assert not within(largest, enough / 4)


@pytest.mark.parametrize(
    ("found", "best", "fair"),
    [((0, 0.01), (0, 0.01), True), ((0, 0.1), (0, 0.01), False), ((1, 0.0), (0, 0.01), False), ((1, 0.0), (1, 0.01), True)],
)
def test_room_has_its_price(found, best, fair):
    assert as_good(found, best) is fair
