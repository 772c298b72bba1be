"""Train the five networks: ``python benchmarks/papers/train.py [again] [PLIF GLIF CLIF KLIF LIFB]``.

One core, about a minute each, seeded. The digits and their split are the demo's (``snndeploy.demo.train.split``); no
held-back digit is trained on, and no setting was chosen by them. Writes the state dicts beside this script. ``again``
trains, from these weights, the networks whose neurons are replaced by the nearest that a chip without programs has.

Weights carry, in every batch, the rounding noise of a 6-bit grid, as the demo's do: what a chip will do to them anyway.
"""

from __future__ import annotations

import sys

import torch
from network import NEURONS, Digits, nearest_network, network, weights
from torch import Tensor
from torch.nn import functional

from snndeploy.demo.train import Layers, accuracy, noisy, replaced, save, shifted, split

SEED, EPOCHS, BATCH, RATE = 1, 40, 64, 1e-2
EPOCHS_AGAIN, RATE_AGAIN = 15, 3e-3
REFUSED = ("GLIF", "CLIF", "KLIF")
"""The networks that a chip without neuron programs does not take."""


def layers(net: Digits) -> Layers:
    """Each layer with weights, and the BatchNorm that will be folded into it."""
    return [(net.conv1, net.bn1), (net.conv2, net.bn2), (net.fc, None)]


def train(net: Digits, x: Tensor, y: Tensor, epochs: int, rate: float) -> float:
    """Adam with a cosine schedule on cross-entropy; returns the last epoch's loss."""
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    batches = len(x) // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    net.train()
    for _ in range(epochs):
        total = 0.0
        for part in torch.split(torch.randperm(len(x)), BATCH)[:batches]:
            optimizer.zero_grad()
            with replaced(layers(net), noisy):
                loss = functional.cross_entropy(net(shifted(x[part])), y[part], label_smoothing=0.05)
                loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.item()
    net.eval()
    return total / batches


def main(names: list[str], *, again: bool = False) -> None:
    """Train, measure, save."""
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    data = split()
    x, y, x_test, y_test = (torch.from_numpy(data[name]) for name in ("x", "y", "x_test", "y_test"))
    for name in names or (REFUSED if again else NEURONS):
        torch.manual_seed(SEED)
        net = nearest_network(name, again=False) if again else network(name)
        loss = train(net, x, y, EPOCHS_AGAIN if again else EPOCHS, RATE_AGAIN if again else RATE)
        right, held_back = accuracy(net, x, y), accuracy(net, x_test, y_test)  # type: ignore[arg-type]
        print(f"{name}{', nearest' if again else ''}: loss {loss:.4f}, training {right:.4f}, held back {held_back:.4f}", flush=True)
        save(weights(name, again=again), lambda file, net=net: torch.save(net.state_dict(), file))


if __name__ == "__main__":
    main([name for name in sys.argv[1:] if name != "again"], again="again" in sys.argv)
