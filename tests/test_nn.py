"""The trainable neurons: the same numbers as the float64 reference, with gradients where training needs them."""

import copy
import importlib.util
import math
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import snndeploy.nn as snn  # noqa: E402 (after importorskip)
from snndeploy.errors import DataError, GraphError, MissingPackage, OptionError  # noqa: E402
from snndeploy.ir.graph import Edge, Graph  # noqa: E402
from snndeploy.ir.layers import Input, Output  # noqa: E402
from snndeploy.ir.on_numpy import NUMPY  # noqa: E402
from snndeploy.nn.neuron import Neuron  # noqa: E402
from snndeploy.nn.on_torch import TorchNamespace  # noqa: E402

T, B, SHAPE = 40, 6, (3, 4, 5)
IMAGE = {"channels": 3, "spatial_dims": 2}


def hard_gated():
    """Every gate open in one channel and shut in another, so that no parameter is without effect."""
    neuron = snn.GLIF(T, decay=0.5, leak=0.5, hard_gates=True, **IMAGE)
    with torch.no_grad():
        for i, gate in enumerate((neuron.alpha, neuron.beta, neuron.gamma)):
            gate[i] = -1.0
    return neuron


NEURONS = {
    "LIF": snn.LIF,
    "LIF, input not decayed, strict": lambda: snn.LIF(4.0, 0.75, decay_input=False, strict=True),
    "LIF to a value": lambda: snn.LIF(4.0, v_reset=-0.5),
    "LIF subtract": lambda: snn.LIF(2.0, 0.5, decay_input=False, reset="subtract"),
    "LIF none, floor": lambda: snn.LIF(2.0, reset="none", decay_input=False, floor=-0.25),
    "LIF late zero": lambda: snn.LIF(4.0, decay_input=False, late=True, strict=True),
    "LIF late subtract": lambda: snn.LIF(4.0, decay_input=False, late=True, strict=True, reset="subtract"),
    "LIF learned, a channel": lambda: snn.LIF(2.0, 0.5, learn_decay=True, learn_threshold=True, **IMAGE),
    "IF": snn.IF,
    "IF subtract": lambda: snn.IF(reset="subtract", strict=True, learn_threshold=True),
    "LI sums": snn.LI,
    "LI leaks": lambda: snn.LI(4.0, decay_input=True),
    "LI learned": lambda: snn.LI(2.0, learn_decay=True),
    "CubaLIF": lambda: snn.CubaLIF(2.0, 4.0, decay_input=True),
    "CubaLIF subtract": lambda: snn.CubaLIF(4.0, 2.0, 2.0, reset="subtract", strict=True),
    "CubaLIF learned": lambda: snn.CubaLIF(2.0, 2.0, learn_decay=True, learn_threshold=True, v_reset=0.25, **IMAGE),
    "PLIF": lambda: snn.PLIF(2.0),
    "PLIF subtract": lambda: snn.PLIF(2.0, 0.5, reset="subtract", decay_input=False, channels=3, spatial_dims=2),
    "KLIF": lambda: snn.KLIF(2.0, 0.75),
    "KLIF scaled, subtract, a channel": lambda: snn.KLIF(2.0, scale_reset=True, decay_input=False, reset="subtract", **IMAGE),
    "CLIF": lambda: snn.CLIF(2.0, 0.75, learn_threshold=True),
    "CLIF hard, a channel": lambda: snn.CLIF(4.0, 0.5, reset="hard", v_reset=-0.25, decay_input=True, learn_threshold=True, **IMAGE),
    "GLIF": lambda: snn.GLIF(T),
    "GLIF a channel, time-wise, >=": lambda: snn.GLIF(T, (0.5, 0.5, 0.5), strict=False, time_wise=True, **IMAGE),
    "GLIF hard gates": hard_gated,
    "LIFB": lambda: snn.LIFB(decay_input=False, **IMAGE),
    "LIFB to a value, mixed comparison": lambda: snn.LIFB(strict=(True, False), v_reset=0.5, kappa=2.5, thresholds=(1.0, 1.5)),
    "LIFB subtract, learned": lambda: snn.LIFB(decay_input=False, reset="subtract", learn_threshold=True, **IMAGE),
    "LIFB three rungs": lambda: snn.LIFB(thresholds=(0.5, 1.0, 1.5), kappa=(1.5, 3.0), decay_input=False, **IMAGE),
    "LIFB on a grid": lambda: snn.LIFB(kappa=1.6, kappa_grid=0.25, kappa_range=(1.0, 2.5), decay_input=False, reset="none"),
}


@pytest.fixture(params=NEURONS)
def neuron(request):
    return NEURONS[request.param]().double()


def dyadic(seed=0, steps=T):
    """Multiples of 1/4: ties with a threshold happen, and few bits are needed."""
    return np.random.default_rng(seed).integers(-4, 9, (steps, B, *SHAPE)) / 4.0


def run_numpy(node, x):
    state = {name: np.broadcast_to(word, (x.shape[1], *word.shape)) for name, word in node.initial_state(x.shape[2:]).items()}
    out = []
    for now in x:
        y, state = node.step((now,), state, NUMPY)
        out.append(y)
    return np.stack(out), state


def run_torch(module, x):
    with torch.no_grad():
        return np.stack([module(torch.from_numpy(now)).numpy() for now in x])


def scramble(module):
    """Learned values as training leaves them: no round numbers, different in every channel."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype))


def test_torch_and_numpy_agree_on_random_inputs(neuron):
    scramble(neuron)
    x = np.random.default_rng(1).normal(0.4, 1.0, (T, B, *SHAPE))
    expected, last = run_numpy(neuron.to_node(), x)
    got = run_torch(neuron, x)
    assert np.count_nonzero(got != expected) == 0
    assert 0 < np.count_nonzero(expected) < expected.size or isinstance(neuron, snn.LI)
    smooth = isinstance(neuron, snn.CLIF)  # the last bit of a sigmoid is the library's
    assert all(np.allclose(neuron._state[w], last[w], rtol=1e-13, atol=1e-13 if smooth else 0) for w in last)
    assert smooth or all(np.array_equal(neuron._state[word], last[word]) for word in last)


def test_torch_and_numpy_agree_where_potentials_meet_thresholds(neuron):
    x = dyadic()
    node = neuron.to_node()
    expected, _ = run_numpy(node, x)
    assert np.array_equal(run_torch(neuron, x), expected)


def test_ties_do_occur_on_the_dyadic_grid():
    x = dyadic()
    at_least, above = (run_numpy(snn.IF(strict=strict).to_node(), x)[0] for strict in (False, True))
    assert np.count_nonzero(at_least != above) > 100


def test_the_onnx_function_body_agrees_on_dyadic_inputs(neuron, tmp_path):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("converters.onnx", reason="the ONNX converter is not there", exc_type=ImportError)
    ort = pytest.importorskip("snndeploy.sim.ort", reason="the onnxruntime executor is not there", exc_type=ImportError)
    x = dyadic(seed=2, steps=6)
    graph = Graph({"x": Input(SHAPE), "n": neuron.to_node(), "y": Output("none")}, (Edge("x", "n"), Edge("n", "y")))
    onnx.save(graph, tmp_path / "neuron.onnx")
    trace = ort.run_onnxruntime(tmp_path / "neuron.onnx", {"x": x}, 6)
    assert np.array_equal(trace.outputs["y"], run_torch(neuron, x))


def test_many_steps_at_once_equal_one_after_the_other(neuron):
    x = torch.from_numpy(dyadic(steps=7))
    many = copy.deepcopy(neuron)
    many.step_mode = "m"
    assert torch.equal(many(x), torch.stack([neuron(now) for now in x]))


def test_training_state_survives_in_the_state_dict_and_membranes_do_not(neuron):
    scramble(neuron)
    x = dyadic(steps=5)
    fresh = run_torch(neuron, x)
    saved = neuron.state_dict()
    assert not {"_state", "v", "i", "s"} & set(saved)
    other = copy.deepcopy(neuron)
    with torch.no_grad():
        for value in other.state_dict().values():
            value.fill_(0.125)
    other.load_state_dict(saved)
    assert other.to_node() == neuron.to_node()
    assert np.array_equal(run_torch(other, x), fresh)


def test_reset_starts_a_new_sample(neuron):
    x = dyadic(steps=5)
    first = run_torch(neuron, x)
    on_and_on = run_torch(neuron, x)
    snn.reset(torch.nn.Sequential(neuron))
    assert np.array_equal(run_torch(neuron, x), first)
    assert not np.array_equal(on_and_on, first)


def test_a_copy_made_in_the_middle_of_a_sequence_starts_afresh():
    neuron = snn.LIF(learn_threshold=True)
    x = torch.full((1, 2), 1.5)
    first = neuron(x)
    assert torch.equal(copy.deepcopy(neuron)(x), first)
    assert not torch.equal(neuron(x), first)


def test_every_learned_value_and_the_layer_before_receive_gradients(neuron):
    before = torch.nn.Conv2d(3, 3, 1, dtype=torch.float64)
    torch.nn.init.dirac_(before.weight)
    torch.nn.init.constant_(before.bias, 1.0)
    for now in torch.from_numpy(dyadic(steps=6)):
        total = neuron(before(now)).sum()
    total.backward()
    for parameter in (*neuron.parameters(), *before.parameters()):
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().sum() > 0


def test_gradient_of_kappa_is_the_number_of_bursts_of_its_channel():
    neuron = snn.LIFB(decay_input=False, channels=2, kappa_grid=0.25, kappa=1.4)
    assert neuron.sizes().tolist() == [[1.5, 1.5]]
    out = neuron(torch.tensor([[2.5, 1.5], [3.0, 0.5], [1.5, 2.5]]))
    assert out.tolist() == [[1.5, 1.0], [1.5, 0.0], [1.0, 1.5]]
    out.sum().backward()
    assert neuron.kappa.grad.tolist() == [[2.0, 1.0]]


def test_kappa_outside_its_range_is_used_at_the_bound_and_still_learns():
    neuron = snn.LIFB(decay_input=False, kappa=3.0, kappa_range=(1.0, 2.5))
    out = neuron(torch.tensor([[2.5]]))
    out.backward()
    assert out.item() == 2.5
    assert neuron.kappa.grad.item() == 1.0


def test_a_spike_passes_the_slope_to_the_input_and_its_negative_to_the_threshold():
    neuron = snn.LIF(math.inf, 1.0, decay_input=False, learn_threshold=True, surrogate=snn.Sigmoid(3.0))
    x = torch.tensor([[0.5, 1.25]], requires_grad=True)
    neuron(x).sum().backward()
    slope = snn.Sigmoid(3.0).slope(torch.tensor([-0.5, 0.25]))
    torch.testing.assert_close(x.grad[0], slope)
    torch.testing.assert_close(neuron.threshold.grad, -slope.sum())


def test_a_burst_passes_gradients_through_every_rung():
    neuron = snn.LIFB(decay_input=False, kappa=2.5, surrogate=snn.Rectangle(0.5))
    x = torch.tensor([[1.5, 0.5, 2.5]], requires_grad=True)
    neuron(x).sum().backward()
    # within 1 of a threshold the slope is 1/2: of rung one (jump 1), of rung two (jump 1.5), blended where both are near
    assert x.grad.tolist() == [[0.5 * 1.0 + 0.5 * 1.5, 0.5, 0.5 * 1.5]]


def test_the_time_constant_learns_its_true_gradient():
    neuron = snn.LI(3.0, decay_input=True, learn_decay=True).double()
    x = torch.rand(3, 2, 4, dtype=torch.float64)

    def last(w):
        neuron.reset()
        return [torch.func.functional_call(neuron, {"w": w}, (now,)) for now in x][-1]

    assert torch.autograd.gradcheck(last, (neuron.w.detach().requires_grad_(),))


def test_plif_starts_at_its_time_constant():
    assert snn.PLIF(4.0).double().to_node().decay == pytest.approx(0.75)
    assert snn.PLIF(4.0).double().to_node().gain == pytest.approx(0.25)


SURROGATES = [(snn.ATan(), 1.0), (snn.ATan(5.0), 2.5), (snn.Sigmoid(), 1.0), (snn.Sigmoid(1.0), 0.25), (snn.Rectangle(2.0), 2.0)]


@pytest.mark.parametrize(("surrogate", "peak"), SURROGATES)
def test_a_surrogate_is_the_slope_of_a_step_of_height_one(surrogate, peak):
    u = torch.linspace(-2000, 2000, 4_000_001, dtype=torch.float64)
    assert torch.trapezoid(surrogate.slope(u), u).item() == pytest.approx(1.0, abs=5e-3)
    assert surrogate.slope(torch.zeros(1)).item() == pytest.approx(peak)


def image(seed, channels=4):
    return np.random.default_rng(seed).integers(-8, 9, (2, channels, 6, 7)) / 8.0


def weights(*shape):
    return np.random.default_rng(9).integers(-8, 9, shape) / 8.0


def synapses(weights):
    """Rows, columns and weights of single synapses: 3 into the first target, none into the second, 2 into the fourth."""
    rows, columns = weights(5) * 0.0, weights(5) * 0.0
    for i, (row, column) in enumerate([(0, 3), (0, 5), (0, 160), (3, 0), (3, 3)]):
        rows[i], columns[i] = row, column
    return rows, columns, weights(5)


OPERATIONS = {
    "exp": (lambda xp, x, w: xp.exp(x), False),
    "sigmoid": (lambda xp, x, w: xp.sigmoid(x * 100.0), False),
    "divide": (lambda xp, x, w: xp.divide(x, w(6, 7) + 2.0), True),
    "table": (lambda xp, x, w: xp.table(w(3, 6, 7), x * 0.0 + 2.0), True),
    "minimum": (lambda xp, x, w: xp.minimum(x, x * x), True),
    "maximum": (lambda xp, x, w: xp.maximum(x, x * x), True),
    "trunc": (lambda xp, x, w: xp.trunc(x * 3.25), True),
    "floor": (lambda xp, x, w: xp.floor(x * 3.25), True),
    "linear": (lambda xp, x, w: xp.linear(x, w(5, 7)), True),
    "sparse": (lambda xp, x, w: xp.sparse(xp.reshape(x, (168,)), *synapses(w), 5), True),
    "conv1d": (lambda xp, x, w: xp.conv(xp.reshape(x, (4, 42)), w(6, 2, 3), (2,), ((0, 2),), (2,), 2), True),
    "conv2d": (lambda xp, x, w: xp.conv(x, w(3, 4, 3, 2), (1, 2), ((1, 0), (2, 1)), (1, 2), 1), True),
    "sum_pool 1d": (lambda xp, x, w: xp.sum_pool(xp.reshape(x, (4, 42)), (3,), (2,), ((1, 0),)), True),
    "sum_pool 2d": (lambda xp, x, w: xp.sum_pool(x, (3, 2), (2, 2), ((1, 0), (0, 1))), True),
    "max_pool 1d": (lambda xp, x, w: xp.max_pool(xp.reshape(x, (4, 42)), (3,), (2,), ((1, 0),)), True),
    "max_pool 2d": (lambda xp, x, w: xp.max_pool(x, (3, 2), (2, 2), ((1, 0), (0, 1))), True),
    "concat": (lambda xp, x, w: xp.concat([x, x * 2.0], 0), True),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_gives_numpys_values(name):
    run, exact = OPERATIONS[name]
    x = image(4)
    expected = run(NUMPY, x, weights)
    got = run(TorchNamespace(snn.ATan()), torch.from_numpy(x), lambda *s: torch.from_numpy(weights(*s))).numpy()
    assert got.shape == expected.shape
    assert np.array_equal(got, expected) if exact else np.allclose(got, expected, rtol=1e-15)


@pytest.mark.parametrize("name", ["trunc", "floor"])
def test_rounding_passes_gradients_straight_through(name):
    x = torch.tensor([1.75, -1.75], requires_grad=True)
    getattr(TorchNamespace(snn.ATan()), name)(x).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_where_passes_gradients_to_its_condition():
    condition = torch.tensor([1.0, 0.0], requires_grad=True)
    out = TorchNamespace(snn.ATan()).where(condition, torch.tensor(5.0), torch.tensor(3.0))
    out.sum().backward()
    assert out.tolist() == [5.0, 3.0]
    assert condition.grad.tolist() == [2.0, 2.0]


def trained_on_a_toy(neuron):
    """The loss before and after 40 steps of Adam: 8 patterns, two classes, counts as logits."""
    torch.manual_seed(5)
    x, y = (torch.rand(8, 8, 12) < 0.5).float(), torch.arange(8) % 2
    net = torch.nn.Sequential(torch.nn.Linear(12, 24), neuron, torch.nn.Linear(24, 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    losses = []
    for _ in range(40):
        snn.reset(net)
        loss = torch.nn.functional.cross_entropy(torch.stack([net(now) for now in x]).mean(0), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses[0], losses[-1]


LEARNERS = {
    "PLIF": lambda: snn.PLIF(2.0, 0.5),
    "GLIF": lambda: snn.GLIF(8, channels=24),
    "GLIF hard gates": lambda: snn.GLIF(8, hard_gates=True),
    "CLIF": lambda: snn.CLIF(2.0, 0.5),
    "KLIF": lambda: snn.KLIF(2.0, 0.5),
    "KLIF scaled": lambda: snn.KLIF(2.0, 0.5, scale_reset=True, channels=24),
    "LIFB": lambda: snn.LIFB(2.0, (0.3, 0.6)),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_training_lowers_the_loss_and_moves_what_is_learned(name):
    neuron = LEARNERS[name]()
    start = {key: value.clone() for key, value in neuron.named_parameters()}
    before, after = trained_on_a_toy(neuron)
    assert after < 0.5 * before
    assert all(not torch.equal(value, start[key]) for key, value in neuron.named_parameters() if not (neuron.__dict__.get("hard_gates")))


def test_glif_starts_as_its_repository_does():
    neuron = snn.GLIF(4, channels=3).double()
    assert set(neuron.state_dict()) == {"alpha", "beta", "gamma", "tau", "Vth", "leak", "reVth", "conduct"}
    sizes = {name: torch.sigmoid(value).flatten()[0].item() for name, value in neuron.named_parameters()}
    first = {"alpha": 0.55, "beta": 0.65, "gamma": 0.55, "tau": 0.25, "Vth": 0.5, "leak": 0.0625, "reVth": 0.5, "conduct": 0.5}
    assert sizes == pytest.approx(first, abs=1e-7)
    assert neuron.conduct.shape == (4, 3)
    with pytest.raises(DataError, match="numbers for 4 steps and is run for one more"):
        [neuron(torch.zeros(1, 3).double()) for _ in range(5)]


def test_klif_starts_as_a_rectified_lif_and_k_may_turn_negative():
    assert snn.KLIF(4.0).double().to_node().k == 1.0
    neuron = snn.KLIF(2.0, decay_input=False).double()
    torch.nn.init.constant_(neuron.k, -1.0)
    assert neuron(torch.tensor([[-1.0, 1.0]]).double()).tolist() == [[1.0, 0.0]]


REFUSED = {
    "tau is 0.25": (lambda: snn.CLIF(0.25), OptionError),
    "tau is 0.75": (lambda: snn.KLIF(0.75), OptionError),
    "0 steps": (lambda: snn.GLIF(0), OptionError),
    "tau starts at 1": (lambda: snn.GLIF(4, decay=1.0), OptionError),
    "not hard or subtract": (lambda: snn.CLIF(reset="none"), GraphError),
    "tau is 0": (lambda: snn.LIF(0.0), OptionError),
    "tau is -1": (lambda: snn.LIFB(-1.0), OptionError),
    "tau is 0.5": (lambda: snn.CubaLIF(0.5), OptionError),
    "tau is nan": (lambda: snn.LI(math.nan), OptionError),
    "starts above 1": (lambda: snn.PLIF(1.0), OptionError),
    "below infinity": (lambda: snn.LI(learn_decay=True), OptionError),
    "step_mode 'x'": (lambda: snn.IF(step_mode="x"), OptionError),
    "2 kappa for 2 thresholds": (lambda: snn.LIFB(kappa=(1.5, 2.0)), OptionError),
    "thresholds must rise": (lambda: snn.LIFB(thresholds=(2.0, 1.0)), GraphError),
    "not hard, subtract or none": (lambda: snn.IF(reset="soft"), GraphError),
}


@pytest.mark.parametrize("what", REFUSED)
def test_wrong_options_are_refused(what):
    build, error = REFUSED[what]
    with pytest.raises(error, match=what):
        build()


def test_a_batch_of_another_size_without_reset_is_refused():
    neuron = snn.LIF()
    neuron(torch.zeros(2, 3))
    with pytest.raises(DataError, match=r"began with \[2, 3\] goes on with \[5, 3\]\nhint: call snndeploy.nn.reset"):
        neuron(torch.zeros(5, 3))


@pytest.mark.parametrize("shape", [(2, 4, 5, 5), (2, 3), (2, 3, 5)])
def test_channels_that_do_not_fit_the_input_are_refused(shape):
    with pytest.raises(DataError, match="has 3 channels and 2 spatial axes"):
        snn.LIFB(channels=3, spatial_dims=2)(torch.zeros(shape))


def test_no_time_steps_are_refused():
    with pytest.raises(DataError, match="no time steps"):
        snn.LIF(step_mode="m")(torch.zeros(0, 2, 3))


def test_a_diverged_parameter_is_named():
    neuron = snn.LIF(learn_threshold=True)
    torch.nn.init.constant_(neuron.threshold, math.nan)
    with pytest.raises(GraphError, match="threshold has NaN"):
        neuron.to_node()


def test_every_exported_neuron_is_tested():
    exported = {value for name in snn.__all__ if isinstance(value := getattr(snn, name), type) and issubclass(value, Neuron)} - {Neuron}
    assert {type(build()) for build in NEURONS.values()} == exported


def test_without_torch_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    spec = importlib.util.spec_from_file_location("nn_without_torch", snn.__file__)
    with pytest.raises(MissingPackage, match=r"'torch', which is not installed\nhint: pip install 'snndeploy\[torch\]'"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
