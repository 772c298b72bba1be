"""Neuron classes of the user's own code: named with --neuron-class, or found out by running them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from converters import Options  # noqa: E402
from converters.pt import from_module, load  # noqa: E402
from snndeploy.errors import OptionError, Unsupported  # noqa: E402
from snndeploy.ir.neurons.lif import LIF  # noqa: E402
from snndeploy.sim.reference import run_reference  # noqa: E402


class MyLIF(nn.Module):
    """h = (1 - 1/tau) v + x, fires at the threshold, resets to 0."""

    def __init__(self, tau=2.0, threshold=1.0):
        super().__init__()
        self.tau, self.threshold, self.v = tau, threshold, None

    def reset(self):
        self.v = None

    def forward(self, x):
        h = x if self.v is None else self.v * (1 - 1 / self.tau) + x
        s = (h >= self.threshold).to(x)
        self.v = h * (1 - s)
        return s


def net(*neurons):
    torch.manual_seed(0)
    sizes = (6, 8, 4)
    return nn.Sequential(*(part for i, n in enumerate(neurons) for part in (nn.Linear(sizes[i], sizes[i + 1]), n)))


def traced(module, x=None, **options):
    """Traced, and the graph's run held against the module's own."""
    loaded = from_module(module, torch.rand(3, 6) * 3 if x is None else x, Options(**options))
    run = run_reference(loaded.graph, loaded.witness.inputs, loaded.witness.steps)
    for name, gave in loaded.witness.outputs.items():
        np.testing.assert_array_equal(run.outputs[name], gave)
        assert len(np.unique(gave)) > 1
    return loaded


# -- --neuron-class ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("said", "decays"), [("LIF", (0.5, 0.75)), ("LIF(decay=0.5)", (0.5, 0.5))])
def test_a_named_class_is_read_from_what_is_said_then_from_its_own_values(said, decays):
    module = net(MyLIF(2.0, 0.5), MyLIF(4.0 if said == "LIF" else 2.0, 0.25))
    loaded = traced(module, neuron_class={"My*": said})
    found = [node for node in loaded.graph.nodes.values() if isinstance(node, LIF)]
    assert [float(node.decay) for node in found] == list(decays)
    assert [float(node.threshold) for node in found] == [0.5, 0.25]
    assert "MyLIF" in loaded.assumptions[0]
    assert "--neuron-class" in loaded.assumptions[0]
    assert module[1].v is None
    assert "_stands_for" not in vars(module[1])


def test_what_was_said_of_a_class_is_not_believed_against_its_answers():
    with pytest.raises(Unsupported, match="differ"):
        traced(net(MyLIF(2.0, 0.1), MyLIF(2.0, 0.1)), neuron_class={"MyLIF": "LIF(tau=2.0, threshold=0.9)"})


@pytest.mark.parametrize(
    ("pattern", "said", "words"),
    [("NyLIF", "LIF", "MyLIF"), ("MyLIF", "LIFF", "LIF"), ("MyLIF", "tau=2.0", "names no neuron"), ("MyLIF", "LIF(", "literal")],
)
def test_words_that_name_nothing_are_refused(pattern, said, words):
    with pytest.raises(OptionError, match="--neuron-class") as refused:
        traced(net(MyLIF(), MyLIF()), neuron_class={pattern: said})
    assert words in str(refused.value)


def test_a_bare_file_has_no_classes(tmp_path):
    torch.save(net(MyLIF(), MyLIF()).state_dict(), tmp_path / "net.pt")
    with pytest.raises(OptionError, match="--arch"):
        load(tmp_path / "net.pt", Options(neuron_class={"MyLIF": "LIF"}))
