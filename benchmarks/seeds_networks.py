"""The networks of the papers this project starts from, built by their authors' own code.

The code is not here: its folder is given by SEEDS, with one subfolder a repository, and SpikingJelly as the
repository wants it must be importable (0.0.0.0.4 for PLIF's, 0.0.0.0.12 for GLIF's and CLIF's, 2.0 for "zoo").

    Parametric-Leaky-Integrate-and-Fire-Spiking-Neuron   github.com/fangwei123456   codes/models.py
    Gated-LIF                                            github.com/CAS-CLab        networks_for_CIFAR.py, cifar10dvs/
    Complementary-LIF                                    github.com/HuuYuLong       models/
    zoo                                                  spikingjelly.activation_based.model
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

REPOSITORIES = {
    "plif": "Parametric-Leaky-Integrate-and-Fire-Spiking-Neuron/codes",
    "glif": "Gated-LIF",
    "glif-dvs": "Gated-LIF/cifar10dvs",
    "clif": "Complementary-LIF",
}
SIZES = frozenset(["in_channels", "out_channels", "num_features", "in_features", "out_features"])


@dataclass(frozen=True)
class Seed:
    """One network: who wrote it, how it is built, what enters it ("B": one image; "step": one step a call; "TB", "BT")."""

    source: str
    topology: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    steps: int
    takes: Literal["B", "step", "TB", "BT"]


def narrow(size: Any, width: int) -> Any:
    """A number of channels divided by ``width`` where it can be; classes and colours stay."""
    return size // width if isinstance(size, int) and size >= 64 and size % width == 0 else size


def narrowed(kind: Any, width: int, count: int) -> type:
    """Makes ``kind`` itself, its first ``count`` arguments divided."""

    def make(_: type, *args: Any, **words: Any) -> Any:
        sizes = {n: narrow(v, width) if n in SIZES else v for n, v in words.items()}
        return kind(*(narrow(a, width) if i < count else a for i, a in enumerate(args)), **sizes)

    return type(kind.__name__, (), {"__new__": make})


def view(module: Any, width: int) -> Any:
    """A copy of a namespace (torch.nn, a SpikingJelly ``layer``) whose layers are narrower."""
    copy = types.SimpleNamespace(**vars(module))
    for name, count in (("Conv2d", 2), ("Linear", 2), ("BatchNorm2d", 1)):
        if hasattr(module, name):
            setattr(copy, name, narrowed(getattr(module, name), width, count))
    return copy


@contextlib.contextmanager
def narrowing(module: Any, width: int) -> Iterator[None]:
    """While a module's networks are built, its layers and channel-wise neurons are narrower."""
    saved = dict(vars(module))
    for name in ("nn", "layer"):
        if name in saved:
            setattr(module, name, view(saved[name], width))
    for name in ("LIFSpike_CW", "LIFSpike_CW_softsimple", "tdBatchNorm"):
        if name in saved:
            setattr(module, name, narrowed(saved[name], width, 1))
    try:
        yield
    finally:
        vars(module).update(saved)


def module_of(repository: str, name: str) -> Any:
    """A module of an author's repository. torchvision, which here only loads data and weights, may be missing."""
    if repository in REPOSITORIES:
        sys.path.insert(0, str(Path(os.environ["SEEDS"]) / REPOSITORIES[repository]))
    if "torchvision" not in sys.modules and importlib.util.find_spec("torchvision") is None:
        for missing in ("torchvision", "torchvision.models", "torchvision.models.utils"):
            sys.modules[missing] = types.ModuleType(missing)
            vars(sys.modules[missing]).update(transforms=None, load_state_dict_from_url=None)
    return importlib.import_module(name)


def made(repository: str, names: tuple[str, ...], width: int, build: Callable[..., nn.Module]) -> nn.Module:
    """A network of a repository, its channels divided by ``width``; what the authors print while building is dropped."""
    modules = [module_of(repository, name) for name in names]
    with contextlib.ExitStack() as stack, contextlib.redirect_stdout(io.StringIO()):
        for module in modules if width > 1 else ():
            stack.enter_context(narrowing(module, width))
        return build(*modules)


def plif(name: str, **words: Any) -> Callable[[int], nn.Module]:
    """Max-pooled networks of PLIF neurons, as ``train.py`` makes them."""
    common = {"init_tau": 2.0, "use_plif": True, "use_max_pool": True, "alpha_learnable": False, "detach_reset": True}
    return lambda width: made("plif", ("models",), width, lambda models: getattr(models, name)(**common, **words))


def gated(name: str, steps: int, module: str = "networks_for_CIFAR", **words: Any) -> Callable[[int], nn.Module]:
    """GLIF networks with the gates and first values of their ``train.py``."""

    def build(networks: Any, *_: Any) -> nn.Module:
        parameters = [networks.tau, networks.Vth, networks.linear_decay, networks.conduct]
        how = {"static_gate": True, "static_param": False, "time_wise": False, "soft_mode": False}
        given = {"gate": [0.6, 0.8, 0.6], "param": parameters, "t": steps, **how}
        net: nn.Module = getattr(networks, name)(given, n_class=10, **words)
        return net

    return lambda width: made("glif", (module, "blocks"), width, build)


def sew_gated(connect: str, steps: int) -> Callable[[int], nn.Module]:
    """The SEW network of GLIF neurons that its CIFAR10-DVS training builds."""
    return lambda width: made("glif-dvs", ("smodels",), width, lambda models: models.SEWResNet_GLIF_dsr(connect, steps))


def complementary(module: str, name: str, neuron: str = "ComplementaryLIFNeuron", **words: Any) -> Callable[[int], nn.Module]:
    """CLIF's networks, one step a call, with a neuron of theirs or with our burst neuron."""

    def build(models: Any, neurons: Any) -> nn.Module:
        kind = burst if neuron == "LIFB" else getattr(neurons, neuron)
        net: nn.Module = getattr(models, name)(neuron=kind, num_classes=10, tau=2.0, **words)
        return net

    return lambda width: made("clif", (f"models.{module}", "modules.neuron"), width, build)


def burst(tau: float = 2.0, **_: Any) -> nn.Module:
    """The burst neuron in place of theirs."""
    return importlib.import_module("snndeploy.nn").LIFB(tau=tau, thresholds=(0.5, 1.2), kappa=2.0)  # type: ignore[no-any-return]


def zoo(module: str, name: str, mode: str = "m", **words: Any) -> Callable[[int], nn.Module]:
    """SpikingJelly's own networks of LIFNodes."""

    def build(models: Any) -> nn.Module:
        neuron, functional = (importlib.import_module(f"spikingjelly.activation_based.{part}") for part in ("neuron", "functional"))
        net: nn.Module = getattr(models, name)(spiking_neuron=neuron.ParametricLIFNode, **words)
        functional.set_step_mode(net, mode)
        return net

    return lambda width: made("zoo", (f"spikingjelly.activation_based.model.{module}",), width, build)


POOL = "adaptive average to 1 x 1"
LOOP = "one step a call"
GLIF19, GLIF18 = "ResNet_19_cifar_CW", "ResNet_18_stand_CW"
SEEDS: Mapping[str, Seed] = {
    "plif-cifar10": Seed("plif", "stem once before a loop over T, votes summed", plif("Cifar10Net", T=8), (3, 32, 32), 8, "B"),
    "plif-gesture": Seed(
        "plif", "loop over the input, votes summed", plif("DVS128GestureNet", T=8, channels=128, number_layer=5), (2, 128, 128), 8, "BT"
    ),
    "glif-resnet19": Seed("glif", f"tdBN on the identity, {POOL}, mean over T", gated(GLIF19, 4), (3, 32, 32), 4, "B"),
    "glif-resnet18": Seed("glif", "two Linear layers without neuron behind the mean", gated(GLIF18, 4), (3, 32, 32), 4, "B"),
    "glif-resnet18-f": Seed("glif", "the same with GLIF_f", gated(f"{GLIF18}_softsimple", 4), (3, 32, 32), 4, "B"),
    "glif-resnet18-ms": Seed(
        "glif", "membrane shortcut, tdBN on the identity", gated(f"{GLIF18}_MS", 4, "networks_for_ImageNet"), (3, 64, 64), 4, "B"
    ),
    **{
        f"glif-sew-{connect.lower()}": Seed(
            "glif-dvs", f"SEW {connect}, Linear behind the mean", sew_gated(connect, 6), (2, 48, 48), 6, "BT"
        )
        for connect in ("ADD", "AND", "IAND")
    },
    "clif-resnet18": Seed(
        "clif", "pre-activation: BN and neuron after the add", complementary("spiking_resnet", "spiking_resnet18"), (3, 32, 32), 6, "step"
    ),
    "clif-vggsnn": Seed("clif", "one pool used four times", complementary("vgg_model", "vggsnn"), (2, 48, 48), 10, "step"),
    "clif-vggsnn-burst": Seed("clif", "the same with burst neurons", complementary("vgg_model", "vggsnn", "LIFB"), (2, 48, 48), 10, "step"),
    "clif-vgg11": Seed(
        "clif",
        "adaptive average from 1 x 1 up to 7 x 7",
        complementary("spiking_vgg_bn", "spiking_vgg11_bn", c_in=3),
        (3, 32, 32),
        6,
        "step",
    ),
    "zoo-cifar10": Seed("zoo", "multi-step, VotingLayer", zoo("parametric_lif_net", "CIFAR10Net"), (3, 32, 32), 4, "TB"),
    "zoo-gesture": Seed("zoo", "multi-step, VotingLayer", zoo("parametric_lif_net", "DVSGestureNet", channels=128), (2, 128, 128), 4, "TB"),
    **{
        f"zoo-sew18-{connect.lower()}": Seed(
            "zoo",
            f"SEW {connect}, max pool of spikes",
            zoo("sew_resnet", "sew_resnet18", cnf=connect, num_classes=10),
            (3, 64, 64),
            4,
            "TB",
        )
        for connect in ("ADD", "AND", "IAND")
    },
    "zoo-resnet18": Seed(
        "zoo", "BN before the add, neuron after it", zoo("spiking_resnet", "spiking_resnet18", num_classes=10), (3, 64, 64), 4, "TB"
    ),
    "zoo-vgg11": Seed(
        "zoo", "adaptive average from 1 x 1 up to 7 x 7", zoo("spiking_vgg", "spiking_vgg11_bn", num_classes=10), (3, 32, 32), 4, "TB"
    ),
    "zoo-ms18": Seed("zoo", "membrane shortcut, mean over T", zoo("ms_resnet", "ms_resnet18", T=4, num_classes=10), (3, 64, 64), 4, "B"),
    "zoo-max18": Seed(
        "zoo", "membrane shortcut, max pool of currents", zoo("ms_resnet", "max_resnet18", T=4, num_classes=10), (3, 32, 32), 4, "B"
    ),
}


def build(name: str, width: int = 16) -> nn.Module:
    """A network with random weights, the same every time, set so that its layers spike; in eval mode."""
    seed = SEEDS[name]
    torch.manual_seed(0)
    net = seed.build(width)
    randomize(net)
    calibrate(net, example(seed, 4), seed.takes == "step")
    return net.eval()


def example(seed: Seed, samples: int, salt: int = 1) -> torch.Tensor:
    """Random input in the network's own layout: images in 0..1, or spikes at every step; "step" gives [T, B, ...]."""
    generator = torch.Generator().manual_seed(salt)
    lead = {"B": (samples,), "BT": (samples, seed.steps)}.get(seed.takes, (seed.steps, samples))
    x = torch.rand((*lead, *seed.shape), generator=generator)
    if seed.takes == "step" and seed.shape[0] == 3:
        return x[:1].expand_as(x).clone()
    return x if seed.shape[0] == 3 else (x < 0.3).to(x.dtype)


def randomize(net: nn.Module) -> None:
    """Weights of unit gain; random affine parts of BatchNorm; the neurons' own parameters shaken."""
    for part in net.modules():
        kind = type(part).__name__
        for name, p in part.named_parameters(recurse=False):
            with torch.no_grad():
                if "BatchNorm" in kind:
                    p.uniform_(*((0.7, 1.3) if name == "weight" else (-0.2, 0.6)))
                elif kind in ("Conv2d", "Linear"):
                    p.normal_(0.05 if name == "weight" else 0.0, 1.0).mul_(2.0 / max(p[0].numel(), 1) ** 0.5 if p.ndim > 1 else 0.1)
                else:
                    p.add_(0.3 * torch.randn_like(p))


def calibrate(net: nn.Module, x: torch.Tensor, stepwise: bool) -> None:
    """BatchNorm's statistics: those of a first input, shaken."""
    norms = [part for part in net.modules() if "BatchNorm" in type(part).__name__]
    for part in norms:
        part.momentum = 1.0
    net.eval()
    for part in norms:
        part.train()
    with torch.no_grad():
        run(net, x, stepwise)
        for part in norms:
            part.momentum = 0.1
            part.running_mean.add_(0.1 * torch.randn_like(part.running_mean) * part.running_var.sqrt())
            part.running_var.mul_(0.7 + 0.6 * torch.rand_like(part.running_var)).add_(1e-3)
    net.eval()


def run(net: nn.Module, x: torch.Tensor, stepwise: bool = False) -> Any:
    """One run from rest."""
    for part in net.modules():
        if callable(getattr(part, "reset", None)):
            part.reset()
    return [net(now) for now in x] if stepwise else net(x)
