"""What a bare file does not say of its neurons is said to be assumed: every constructor of every library is walked.

Each argument of each class that is read from files is either listed with its default (assumed, said, and changed by
--neuron), or listed as one that changes nothing, with the reason. Both are tried: an argument is given another value, the
weights are saved, and the bare file must give the original's spikes, say what it took, or be refused.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from originals import library

torch = pytest.importorskip("torch")

import converters  # noqa: E402  (behind importorskip)
from converters import Loaded, Options  # noqa: E402
from converters.pt import spike_functions  # noqa: E402
from converters.pt.bare import neuron_of  # noqa: E402
from converters.pt.libraries import LIBRARIES, NORSE, SNNTORCH  # noqa: E402
from converters.pt.neuron import REQUIRED, Idle, Library, strictness  # noqa: E402
from snndeploy.errors import ModelError, NoEffect, SnnError, Unsupported  # noqa: E402
from snndeploy.sim.reference import run_reference  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
HOMES = {
    "snntorch": ("snntorch",),
    "spikingjelly": ("spikingjelly.activation_based.neuron", "spikingjelly.activation_based.layer"),
    "norse": ("norse.torch",),
    "sinabs": ("sinabs.layers",),
    "braincog": ("braincog.base.node.node",),
    "lava": ("lava.lib.dl.slayer.neuron.cuba", "lava.lib.dl.slayer.neuron.alif"),
}
EARLIER = {"MultiStepLIFNode", "MultiStepIFNode", "MultiStepParametricLIFNode"}
"""Classes of an earlier release, which has them no more."""
GIVEN = {"self", "args", "kwargs", "p"}
"""Not an argument of its own: ``p`` holds Norse's parameters, which are walked one by one."""
T, BATCH, IN, OUT = 12, 3, 6, 4


def classes(table: Library) -> Iterator[tuple[str, type]]:
    """The live classes of a library that its table reads."""
    homes = [library(name) for name in HOMES[table.name]]
    for name in table.neurons:
        if table.name == "lava" and name in ("CUBA", "ALIF"):
            yield name, homes[0 if name == "CUBA" else 1].Neuron
        kinds = (getattr(home, name, None) for home in homes)
        kind = next((kind for kind in kinds if inspect.isclass(kind)), None)
        if kind is not None and table.name != "lava":
            yield name, kind


def arguments(kind: type) -> dict[str, Any]:
    """The arguments of a constructor in order with their defaults; of the classes it hands ``**kwargs`` on to, too."""
    found: dict[str, Any] = {}
    for ancestor in kind.__mro__:
        own = vars(ancestor).get("__init__")
        if own is None or not ancestor.__module__.startswith(kind.__module__.partition(".")[0]):
            continue
        parameters = inspect.signature(own).parameters
        for name, parameter in parameters.items():
            found.setdefault(name, parameter.default)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    parameters = getattr(found.get("p"), "_fields", ())
    inner = {name: getattr(found["p"], name) for name in parameters}
    return {**inner, **{name: value for name, value in found.items() if name not in GIVEN}}


@pytest.mark.parametrize("name", HOMES)
def test_no_argument_of_a_constructor_is_missing_from_its_list(name):
    table = next(one for one in LIBRARIES if one.name == name)
    walked = dict(classes(table))
    assert set(table.neurons) - set(walked) <= EARLIER | {"Dense", "Conv", "Pool"}
    for kind, live in walked.items():
        own, listed = arguments(live), table.neurons[kind].defaults
        assert set(own) <= set(listed), f"{kind}: {sorted(set(own) - set(listed))}"
        for argument, value in own.items():
            ours = listed[argument]
            if isinstance(ours, Idle):
                assert ours.why, argument
            elif ours is not REQUIRED and not isinstance(ours, str):
                assert same(ours, value), f"{kind}({argument}): {ours!r} here, {value!r} there"


def same(ours: Any, theirs: Any) -> bool:
    """Whether a default is the library's own; snnTorch has False for None."""
    if ours is None or ours is False:
        return theirs is None or theirs is False
    return float(ours) == pytest.approx(float(theirs), rel=1e-6)


# -- each argument, changed ----------------------------------------------------------------------------------------


class Above:
    """A spike function of the user's own, above the threshold only."""

    spiking = True

    def __call__(self, x: Any) -> Any:
        return (x > 0).to(x)


BROKEN = {"RSynaptic(reset_delay=False)"}
"""What the library itself stops at when it runs; what it does not make, it asserts."""
REQUIRED_VALUES = {
    "beta": 0.75,
    "alpha": 0.5,
    "V": 0.25,
    "tau": 2.0,
    "c_decay": 0.5,
    "v_decay": 0.75,
    "decay_input": True,
    "tau_mem": 4.0,
    "tau_adapt": 3.0,
    "delay_steps": 2,
    "stateless": False,
}
"""What no default can stand for, as the modules here are made and the user says it."""
OTHER: dict[str, Any] = {
    "threshold": 0.5,
    "v_threshold": 0.5,
    "v_th": 0.5,
    "spike_threshold": 0.5,
    "delta_threshold": 0.25,
    "reset_delay": False,
    "reset_mechanism": "zero",
    "inhibition": True,
    "graded_spikes_factor": 2.0,
    "time_step": 2.0,
    "C": 3.0,
    "R": 2.0,
    "v_reset": -0.25,
    "v_rest": -0.25,
    "tau": 4.0,
    "init_tau": 4.0,
    "decay_input": False,
    "scale_reset": True,
    "tau_syn": 2.0,
    "v_c": 0.5,
    "a0": 0.5,
    "delta_T": 0.75,
    "theta_rh": 0.5,
    "w_rest": 0.125,
    "tau_w": 4.0,
    "a": 0.25,
    "b": -0.5,
    "omega": 0.5,
    "dt": 0.5,
    "min_v_mem": -0.25,
    "norm_input": None,
    "adapt_scale": 0.5,
    "tau_mem_inv": 300.0,
    "tau_syn_inv": 500.0,
    "v_leak": 0.25,
    "tau_adapt_inv": 100.0,
    "sigmoid_thres": True,
    "detach_reset": True,
    "store_v_seq": True,
    "surrogate_disable": True,
    "output": True,
    "record_states": True,
    "requires_fp": True,
    "mem_detach": True,
    "requires_mem": True,
    "requires_thres_grad": True,
    "store_state_seqs": True,
    "train_alphas": True,
    "alpha": 0.25,
    "beta": 0.5,
    "method": "triangle",
    "adjoint": True,
    "exp_init": False,
}
"""Another value of an argument; what is missing here (sizes, weights) cannot be changed alone."""


def made(table: Library, kind: str, live: type, changed: dict[str, Any]) -> Any:
    """A module of a class, with what it requires, what most of its class share, and what is ``changed``."""
    own = arguments(live)
    listed = table.neurons[kind].defaults
    given = {n: REQUIRED_VALUES[n] for n in own if n in REQUIRED_VALUES and (own[n] is inspect.Parameter.empty or listed[n] is REQUIRED)}
    if table.name == "snntorch":
        given["init_hidden"] = True
        given |= {"linear_features": OUT} if "linear_features" in own and changed.get("all_to_all", True) else {}
    if "T" in own:
        given["T"] = T
    if "inplane" in own:
        given["inplane"] = OUT
    if table.name != "norse":
        return live(**{**given, **changed}).eval()
    p = inspect.signature(live.__init__).parameters["p"].default
    fields = {n: torch.as_tensor(v) if n != "method" else v for n, v in changed.items() if n in p._fields}
    return live(p=p._replace(**fields), **{n: v for n, v in changed.items() if n not in p._fields})


def played(table: Library, module: Any, x: Any) -> np.ndarray:
    """What a module sends for x [T, B, OUT], its own library's way: [T, B, OUT]."""
    with torch.no_grad():
        if table.name == "braincog":
            module.n_reset()
        if table.name == "sinabs":
            return module(x.transpose(0, 1)).transpose(0, 1).numpy()
        if table.name == "norse":
            if not type(module).__name__.endswith("Cell"):
                return module(x)[0].numpy()
            state, sent = None, []
            for step in x:
                out, state = module(step, state)
                sent.append(out)
            return torch.stack(sent).numpy()
        if getattr(module, "step_mode", "s") == "m":
            return module(x).numpy()
        sent = [module(step) for step in x]
        return torch.stack([out[0] if isinstance(out, tuple) else out for out in sent]).numpy()


def file_of(fc: Any, module: Any, folder: Path) -> Path:
    torch.save(torch.nn.ModuleDict({"fc": fc, "lif": module}).state_dict(), folder / "bare.pt")
    return folder / "bare.pt"


def words(table: Library, kind: str, path: Path, said: dict[str, Any]) -> dict[str, str]:
    """--neuron for a class: by the file's own keys where it has them, else behind ``fc`` with what it requires."""
    keys = {name.removeprefix("lif.") for name in torch.load(path) if name.startswith("lif.")}
    listed = table.neurons[kind].defaults
    required = {n: REQUIRED_VALUES[n] for n, v in listed.items() if v is REQUIRED and n in REQUIRED_VALUES}
    given = {n: v for n, v in {**required, **said}.items() if n in said or n not in {key.partition(".")[0] for key in keys}}
    return {"lif" if keys else "fc": f"{kind}({', '.join(f'{n}={v!r}' for n, v in given.items())})"}


def read(path: Path, table: Library, neuron: dict[str, str], x: np.ndarray) -> tuple[np.ndarray | None, str]:
    """What the bare file's network sends for x [T, B, IN], and what was said; None and the refusal where it is refused."""
    try:
        loaded = converters.load(path, Options(source=table.name, neuron=neuron))
    except SnnError as refusal:
        return None, str(refusal)
    assert isinstance(loaded, Loaded)
    return run_reference(loaded.graph, {"input": x}, T).outputs["output"], " ".join(loaded.assumptions)


def unread(table: Library) -> set[str]:
    """Classes without a bare file that is read, or which cannot be made from their arguments alone."""
    back = {name for name in table.neurons if "Recurrent" in name}
    back |= {name.removesuffix("Cell") for name in table.neurons if name.endswith("Cell")}
    return back | {"SlidingPSN", "MaskedPSN", "Delay", "SynapseFilter", "GatedLIFNode", "IAFSqueeze", "LIFSqueeze", "ExpLeakSqueeze"}


def alternatives(table: Library, kind: str, live: type) -> Iterator[tuple[str, Any, Any]]:
    """Argument, another value, and the word by which a user says it."""
    listed = table.neurons[kind].defaults
    for name in arguments(live):
        if name in ("spike_grad", "surrogate_function"):
            yield name, Above(), "Above"
        elif name == "state_quant":
            yield name, importlib.import_module("snntorch.functional.quant").state_quant(num_bits=2, uniform=True), True
        elif name == "step_mode":
            yield name, "m", "m"
        elif name.startswith("learn_"):
            yield name, True, True
        elif name == "norm_input":
            yield name, not listed[name], not listed[name]
        elif name in OTHER and name in listed:
            yield name, OTHER[name], OTHER[name]


@pytest.mark.parametrize("name", [name for name in HOMES if name != "lava"])
def test_a_changed_argument_is_in_the_file_or_said_or_refused(name, tmp_path):
    """And what is listed as changing nothing changes nothing; and what the user says of it is heard, or refused."""
    table = next(one for one in LIBRARIES if one.name == name)
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(2)
    x = torch.randint(-1, 2, (T, BATCH, IN), generator=generator).float()
    fc = torch.nn.Linear(IN, OUT, bias=False)
    fc.weight.data = torch.randint(-4, 7, (OUT, IN), generator=generator) / 8
    with torch.no_grad():
        driven = fc(x)
    heard, differed = 0, 0
    for kind, live in classes(table):
        for argument, value, word in alternatives(table, kind, live) if kind not in unread(table) else ():
            listed, place = table.neurons[kind].defaults[argument], f"{kind}({argument}={word!r})"
            try:
                module = made(table, kind, live, {argument: value})
            except (AssertionError, ValueError):
                continue
            if place in BROKEN:
                continue
            want = played(table, module, driven)
            path = file_of(fc, module, tmp_path)
            sent, said = read(path, table, words(table, kind, path, {}), x.numpy())
            if listed is not REQUIRED and sent is not None and not np.allclose(sent, want, atol=1e-5):
                assert f"{argument}=" in said, f"{place}: {(sent != want).sum()} of {want.size} differ; said: {said}"
                assert not isinstance(listed, Idle), f"{place} is listed as changing nothing"
                differed += 1
            sent, said = read(path, table, words(table, kind, path, {argument: word}), x.numpy())
            if sent is not None:
                np.testing.assert_allclose(sent, want, atol=1e-5, err_msg=place)
                heard += 1
    assert heard > 10
    assert differed > 0


def test_words_of_spike_functions_are_those_of_snntorch_and_spikingjelly():
    """Every surrogate by name: strict as its word says; and no step function of the library is without a word."""
    snntorch = library("snntorch.surrogate")
    plain = [name for name in spike_functions.SNNTORCH if name != "custom_surrogate"]
    assert {strictness(getattr(snntorch, name)(), name) for name in plain} == {True}
    surrogate = library("spikingjelly.activation_based.surrogate")
    live = {
        name: kind
        for name, kind in vars(surrogate).items()
        if inspect.isclass(kind) and issubclass(kind, surrogate.SurrogateFunctionBase) and kind is not surrogate.SurrogateFunctionBase
    }
    assert set(live) - {"PoissonPass", "MultiLevelSpikeCount"} == set(spike_functions.SPIKINGJELLY)
    assert {strictness(live[name](), name) for name in spike_functions.SPIKINGJELLY} == {False}


def test_snntorch_classes_that_leave_the_same_keys_are_named(tmp_path):
    """Every spiking class of snnTorch: a file that is read as another class says that it may be this one."""
    snn = library("snntorch")
    ways = (
        {"beta": 0.75},
        {"alpha": 0.75, "beta": 0.5},
        {"beta": 0.75, "channels": OUT},
        {"alpha": 0.75, "beta": 0.5, "linear_features": OUT},
    )
    found = {}
    for name, kind in vars(snn).items():
        if inspect.isclass(kind) and issubclass(kind, snn.SpikingNeuron) and name not in ("SpikingNeuron", "LIF"):
            for way in ways:
                try:
                    module = kind(**way)
                except (TypeError, ValueError):
                    continue
                known = neuron_of(module.state_dict(), SNNTORCH)
                if known is not None and known[1] != name:
                    found[name] = known[1]
                    loaded = converters.load(file_of(torch.nn.Linear(IN, OUT), module, tmp_path), Options())
                    assert isinstance(loaded, Loaded)
                    assert any(note.startswith("ASSUMED") and name in note for note in loaded.assumptions), name
    assert found == {"Alpha": "Synaptic", "DeltaLeaky": "Leaky", "StateLeaky": "Leaky"}


def saved(folder: Path, **tensors: Any) -> Path:
    torch.save({name.replace("__", "."): value for name, value in tensors.items()}, folder / "bare.pt")
    return folder / "bare.pt"


LEAKY = {"lif__beta": torch.tensor(0.5), "lif__threshold": torch.tensor(1.0), "lif__reset_mechanism_val": torch.tensor(0)}


def notes(path: Path, **options: Any) -> str:
    loaded = converters.load(path, Options(**options))
    assert isinstance(loaded, Loaded)
    return "\n".join(loaded.assumptions)


def test_keys_that_nothing_reads_are_listed(tmp_path):
    fc = {"fc__weight": torch.eye(3)}
    said = notes(saved(tmp_path, **fc, **LEAKY, lif__gain=torch.tensor(2.0), lif__mem=torch.zeros(3), epoch=3))
    assert "ASSUMED that lif.gain, which nothing here reads, change nothing" in said
    assert "not read, and without effect: lif.mem" in said
    assert "not read: epoch, no tensors" in said
    plain = notes(saved(tmp_path, **fc, **LEAKY))
    assert "not read" not in plain
    assert "change nothing" not in plain
    norm = {"bn__running_mean": torch.zeros(3), "bn__running_var": torch.ones(3), "bn__num_batches_tracked": torch.tensor(7)}
    counted = notes(saved(tmp_path, **fc, **norm, **LEAKY, bn__scale=torch.ones(4)))
    assert "not read, and without effect: bn.num_batches_tracked" in counted
    assert "ASSUMED that bn.scale, which nothing here reads, change nothing" in counted
    assert "ASSUMED of bn, by the library's defaults: eps=1e-05" in counted
    assert "ASSUMED fc.weight, of type int8, to be weights as they are" in notes(
        saved(tmp_path, fc__weight=torch.eye(3, dtype=torch.int8), **LEAKY)
    )


@pytest.mark.parametrize(
    "key", ["fc.weight_fake_quant.scale", "fc.weight_scale", "fc.input_quant.tensor_quant.scaling_impl.value", "fc.zero_point"]
)
def test_a_quantizers_numbers_are_refused_by_name(tmp_path, key):
    with pytest.raises(ModelError, match="which a quantizer leaves") as refusal:
        notes(saved(tmp_path, fc__weight=torch.eye(3), **LEAKY, **{key.replace(".", "__"): torch.tensor(0.5)}))
    assert repr(key) in refusal.value.what


def test_quantizers_that_a_file_only_names_are_said(tmp_path):
    """The modules of a state_dict stand beside its tensors: a quantizer without tensors is among them."""
    fc = torch.nn.Linear(3, 3)
    fc.weight_quant = torch.nn.Sequential(torch.nn.Identity())
    torch.save(torch.nn.ModuleDict({"fc": fc}).state_dict(), tmp_path / "bare.pt")
    said = notes(tmp_path / "bare.pt", neuron={"fc": "IF()"})
    assert "ASSUMED that the quantizers fc.weight_quant do nothing" in said


def test_converted_quantized_layers_are_refused(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dynamic = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(torch.nn.Linear(3, 3)), {torch.nn.Linear})
        torch.save(dynamic.state_dict(), tmp_path / "bare.pt")
    with pytest.raises(ModelError, match="as a quantizer leaves them"):
        notes(tmp_path / "bare.pt", neuron={"0": "IF()"})


def test_pruned_weights_are_multiplied_by_their_masks(tmp_path):
    from torch.nn.utils import prune

    layer = torch.nn.Linear(5, 3)
    prune.random_unstructured(layer, "weight", amount=0.5)
    torch.save(torch.nn.ModuleDict({"fc": layer}).state_dict(), tmp_path / "bare.pt")
    loaded = converters.load(tmp_path / "bare.pt", Options(neuron={"fc": "IF()"}))
    np.testing.assert_allclose(loaded.graph.nodes["fc"].weight, layer.weight.detach().numpy())
    assert (np.asarray(loaded.graph.nodes["fc"].weight) == 0).sum() >= 7


def test_what_is_said_of_a_neuron_is_used_or_refused(tmp_path):
    path = saved(tmp_path, fc__weight=torch.eye(3), **LEAKY)
    for text, error, words_ in (
        ("state_quant=True", Unsupported, "rounds its membrane"),
        ("inhibition=True", Unsupported, "largest membrane"),
        ("spike_grad='mine'", Unsupported, "no spike function whose comparison is known"),
    ):
        with pytest.raises(error, match=words_):
            notes(path, neuron={"lif": text})
    plif = saved(tmp_path, fc__weight=torch.eye(3), lif__w=torch.tensor(0.0))
    with pytest.raises(NoEffect, match="init_tau changes nothing of ParametricLIFNode"):
        notes(plif, neuron={"lif": "init_tau=3.0"})
    idle = converters.load(plif, Options(neuron={"lif": "detach_reset=True"}))
    (entry,) = [entry for entry in idle.semantics if entry.layer == "lif"]
    assert ("detach_reset", "True: decides gradients, and nothing of a forward pass", "user") in [
        (fact.name, fact.value, fact.origin) for fact in entry.facts
    ]


def test_assumptions_stand_in_the_table_of_the_layer(tmp_path):
    loaded = converters.load(saved(tmp_path, fc__weight=torch.eye(3), **LEAKY), Options(neuron={"lif": "inhibition=False"}))
    (entry,) = [entry for entry in loaded.semantics if entry.layer == "lif"]
    said = {fact.name: (fact.value, fact.origin) for fact in entry.facts}
    assert said["state_quant"] == ("False", "ASSUMED")
    assert said["inhibition"] == ("False", "user")
    assert said["comparison"] == (">", "ASSUMED")
    assert said["decay"] == ("0.5", "file")


def test_a_table_lists_norses_parameters_one_by_one():
    assert list(NORSE.neurons["LIFCell"].defaults)[:5] == ["tau_syn_inv", "tau_mem_inv", "v_leak", "v_th", "v_reset"]
