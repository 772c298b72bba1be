"""One small convolutional network for 8x8 digits, five times: only the neuron differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from snndeploy.nn import CLIF, GLIF, KLIF, LIFB, PLIF, Neuron, reset
from snndeploy.nn.neuron import Layout
from snndeploy.quantize.nearest import nearest

FOLDER = Path(__file__).parent
STEPS, CHANNELS = 6, (8, 16)

NEURONS: Mapping[str, Callable[[int], Neuron]] = {
    "PLIF": lambda _: PLIF(),
    "GLIF": lambda channels: GLIF(STEPS, channels=channels, spatial_dims=2),
    "CLIF": lambda _: CLIF(),
    "KLIF": lambda _: KLIF(),
    "LIFB": lambda channels: LIFB(kappa_range=(1.25, 2.0), kappa=1.5, kappa_grid=0.25, channels=channels, spatial_dims=2),
}
"""A neuron layer for so many channels, with the first values of its paper: what is learned is learned a layer (the
decay of PLIF, k of KLIF) or a channel (GLIF's gates, constants and conduct of each step, LIFB's kappa)."""


class Digits(nn.Module):
    """Pixels in sixteenths [B, 1, 8, 8], the same at each step -> mean read-out [B, 10]."""

    def __init__(self, neuron: str) -> None:
        super().__init__()
        first, second = CHANNELS
        self.conv1 = nn.Conv2d(1, first, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.neuron1 = NEURONS[neuron](first)
        self.pool1 = nn.AvgPool2d(2)
        self.conv2 = nn.Conv2d(first, second, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(second)
        self.neuron2 = NEURONS[neuron](second)
        self.pool2 = nn.AvgPool2d(2)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(4 * second, 10)

    def step(self, x: Tensor) -> Tensor:
        """One time step: [B, 1, 8, 8] -> [B, 10]."""
        x = self.pool1(self.neuron1(self.bn1(self.conv1(x))))
        x = self.pool2(self.neuron2(self.bn2(self.conv2(x))))
        return cast(Tensor, self.fc(self.flatten(x)))

    def forward(self, x: Tensor) -> Tensor:
        """STEPS steps from rest; the mean of the read-out over time."""
        reset(self)
        out: Any = 0.0
        for _ in range(STEPS):
            out += self.step(x)
        return cast(Tensor, out / STEPS)


def network(neuron: str = "PLIF") -> Digits:
    """The untrained network of one of the five neurons; the ``.pt`` files beside this hold the weights."""
    return Digits(neuron)


def weights(neuron: str, *, again: bool = False) -> Path:
    """The file of the trained network, or of its nearest deployable one that was trained ``again``."""
    return FOLDER / f"{neuron.lower()}{'_nearest' if again else ''}.pt"


def trained(neuron: str) -> Digits:
    """The trained network."""
    net = network(neuron)
    net.load_state_dict(torch.load(weights(neuron), weights_only=True))
    return net.eval()


def nearest_network(neuron: str, *, again: bool) -> Digits:
    """The trained network with each neuron replaced by the nearest LIF, as it is or with weights trained ``again``."""
    net = trained(neuron)
    for name in ("neuron1", "neuron2"):
        lif = nearest(net.get_submodule(name).to_node()).neuron  # type: ignore[operator]
        assert lif is not None, "each of the five is near a LIF"
        setattr(net, name, Neuron(lif, (), Layout()))
    if again:
        net.load_state_dict(torch.load(weights(neuron, again=True), weights_only=True))
    return net.eval()
