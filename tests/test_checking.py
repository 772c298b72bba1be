"""``check`` lists every obstacle of a model at once, each in the pipeline's own words, and what of it would map."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from click.testing import CliRunner  # noqa: E402  (behind importorskip)
from torch import nn  # noqa: E402

import snndeploy as sd  # noqa: E402
from snndeploy import nn as ours  # noqa: E402
from snndeploy.arrays import frozen  # noqa: E402
from snndeploy.cli.commands import commands  # noqa: E402
from snndeploy.data import Samples  # noqa: E402
from snndeploy.errors import SnnError  # noqa: E402
from snndeploy.ir.graph import Edge, Graph, Node  # noqa: E402
from snndeploy.ir.layers import Input, Linear, Output  # noqa: E402
from snndeploy.ir.neurons.burst import Burst  # noqa: E402
from snndeploy.ir.neurons.lif import LIF  # noqa: E402
from snndeploy.ir.neurons.quadratic import QuadraticIF  # noqa: E402
from snndeploy.ir.neurons.resonator import ResonateFire  # noqa: E402

T, IN = 6, 8
X = (np.random.default_rng(0).random((4, T, IN)) < 0.4).astype("float32")


class Mixed(nn.Module):
    """Three parts without a meaning between parts that have one."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1, self.norm = nn.Linear(IN, IN), ours.LIF(tau=2.0), nn.LayerNorm(IN)
        self.cell, self.fc2, self.lif2 = nn.GRUCell(IN, IN), nn.Linear(IN, 3), ours.LIF(tau=2.0)

    def forward(self, x):
        return torch.stack([self.lif2(self.fc2(torch.tanh(self.cell(self.norm(self.lif1(self.fc1(s))))))) for s in x.transpose(0, 1)])


def blockers(placement: Any) -> list[str]:
    return [finding.where for finding in placement.findings if finding.severity == "blocker"]


def test_everything_that_cannot_be_read_is_a_blocker_at_once():
    found = sd.check(Mixed(), Samples({"x": X}))
    assert not found.fits
    assert [where.partition(" at ")[0] for where in blockers(found)] == ["norm (LayerNorm)", "cell (GRUCell)", "tanh()"]
    assert all("test_checking.py:" in where for where in blockers(found))
    (rest,) = [finding for finding in found.findings if finding.severity == "note"]
    assert rest.why == "fc1, lif1, fc2, lif2 would map"
    assert sd.check(nn.Sequential(nn.Linear(IN, 3), ours.LIF(tau=2.0)), Samples({"input": X[:, 0]}), options=sd.Options(timesteps=T)).fits


def chain(*neurons: Node) -> Graph:
    """Linear layers with these neurons behind them."""
    rng = np.random.default_rng(1)
    nodes: dict[str, Node] = {"input": Input((IN,))}
    for k, neuron in enumerate(neurons):
        nodes |= {f"fc{k}": Linear(frozen(rng.integers(-3, 6, (IN, IN)) / 8)), f"n{k}": neuron}
    nodes["output"] = Output("count")
    names = list(nodes)
    return Graph(nodes, tuple(Edge(a, b) for a, b in pairwise(names)))


def own_words(graph: Graph, chip: str) -> str:
    with pytest.raises(SnnError) as refused:
        sd.convert(sd.load(graph_file(graph)), Samples({"input": X.astype(float)}), sd.Wishes(chip=chip))
    return refused.value.what


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def graph_file(graph: Graph) -> str:
    from converters import Loaded

    return str(sd.save_graph(Loaded(graph), "net"))


def test_every_neuron_that_a_chip_lacks_is_a_blocker_at_once():
    one, two = QuadraticIF(*map(frozen, (0.5, 0.0, 0.8, 1.0, 1.0))), ResonateFire(frozen(0.5), frozen(0.5))
    graph = chain(LIF(frozen(0.5)), one, LIF(frozen(0.75)), two)
    found = sd.check(graph_file(graph), Samples({"input": X.astype(float)}), sd.Wishes(chip="loihi1"))
    assert blockers(found) == ["n1", "n3"]
    whys = {finding.where: finding.why for finding in found.findings}
    assert whys["n1"] == own_words(graph, "loihi1")
    assert whys["n3"] == own_words(chain(LIF(frozen(0.5)), LIF(frozen(0.5)), LIF(frozen(0.75)), two), "loihi1")
    assert whys["the rest"] == "fc0, n0, fc1, fc2, n2, fc3 would map"
    assert sd.check(graph_file(chain(LIF(frozen(0.5)))), Samples({"input": X.astype(float)}), sd.Wishes(chip="loihi1")).fits


LADDER = frozen(np.arange(1.0, 4.0).reshape(3, 1))


def test_what_stands_in_for_a_burst_neuron_does_not_make_the_wish_idle():
    """--burst of a network whose burst neurons were bypassed."""
    burst = Burst(frozen(0.5), LADDER, LADDER, (False,) * 3, "subtract", amounts=LADDER)
    graph = chain(burst, LIF(frozen(0.5)))
    found = sd.check(graph_file(graph), Samples({"input": X.astype(float)}), sd.Wishes(chip="loihi1", burst="lateral"))
    assert blockers(found) == ["n0"]
    assert [f.why for f in found.findings if f.severity == "note"][-1] == "fc0, fc1, n1 would map"


def test_what_the_tool_built_is_no_warning():
    """The read-out behind the last burst layer has a decay of 0, which a 12-bit register does not hold; a layer of the user's as well."""
    burst = Burst(frozen(0.5), LADDER, LADDER, (False,) * 3, "hard")
    of_ours = sd.check(graph_file(chain(LIF(frozen(0.5)), burst)), Samples({"input": X.astype(float)}), sd.Wishes(chip="loihi1"))
    assert {f.where: f.severity for f in of_ours.findings if f.code == "L009"} == {"output.readout": "note"}
    of_theirs = sd.check(graph_file(chain(LIF(frozen(0.0)))), Samples({"input": X.astype(float)}), sd.Wishes(chip="loihi1"))
    assert {f.where: f.severity for f in of_theirs.findings if f.code == "L009"} == {"n0": "warning"}


def test_the_command_lists_them_as_one_object(tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\nfrom snndeploy.nn import LIF\n\n\n"
        "def net():\n    return nn.Sequential(nn.Linear(8, 8), LIF(tau=2.0), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 3), LIF(tau=2.0))\n"
    )
    scope: dict[str, Any] = {}
    exec((tmp_path / "net.py").read_text(), scope)
    torch.save(scope["net"]().state_dict(), tmp_path / "w.pt")
    said = CliRunner().invoke(commands, ["check", "w.pt", "--arch", "net.py:net", "--input-shape", "8", "--timesteps", "6", "--json"])
    found = json.loads(said.stdout)
    assert said.exit_code == 1, said.output
    assert (found["fits"], found["chip"]) == (False, "loihi2")
    assert [f["where"].partition(" at ")[0] for f in found["findings"]] == ["2 (LayerNorm)", "3 (Tanh)", "the rest"]
    text = CliRunner().invoke(commands, ["check", "w.pt", "--arch", "net.py:net", "--input-shape", "8", "--timesteps", "6"])
    assert "does not fit" in text.output.lower()
    assert "2 blockers in all" in text.output
    assert "nan" not in text.output
