"""The five networks of ``network.py`` on simulated chips: ``python benchmarks/papers/report.py [PLIF GLIF CLIF KLIF LIFB]``.

Converts each with calibration digits of the training part, runs it on the 360 held-back digits, and writes what came
of it: ``results.json`` beside this script and the page ``docs/papers.md``, which is made of nothing else. On loihi1,
which has no neuron programs, a network is deployed, or refused; then its nearest deployable network is deployed
instead, as it is and trained again (``train.py again``), and its cost measured on the simulated chip.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from network import NEURONS, nearest_network, trained
from page import page

import snndeploy as sd
from snndeploy.arrays import Ints
from snndeploy.chip.program import NeuronProgram, needs
from snndeploy.cost import engineering
from snndeploy.demo import CALIBRATION, TEST
from snndeploy.errors import Unsupported
from snndeploy.flow.deployment import Deployment
from snndeploy.flow.feeding import chip_predictions, float_predictions
from snndeploy.quantize.nearest import nearest

FOLDER = Path(__file__).parent
RESULTS, PAGE = FOLDER / "results.json", FOLDER.parents[1] / "docs" / "papers.md"


def answers(d: Deployment) -> tuple[Ints, Ints, Ints]:
    """[B] labels, the float network's answers and the chip's."""
    assert d.data.labels is not None, "the digits have labels"
    return d.data.labels, float_predictions(d.graph, d.float_trace), chip_predictions(d.network, d.chip_trace)


def measured(d: Deployment) -> dict[str, Any]:
    """What a run on a chip showed."""
    labels, before, after = answers(d)
    lost, won = ((x == labels) & (y != labels) for x, y in ((before, after), (after, before)))
    pair = d.verdict.pairs[-1]
    activity = d.chip_trace.activity
    programs = [p.model for p in d.network.populations.values() if isinstance(p.model, NeuronProgram)]
    return {
        "samples": len(labels),
        "float": float((before == labels).mean()),
        "chip": float((after == labels).mean()),
        "lost": int(np.count_nonzero(lost)),
        "won": int(np.count_nonzero(won)),
        "answers_changed": int(np.count_nonzero(before != after)),
        "spikes_changed": [round(s.error, 5) for s in d.scales],
        "weight_bits": [s.weight_bits for s in d.scales],
        "spikes": round(d.events.counts()["spikes"], 1),
        "neurons": sum(a.neurons for n, a in activity.items() if a.updates),
        "cores": len(d.placement.cores),
        "latency_steps": d.network.steps + max(p.shift for p in d.network.populations.values()),
        "instructions": [len(p.code) for p in programs],
        "state_words": max((int(needs(p)["state_words"]) for p in programs), default=0),
        "registers": max((int(needs(p)["program_registers"]) for p in programs), default=0),
        "table_entries": max((int(needs(p)["table_entries"]) for p in programs), default=0),
        "compared": pair.compared,
        "different": pair.different,
        "grade": pair.grade,
        "verdict": d.verdict.verdict,
        "saturations": sum(a.saturations for a in activity.values()),
        "outside_tables": sum(a.outside for a in activity.values()),
        "construction": sorted({o.construction for o in d.offers if o.chosen}),
        "dynamic": _joules(d.cost.dynamic),
        "total": _joules(d.cost.total),
    }


def _joules(energy: Any) -> str:
    return " ".join((engineering(energy.value, "J"), f"({engineering(energy.low, 'J')} .. {engineering(energy.high, 'J')})"))


def converted(net: Any, chip: str) -> Deployment:
    """A network on a chip, calibrated on digits it was trained on, judged on held-back ones."""
    return sd.convert(net, str(TEST), chip=chip, calibration=str(CALIBRATION))


def on_loihi1(name: str) -> dict[str, Any]:
    """Deployed, or refused: the condition that fails, and the nearest network's cost."""
    try:
        return {"deployed": measured(converted(trained(name), "loihi1"))}
    except Unsupported as refusal:
        near = nearest(trained(name).neuron1.to_node())
        found: dict[str, Any] = {"refused": refusal.what, "hint": refusal.hint, "loses": near.loses}
        for how, again in (("as_it_is", False), ("trained_again", True)):
            found[how] = measured(converted(nearest_network(name, again=again), "loihi1"))
        return found


def row(name: str) -> dict[str, Any]:
    """Everything about one network."""
    return {"loihi2": measured(converted(trained(name), "loihi2")), "loihi1": on_loihi1(name)}


def main(names: list[str]) -> None:
    """Measure, write, print."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names or list(NEURONS):
        results[name] = row(name)
        print(name, json.dumps(results[name], indent=1), flush=True)
    results = {name: results[name] for name in NEURONS if name in results}
    for path, text in ((RESULTS, json.dumps(results, indent=1) + "\n"), (PAGE, page(results))):
        part = path.with_name(path.name + ".part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)


if __name__ == "__main__":
    main(sys.argv[1:])
