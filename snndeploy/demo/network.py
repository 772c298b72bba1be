"""A convolutional burst network for 8x8 digits: BatchNorm, a residual connection, average pooling, T steps."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn

from snndeploy.ir.neurons.lif import Reset
from snndeploy.nn import LIFB, reset


def burst(channels: int, kind: Reset) -> LIFB:
    """Decay 1/2, thresholds 1 and 2, kappa a channel in quarters from 1.25 to 2."""
    return LIFB(
        tau=2.0,
        thresholds=(1.0, 2.0),
        kappa=1.5,
        decay_input=False,
        reset=kind,
        kappa_range=(1.25, 2.0),
        kappa_grid=0.25,
        channels=channels,
        spatial_dims=2,
    )


class Residual(nn.Module):
    """Two convolutions with a way around them: neuron2(bn2(conv2(neuron1(bn1(conv1(x))))) + x)."""

    def __init__(self, channels: int, kind: Reset) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.neuron1 = burst(channels, kind)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.neuron2 = burst(channels, kind)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape, one step."""
        y = self.neuron1(self.bn1(self.conv1(x)))
        return cast(Tensor, self.neuron2(self.bn2(self.conv2(y)) + x))


class Digits(nn.Module):
    """Pixels in sixteenths [B, 1, 8, 8], the same at each of T steps -> mean read-out [B, 10]."""

    def __init__(self, T: int = 6, reset: Reset = "hard", channels: int = 12) -> None:  # noqa: N803 (the name every SNN uses)
        super().__init__()
        self.T = T
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.neuron1 = burst(channels, reset)
        self.block = Residual(channels, reset)
        self.pool1 = nn.AvgPool2d(2)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(2 * channels)
        self.neuron2 = burst(2 * channels, reset)
        self.pool2 = nn.AvgPool2d(2)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(2 * channels * 4, 10)

    def step(self, x: Tensor) -> Tensor:
        """One time step: [B, 1, 8, 8] -> [B, 10]."""
        x = self.neuron1(self.bn1(self.conv1(x)))
        x = self.pool1(self.block(x))
        x = self.neuron2(self.bn2(self.conv2(x)))
        return cast(Tensor, self.fc(self.flatten(self.pool2(x))))

    def forward(self, x: Tensor) -> Tensor:
        """T steps from rest; the mean of the read-out over time."""
        reset(self)
        out: Any = 0.0
        for _ in range(self.T):
            out += self.step(x)
        return cast(Tensor, out / self.T)


def digits(T: int = 6, reset: Reset = "hard") -> Digits:  # noqa: N803
    """The untrained network of the demo; ``digits.pt`` holds its weights, ``digits_soft.pt`` those for "subtract"."""
    return Digits(T, reset)
