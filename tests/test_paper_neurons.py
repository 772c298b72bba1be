"""GLIF, CLIF and KLIF as their authors' code computes them: recorded runs, the classes of their repositories, bare files."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from converters import Options, nir  # noqa: E402  (behind importorskip)
from converters.pt import from_module, load  # noqa: E402
from converters.pt.libraries import LIBRARIES  # noqa: E402
from converters.pt.neuron import Settings  # noqa: E402
from converters.pt.replaying import replay  # noqa: E402
from snndeploy.arrays import frozen  # noqa: E402
from snndeploy.errors import GraphError, ModelError, OptionError, Unsupported  # noqa: E402
from snndeploy.ir.graph import Edge, Graph  # noqa: E402
from snndeploy.ir.layers import Input, Output  # noqa: E402
from snndeploy.ir.neurons.clif import CLIF  # noqa: E402
from snndeploy.ir.neurons.clifspike import CLIFSpike  # noqa: E402
from snndeploy.ir.neurons.glif import GLIF, glif, glif_f  # noqa: E402
from snndeploy.ir.neurons.klif import KLIF, as_lif  # noqa: E402
from snndeploy.ir.neurons.lif import LIF  # noqa: E402
from snndeploy.passes.canonical import canonical  # noqa: E402
from snndeploy.sim.reference import run_reference  # noqa: E402

RECORDED = np.load(Path(__file__).parent / "data" / "paper_neurons.npz")
CASES = sorted({name.split("/")[0] for name in RECORDED.files if "/" in name})
KEYS = ("alpha", "beta", "gamma", "tau", "Vth", "leak", "reVth", "conduct")


@pytest.mark.parametrize("case", CASES)
def test_recorded_runs_of_the_original_classes_spike_for_spike(case):
    """The vectors were made by the original libraries; the file's ``origin`` says which. Inputs in eighths."""
    mine = {name.split("/")[1]: RECORDED[name] for name in RECORDED.files if name.startswith(f"{case}/")}
    x, y, settings = mine.pop("x") / 8.0, mine.pop("y"), json.loads(str(mine.pop("settings")))
    library, kind = settings.pop("library"), settings.pop("class")
    table = next(one for one in LIBRARIES if one.name == library.lower()).neurons[kind]
    meant = table.build(Settings(case, [("model", {**settings, **mine})]), x.shape[2:])
    assert np.count_nonzero(replay(meant, x, 4) != y) == 0
    # the rectified membrane of one case stays below its threshold
    assert np.count_nonzero(y) < y.size
    assert np.count_nonzero(y) > 0 or case == "KLIFNode -0.5 True 0.25"


def test_the_in_place_variant_is_another_neuron():
    x = np.random.default_rng(0).normal(0.3, 1, (10, 400, 5))
    spikes = [run(kind(frozen(0.5), frozen(0.5)), x) for kind in (CLIF, CLIFSpike)]
    assert 0 < np.count_nonzero(spikes[0] != spikes[1]) < 0.1 * x.size
    assert CLIF(frozen(0.5), frozen(0.5)) != CLIFSpike(frozen(0.5), frozen(0.5))


def run(node, x):
    state = {word: np.broadcast_to(value, (x.shape[1], *value.shape)) for word, value in node.initial_state(x.shape[2:]).items()}
    from snndeploy.ir.on_numpy import NUMPY

    out = []
    for now in x:
        y, state = node.step((now,), state, NUMPY)
        out.append(y)
    return np.stack(out)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("reset", ["hard", "subtract"])
@pytest.mark.parametrize("k", [0.5, 1.0, 2.0])
def test_klif_with_a_positive_k_is_a_lif_with_a_floor(k, reset, scaled):
    node = KLIF(frozen(0.5), frozen(0.5), frozen(k), frozen(0.75), reset=reset, amount=frozen(0.75), scale_reset=scaled)
    lif = as_lif(node)
    assert isinstance(lif, LIF)
    assert canonical(node) == lif
    x = np.random.default_rng(1).integers(-16, 33, (20, 300, 4)) / 8.0
    assert np.array_equal(run(node, x), run(lif, x))


def test_klif_that_is_no_lif_stays_itself():
    grows = KLIF(frozen(0.75), k=frozen(2.0))
    turned = KLIF(frozen(0.5), k=frozen(-1.0), scale_reset=True)
    rests = KLIF(frozen(0.5), k=frozen(0.5), rest=frozen(0.25))
    assert all(as_lif(node) is None and canonical(node) is node for node in (grows, turned, rests))


def chain(node, shape=(3,)):
    return Graph({"x": Input(shape), "n": node, "y": Output("none")}, (Edge("x", "n"), Edge("n", "y")))


def test_impossible_parameters_are_refused():
    one = {"decay": [0.5], "threshold": [0.5], "leak": [0.1], "amount": [0.5]}
    with pytest.raises(GraphError, match="outside"):
        glif((0.5, 0.5, 0.5), **{**one, "decay": [1.5]}, conduct=[0.5])
    with pytest.raises(GraphError, match=r"tables of \[2, 3\] steps"):
        glif_f(**{**one, "threshold": [0.5, 0.5]}, conduct=[0.5] * 3)
    with pytest.raises(GraphError, match="is a table"):
        GLIF(*(frozen(0.5) for _ in range(6)))
    with pytest.raises(GraphError, match="scale_reset divides"):
        KLIF(frozen(0.5), k=frozen(0.0), scale_reset=True)
    for kind in (CLIF, KLIF):
        with pytest.raises(GraphError, match="not hard or subtract"):
            kind(frozen(0.5), frozen(0.5), reset="none")


@pytest.mark.parametrize(
    "node", [glif((0.5, 0.5, 0.5), [0.5], [0.5], [0.1], [0.5], [0.5]), CLIF(frozen(0.5), frozen(0.5)), KLIF(frozen(0.5))]
)
def test_nir_cannot_say_them(node, tmp_path):
    pytest.importorskip("nir")
    with pytest.raises(Unsupported, match=f"NIR has no {type(node).__name__}"):
        nir.save(chain(node), tmp_path / "net.nir")


# -- classes of the repositories, by name and attributes ------------------------------------------------------------


class LIFSpike_CW(torch.nn.Module):  # noqa: N801  (the repository's name)
    """A stand-in with the attributes of the original, computing by the paper's equation; ``wrong`` fires at another place."""

    def __init__(self, steps, planes, soft_mode=True, wrong=0.0):
        super().__init__()
        self.T, self.soft_mode, self.static_gate, self.wrong = steps, soft_mode, False, wrong
        for i, name in enumerate(KEYS):
            shape = (steps, planes) if name == "conduct" else (planes,)
            setattr(self, name, torch.nn.Parameter(torch.linspace(-1.0, 1.0, int(np.prod(shape))).reshape(shape) + 0.1 * i - 0.4))

    def forward(self, x):
        def wide(values):
            return torch.sigmoid(values).reshape(1, -1, 1, 1)

        al, be, ga = ((wide(g) if self.soft_mode else (g > 0).to(x).reshape(1, -1, 1, 1)) for g in (self.alpha, self.beta, self.gamma))
        u, o, out = 0.0, 0.0, []
        for t in range(self.T):
            drive = x[t] * (1 - be * (1 - wide(self.conduct[t])))
            leak, amount = (1 - al) * wide(self.leak), (1 - ga) * wide(self.reVth)
            u = (1 - al * (1 - wide(self.tau))) * u * (1 - ga * o) - leak + drive - amount * o
            o = (u - wide(self.Vth) > self.wrong).to(x)
            out.append(o)
        return torch.stack(out)


class tdBatchNorm(torch.nn.BatchNorm2d):  # noqa: N801  (the repository's name)
    """alpha Vth times a BatchNorm2d; Vth a buffer, alpha a plain attribute."""

    def __init__(self, planes, alpha=1.0):
        super().__init__(planes)
        self.alpha = alpha
        self.register_buffer("Vth", torch.tensor(0.5))

    def forward(self, x):
        scaled = self.alpha * self.Vth * (x - self.running_mean[None, :, None, None])
        scaled = scaled / torch.sqrt(self.running_var[None, :, None, None] + self.eps)
        return scaled * self.weight[None, :, None, None] + self.bias[None, :, None, None]


class Net(torch.nn.Module):
    def __init__(self, neuron, alpha=2**-0.5):
        super().__init__()
        self.conv, self.norm, self.neuron = torch.nn.Conv2d(2, 3, 3, bias=False), tdBatchNorm(3, alpha), neuron
        torch.nn.init.constant_(self.norm.running_var, 0.25)
        torch.nn.init.constant_(self.norm.bias, 0.25)

    def forward(self, x):
        flat = self.norm(self.conv(x.flatten(0, 1)))
        return self.neuron(flat.reshape(*x.shape[:2], *flat.shape[1:]))


@pytest.mark.parametrize("soft", [True, False])
def test_the_repositorys_classes_are_known_by_their_names_and_attributes(soft):
    torch.manual_seed(0)
    net = Net(LIFSpike_CW(5, 3, soft)).double().eval()
    loaded = from_module(net, torch.rand(5, 2, 2, 6, 6).double())
    assert [type(n).__name__ for n in loaded.graph.nodes.values()].count("GLIF") == 1
    assert (loaded.steps, next(iter(loaded.graph.named(GLIF).values())).strict) == (5, True)
    from snndeploy.sim.reference import run_reference

    x = np.random.default_rng(2).random((5, 7, 2, 6, 6)) * 2
    name = next(iter(loaded.graph.named(Input)))
    (got,) = (run_reference(loaded.graph, {name: x}, 5).outputs[n] for n in loaded.graph.named(Output))
    with torch.no_grad():
        want = net(torch.from_numpy(x)).numpy()
    assert np.count_nonzero(got != want) == 0
    assert 0 < np.count_nonzero(want) < want.size


def test_a_class_of_that_name_that_does_something_else_is_refused():
    with pytest.raises(Unsupported, match="does not do what its class says"):
        from_module(Net(LIFSpike_CW(5, 3, wrong=-0.5)).eval(), torch.rand(5, 2, 2, 6, 6))


def test_a_class_of_another_name_can_be_said_to_be_a_glif():
    class Mine(LIFSpike_CW):
        def extra(self):
            return self.T

    net = Net(Mine(5, 3)).double().eval()
    loaded = from_module(net, torch.rand(5, 2, 2, 6, 6).double(), Options(neuron_class={"Mine": "GLIF"}))
    assert loaded.graph.named(GLIF)
    assert any("trial run only" in note for note in loaded.assumptions)  # it is tied to its T, which a probe is not


# -- bare files ----------------------------------------------------------------------------------------------------


def bare(tmp_path, steps=4, leave=()):
    torch.manual_seed(1)
    net = torch.nn.Sequential()
    net.add_module("conv", torch.nn.Conv2d(2, 3, 3, bias=False))
    net.add_module("norm", tdBatchNorm(3))
    net.add_module("lif", LIFSpike_CW(steps, 3))
    torch.save({k: v for k, v in net.state_dict().items() if k not in leave}, tmp_path / "net.pth")
    return tmp_path / "net.pth", net


def opened(path, **options):
    given = {"neuron": {"lif": "soft_mode=True"}, "layer": {"norm": "tdBatchNorm(alpha=1.0)"}, "input_shape": (2, 6, 6), **options}
    return load(path, Options(**given))


def test_a_bare_file_of_the_repository_is_rebuilt_and_its_length_is_t(tmp_path):
    path, net = bare(tmp_path)
    loaded = opened(path)
    assert loaded.steps == 4
    node = loaded.graph.nodes["lif"]
    assert isinstance(node, GLIF)
    assert node.gain.shape == (4, 3, 1, 1)
    live = from_module(Net(net.lif).eval(), torch.rand(4, 2, 2, 6, 6)).graph.named(GLIF)
    assert next(iter(live.values())).decay == pytest.approx(node.decay)
    assert float(loaded.graph.nodes["norm"].scale.ravel()[0]) == pytest.approx(0.5 / np.sqrt(1 + 1e-5))
    with pytest.raises(OptionError, match="is 6, but lif was trained for 4 steps"):
        opened(path, timesteps=6)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"neuron": {}}, "soft_mode is not in the file"),
        ({"layer": {}}, "alpha is not in the file"),
    ],
)
def test_what_no_file_of_the_repository_holds_is_asked_for_by_name(tmp_path, options, what):
    path, _ = bare(tmp_path)
    with pytest.raises(ModelError, match=what):
        opened(path, **options)


def test_the_fused_form_is_known_by_the_keys_it_lacks(tmp_path):
    path, _ = bare(tmp_path, leave=("lif.alpha", "lif.beta"))
    node = opened(path, neuron={}).graph.nodes["lif"]
    assert isinstance(node, GLIF)
    assert not node.decay_fired.any()


def test_a_file_of_ours_has_the_same_keys_and_its_comparison_is_assumed_or_said(tmp_path):
    """snndeploy.nn.GLIF may fire at its threshold, and no file says so."""
    from snndeploy import nn

    module = torch.nn.Sequential(OrderedDict(fc=torch.nn.Linear(6, 3), lif=nn.GLIF(4, channels=3, strict=False)))
    torch.save(module.state_dict(), tmp_path / "net.pth")
    for said, strict, origin in (("soft_mode=True", True, "ASSUMED"), ("soft_mode=True, strict=False", False, "user")):
        loaded = load(tmp_path / "net.pth", Options(neuron={"lif": said}))
        assert loaded.graph.nodes["lif"].strict is strict
        (comparison,) = [f.origin for s in loaded.semantics if s.layer == "lif" for f in s.facts if f.name == "comparison"]
        assert comparison == origin


@pytest.mark.parametrize("steps", [2, 3, 5])
def test_a_network_tied_to_few_steps_is_traced_in_so_many(steps):
    from snndeploy import nn

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(6, 3), nn.GLIF(steps, threshold=0.1))
    loaded = from_module(module, torch.rand(2, 6) * 3)
    assert loaded.steps == steps
    assert loaded.witness.steps == min(steps, 3)
    run = run_reference(loaded.graph, loaded.witness.inputs, loaded.witness.steps)
    np.testing.assert_array_equal(run.outputs["output"], loaded.witness.outputs["output"])


def test_constants_for_other_channels_are_refused(tmp_path):
    path, _ = bare(tmp_path)
    weights = torch.load(path)
    torch.save({k: (v[:2] if k == "lif.tau" else v) for k, v in weights.items()}, path)
    with pytest.raises(Unsupported, match="constants for 2 channels"):
        opened(path)
