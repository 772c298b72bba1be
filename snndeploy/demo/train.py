"""Train the demo network: ``python -m snndeploy.demo.train [hard|subtract] [folder]``.

Needs scikit-learn (for the 1,797 digits) and torch. One core, a few minutes, seeded. Writes the state dict and
the two data files into ``folder`` (this one by default) and says how good the network is.

The training prepares for a chip: weights carry, in every batch, the rounding noise of a 6-bit grid that a whole
layer shares after BatchNorm is folded, and a small price is put on every spike.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snndeploy.demo import CALIBRATION, FOLDER, TEST, WEIGHTS, WEIGHTS_SOFT
from snndeploy.demo.network import Digits, digits
from snndeploy.errors import MissingPackage
from snndeploy.ir.neurons.lif import Reset
from snndeploy.nn import LIFB

SEED, EPOCHS, BATCH, RATE = 1, 60, 64, 4e-3
NOISE_BITS, SPIKE_PRICE = 6, 0.05


def split() -> dict[str, Any]:
    """Pixels in sixteenths [N, 1, 8, 8] and labels, 20 % held back, each digit in proportion."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise MissingPackage("snndeploy.demo.train", "scikit-learn", "demo") from None
    data = load_digits()
    x = (data.images[:, None] / 16).astype(np.float32)
    parts = train_test_split(x, data.target.astype(np.int64), test_size=360, random_state=0, stratify=data.target)
    return dict(zip(("x", "x_test", "y", "y_test"), parts, strict=True))


Layers: TypeAlias = Sequence[tuple[nn.Conv2d | nn.Linear, nn.BatchNorm2d | None]]
"""Layers with weights, each with the BatchNorm that will be folded into it."""


def layers(net: Digits) -> Layers:
    """The demo network's."""
    block = net.block
    return [(net.conv1, net.bn1), (block.conv1, block.bn1), (block.conv2, block.bn2), (net.conv2, net.bn2), (net.fc, None)]


def grid(weight: Tensor, norm: nn.BatchNorm2d | None, bits: int) -> Tensor:
    """The step between neighbouring weights, an output channel, if the folded layer shares ``bits``-bit weights."""
    scale = torch.ones(len(weight))
    if norm is not None:
        variance = cast(Tensor, norm.running_var)
        scale = (norm.weight.abs() / torch.sqrt(variance + norm.eps)).clamp(min=1e-6)
    scale = scale.reshape(-1, *(1,) * (weight.ndim - 1))
    step: Tensor = (weight * scale).abs().max() / 2 ** (bits - 1) / scale
    return step


@contextlib.contextmanager
def replaced(of: Layers, change: Any) -> Iterator[None]:
    """While inside, every layer's weight is ``change(weight, step)``; afterwards it is what it was."""
    kept = [(layer.weight, layer.weight.detach().clone()) for layer, _ in of]
    with torch.no_grad():
        for layer, norm in of:
            layer.weight.copy_(change(layer.weight, grid(layer.weight, norm, NOISE_BITS)))
    yield
    with torch.no_grad():
        for weight, was in kept:
            weight.copy_(was)


def noisy(weight: Tensor, step: Tensor) -> Tensor:
    """Uniform noise as wide as one step: what rounding does to a weight."""
    return weight + (torch.rand_like(weight) - 0.5) * step


def shifted(x: Tensor) -> Tensor:
    """Each image moved by -1, 0 or 1 pixel sideways, zeros coming in."""
    padded = functional.pad(x, (1, 1, 0, 0))
    options = torch.stack([padded[..., k : k + 8] for k in range(3)])
    return options[torch.randint(3, (len(x),)), torch.arange(len(x))]


def priced(neuron: LIFB, out: Tensor) -> Tensor:
    """What a layer sent, on average: its gradient reaches what makes neurons fire, not the size kappa of their bursts."""
    kappa = neuron.sizes()
    return (out - (out > 1).detach() * (kappa - kappa.detach())).mean()


def train(net: Digits, x: Tensor, y: Tensor) -> None:
    """EPOCHS of Adam with a cosine schedule on cross-entropy plus the price of spikes."""
    emitted: list[Tensor] = []
    hooks = [m.register_forward_hook(lambda m, _i, out: emitted.append(priced(m, out))) for m in net.modules() if isinstance(m, LIFB)]
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    steps = EPOCHS * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    net.train()
    for epoch in range(EPOCHS):
        total = 0.0
        for part in torch.split(torch.randperm(len(x)), BATCH)[: len(x) // BATCH]:
            emitted.clear()
            optimizer.zero_grad()
            with replaced(layers(net), noisy):
                loss = functional.cross_entropy(net(shifted(x[part])), y[part], label_smoothing=0.05)
                (loss + SPIKE_PRICE * torch.stack(emitted).sum() / net.T).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.item()
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {total / (len(x) // BATCH):.4f}")
    for hook in hooks:
        hook.remove()
    net.eval()


def accuracy(net: Digits, x: Tensor, y: Tensor) -> float:
    """The fraction of right answers."""
    with torch.no_grad():
        return float((net(x).argmax(1) == y).double().mean())


def rates(net: Digits, x: Tensor) -> dict[str, tuple[int, float, float]]:
    """For every burst layer: neurons, fraction of neuron-steps with output, and with a burst."""
    seen: dict[str, list[Tensor]] = {}
    named = {name: m for name, m in net.named_modules() if isinstance(m, LIFB)}
    hooks = [m.register_forward_hook(lambda _m, _i, out, n=name: seen.setdefault(n, []).append(out)) for name, m in named.items()]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    stacked = {name: torch.stack(outs) for name, outs in seen.items()}
    return {name: (out[0, 0].numel(), float((out > 0).double().mean()), float((out > 1).double().mean())) for name, out in stacked.items()}


def save(path: Path, write: Any) -> None:
    """Write beside the target, then rename, so that a half-written file never has its name."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        write(file)
    part.replace(path)


def main(kind: Reset, folder: Path) -> None:
    """Train, measure, save."""
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    data = split()
    x, y, x_test, y_test = (torch.from_numpy(data[name]) for name in ("x", "y", "x_test", "y_test"))
    net = digits(reset=kind)
    train(net, x, y)
    print(f"float: training {accuracy(net, x, y):.4f}, held back {accuracy(net, x_test, y_test):.4f}")
    with replaced(layers(net), lambda weight, step: torch.round(weight / step) * step):
        print(f"weights rounded to {NOISE_BITS} bits: held back {accuracy(net, x_test, y_test):.4f}")
    for name, (count, rate, bursts) in rates(net, x_test).items():
        print(f"{name}: {count} neurons, {rate:.3f} outputs a step, {bursts:.3f} bursts a step")
    print(f"{sum(p.numel() for p in net.parameters())} parameters")
    save(folder / (WEIGHTS if kind == "hard" else WEIGHTS_SOFT).name, lambda file: torch.save(net.state_dict(), file))
    chosen = np.random.default_rng(SEED).permutation(len(data["x"]))[:256]
    save(folder / TEST.name, lambda file: np.savez_compressed(file, x=data["x_test"], y=data["y_test"]))
    save(folder / CALIBRATION.name, lambda file: np.savez_compressed(file, x=data["x"][chosen], y=data["y"][chosen]))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main("subtract" if arguments[:1] == ["subtract"] else "hard", Path(arguments[1]) if len(arguments) > 1 else FOLDER)
