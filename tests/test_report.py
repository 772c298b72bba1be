"""Reports: golden text and JSON, the page's form, and that exactness, fidelity and estimate are never mixed."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from snndeploy.cost import Cost, Interval, Term
from snndeploy.placement import Core, Finding, Placement, Slice
from snndeploy.report import (
    BurstRow,
    FactRow,
    LayerRow,
    Mesh,
    PassRow,
    QuantRow,
    Report,
    check_to_json,
    check_to_text,
    run_to_json,
    run_to_text,
    to_html,
    to_json,
    to_text,
    verify_to_json,
    verify_to_text,
    words,
)
from snndeploy.report.core_map import core_map, use
from snndeploy.report.figures import ranges, raster
from snndeploy.report.layout import table
from snndeploy.trace import Activity, Trace
from snndeploy.verdict import Counterexample, Divergence, Fidelity, Pair, Proof, Verdict

GOLDEN = Path(__file__).parent / "golden"
VOID = {"meta", "br", "link", "img", "input", "hr"}
NASTY = "<script>alert('x')</script> & \"quoted\""


def joules(value, low, high):
    return Interval(value, low, high, "J")


PAIR = Pair("float graph", "after batchnorm", 12800, 2, within_bound=2)
MODEL = Pair("burst node", "graded program", 36864, 0, grade="model only")
CHIP = Pair("definition", "chip", 500000, 0)
LATE = Divergence("fc", 3, 0, (1, 2), 1.0, 0.0, "v wrapped")
WORSE = Pair("definition", "chip", 500000, 7, first=LATE)
COST = Cost(
    chip="loihi2",
    status="estimated",
    terms=(
        Term(
            "synaptic operations, dense",
            "core",
            12345.0,
            joules(2.5e-7, 1.2e-7, 3.7e-7),
            "derived",
            "Notebook 2023, https://example.org/a?b=1&c",
            "B-",
        ),
        Term("messages", "noc", 100.0, joules(1e-9, 5e-10, 2e-9), "assumed", "Davies 2018; Table 2", "D"),
        Term("static power, chips", "static", 1.0, joules(2e-5, 4e-6, 2e-4), "measured", "Notebook 2023, https://example.org/a?b=1&c", "A"),
    ),
    unpriced=("barriers: 11 an inference, price unpublished",),
    dynamic=joules(2.51e-7, 1.205e-7, 3.72e-7),
    total=joules(2.0251e-5, 4.1205e-6, 2.00372e-4),
    step_time=Interval(9e-6, 2e-6, 4e-5, "s"),
    latency=Interval(1e-4, 3e-5, 5e-4, "s"),
    sensitivities=(("static power, chips", 1.96e-4), ("synaptic operations, dense", 2.5e-7)),
    assumed_fraction=0.0001,
    notes=("an estimate, not a measurement", "Axon tables are not public."),
)
FINDINGS = (
    Finding("L013", "warning", "fc", 1.2e7, 2.0**23, "the sum may leave the current", "scale down"),
    Finding("L003", "note", "loihi2", math.nan, math.nan, "not checked: axons_in_per_core is unpublished", "set it"),
)


def placed(*findings, chips=1):
    cores = (
        Core(0, (Slice("conv", 0, 512),), 512, 200000, 64, 512),
        Core(1, (Slice("conv", 512, 768), Slice("fc", 0, 10)), 266, 1048576, 700, 0),
    )
    return Placement("loihi2", cores, chips, findings or FINDINGS)


def traced():
    spikes = np.arange(12).reshape(3, 4)
    activity = {
        "input": Activity(spikes, np.array([30, 36]), 0, 0),
        "conv": Activity(spikes, np.array([30, 36]), 480, 100, wraps=3, saturations=1),
        "fc": Activity(np.zeros(10, np.int64), np.array([0, 0]), 200, 0),
    }
    return Trace("numpy", 11, 2, activity, shifts={"conv": 1}, seconds=0.5, length=10)


FACTS = (
    FactRow("decay", "0.5", "file"), FactRow("threshold", "[12,1,1] 0.2..0.9", "file"), FactRow("comparison", ">=", "probed"),
    FactRow("reset", "to 0", "ASSUMED", "--reset"), FactRow("delay", "none", "file"),
)  # fmt: skip
ASSUMED = LayerRow("lif", "LIF(decay 0.5, >=)", 768, "reset: zero", assumed=True, facts=FACTS)


def made(**changes):
    outputs = np.zeros((11, 3, 4))
    outputs[2:7:2, 1, :] = [[0.5, 1, 0, -1]]
    report = Report(
        model="digits",
        chip="Loihi 2",
        placement=placed(),
        verdict=Verdict((PAIR, MODEL, CHIP), Fidelity(360, 0.989, 0.986, 0.997, {"conv": 0.001}), ("the real Lava",)),
        trace=traced(),
        steps=6,
        layers=(LayerRow("conv", "Conv2d 1 -> 12, 3x3", 768, "digits.pt: conv.weight"), ASSUMED),
        passes=(PassRow("batchnorm", "folded 2 into the convolutions before them", PAIR),),
        bursts=(
            BurstRow("lif", "graded", 768, 5759, 0, 636.4, 3.5e-7, True, pair=MODEL, true_spikes=636.4),
            BurstRow("lif", "lateral", 1536, 11518, 0, 900.0, 7e-7, False, why_not="hard reset: needs subtracting reset"),
            BurstRow("lif", "ping-pong", 4608, 36860, 1, 10652.0, 3.2e-6, False, true_spikes=636.4),
            BurstRow("lif", "two-phase", 1536, 11518, 0, math.nan, math.nan, False, "decay 0.5", true_spikes=636.4, phases=2),
        ),
        quantization=(QuantRow("conv", 8, 0.0123, 0.004, ("threshold off by 0.2 %",)),),
        shifts={"conv": 1, "fc": 2},
        cost=COST,
        events={"synaptic_ops": 12345.6, "neuron_updates_active": 480.0, "messages": 100.0},
        synapses=20000,
        imbalance=1.75,
        raster={"conv": outputs, "fc": np.zeros((11, 60))},
        raster_title="sample 0",
        mesh=Mesh(6, 4, 8, 4, 8192, 1048576),
        assumptions=("dt is 1 ms (--dt)",),
        not_checked=("proofs", "the real Lava"),
        sources={"lava": "lava-nc 0.10", "davies": "Davies 2018"},
    )  # fmt: skip
    return dataclasses.replace(report, **changes)


def golden(name, text):
    """Compare with the kept file; SNNDEPLOY_BLESS=1 writes it anew."""
    path = GOLDEN / name
    if os.environ.get("SNNDEPLOY_BLESS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def dumped(values):
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def test_text_is_golden_and_narrow():
    text = to_text(made())
    golden("report.txt", text)
    assert max(map(len, text.splitlines())) <= 100


def test_json_is_golden_and_strict():
    golden("report.json", dumped(to_json(made())))


def test_json_keeps_the_keys_others_rely_on():
    said = to_json(made())
    assert said["schema"] == "snndeploy.report/1"
    assert set(said["energy"]) >= {"per_inference", "terms", "unpriced"}
    assert said["energy"]["per_inference"] == {"value": 2.0251e-5, "low": 4.1205e-6, "high": 2.00372e-4, "unit": "J"}
    assert (said["cores"], said["chips"]) == (2, 1)
    assert said["findings"][1]["limit"] is None, "an unpublished limit is null, never NaN"
    bare = to_json(made(cost=None, verdict=Verdict(())))
    assert (bare["energy"], bare["latency"], bare["fidelity"], bare["verdict"]) == (None, None, None, "not_checked")


def test_run_verify_and_check_are_golden():
    trace, events = traced(), {"synaptic_ops": 12.5, "messages": 3.0}
    verdict = Verdict((CHIP, WORSE), Fidelity(2, 1.0, 0.5, 0.5), ("the real Lava",))
    run = ("net.onnx", "loihi2", trace, events, 0.975, list(range(25)))
    golden("run.txt", run_to_text(*run))
    golden("run.json", dumped(run_to_json(*run)))
    golden("verify.txt", verify_to_text("net.onnx", verdict))
    golden("verify.json", dumped(verify_to_json("net.onnx", verdict)))
    golden("check.txt", check_to_text("net.onnx", placed()))
    golden("check.json", dumped(check_to_json("net.onnx", placed())))


def test_results_have_the_contract_keys():
    run = run_to_json("g.onnx", "", traced(), {}, None)
    assert {"schema", "file", "chip", "samples", "steps", "accuracy", "layers", "events", "engine", "seconds"} <= set(run)
    assert (run["chip"], run["accuracy"]) == (None, None)
    assert set(run["layers"][0]) >= {"name", "neurons", "spikes_per_sample", "rate"}
    refuted = Proof("burst", "fc", "equals the burst neuron", "failed", counterexample=Counterexample(3, (7,), (), (1,), (0,), True))
    verify = verify_to_json("n", Verdict((WORSE,), proofs=(refuted,)))
    assert {"verdict", "pairs", "fidelity", "proofs"} <= set(verify)
    assert verify["proofs"][0]["counterexample"]["inputs"] == (7,)
    assert Verdict((), proofs=(refuted,)).verdict == "different"
    said = " ".join(verify_to_text("n", Verdict((WORSE,), proofs=(refuted,))).split())
    assert "0 of 1 obligations proved, 1 failed" in said
    assert "1 obligation failed, with a counterexample." in said
    assert "counterexample, neuron 3: inputs [7] give [0] for [1]" in said
    assert verify["pairs"][0]["first"]["step"] == 3
    assert {"a", "b", "compared", "different", "first"} <= set(verify["pairs"][0])
    check = check_to_json("n", placed())
    assert set(check["findings"][0]) == {"code", "severity", "where", "value", "limit", "why", "fix"}
    assert "no labels" in run_to_text("g.onnx", "", traced(), {}, None)
    assert "predictions: 1 2\n" in run_to_text("g.onnx", "", traced(), {}, None, [1, 2])
    assert "Fidelity" not in verify_to_text("n", Verdict((MODEL,)))
    assert "model only" in verify_to_text("n", Verdict((MODEL,)))


# ------------------------------------------------------------------------------------------------------- what is claimed


def test_exactness_is_words_of_its_own():
    assert words.exactness(Verdict(())).value == "Not checked"
    good = words.exactness(Verdict((PAIR, CHIP)))
    assert (good.value, good.tone) == ("Exact but for 2 ties", "good")
    assert "0 of 512,800" in good.sentence
    bad = words.exactness(Verdict((PAIR, WORSE)))
    assert (bad.value, bad.tone) == ("Different", "bad")
    assert bad.sentence.startswith("7 of 512,800")
    assert "2 within the rounding bound" in words.pair_words(PAIR)


def test_fidelity_never_says_exact():
    cases = [None, Fidelity(5), Fidelity(5, agreement=0.8), Fidelity(5, 0.9, 0.9), Fidelity(5, 0.9, 0.95, 0.9), Fidelity(5, 0.9, 0.5, 0.5)]
    said = [words.faithfulness(f, 0.5) for f in cases]
    assert [s.value for s in said] == ["Not checked", "Unlabelled", "80.0 % agree", "90.0 %", "95.0 %", "50.0 %"]
    assert [s.tone for s in said] == ["plain", "plain", "plain", "good", "good", "bad"]
    assert "nothing lost" in said[3].sentence
    assert "5 points gained" in said[4].sentence
    assert "40 points lost" in said[5].sentence
    assert not any("exact" in s.sentence.lower() for s in said)


def test_fit_names_the_first_blocker():
    blocker = Finding("L015", "blocker", "loihi2", 300, 128, "the network needs 3 chips", "choose a board")
    assert words.fit(placed(blocker)).tone == "bad"
    assert "L015 loihi2: 300 against 128" in words.fit(placed(blocker)).sentence
    assert "1 warning" in words.fit(placed()).sentence
    assert "does not fit" in check_to_text("n", placed(blocker))


def test_energy_is_never_bare():
    said = words.price(COST)
    assert "4.1 uJ to 200 uJ" in said.sentence
    assert "1 item unpriced" in said.sentence
    assert words.NOT_MEASURED in said.sentence
    assert "cores, network on chip and static power" in said.sentence
    whole = dataclasses.replace(COST, unpriced=(), terms=COST.terms[:1])
    assert "unpriced" not in words.price(whole).sentence
    assert "not priced" in words.idle_power(whole)
    assert "200 mJ" in words.idle_power(COST)
    assert words.price(None).value == words.duration(None).value == "Not priced"
    for text in (to_text(made()), to_html(made())):
        assert words.NOT_MEASURED in text


def test_crossover_lines_are_below_within_and_above():
    assert [line.split()[0] for line in words.crossover(made(synapses=200000))] == ["0.062", "Below", "Below"]
    assert [line.split()[0] for line in words.crossover(made())] == ["0.62", "Within", "Below"]
    assert [line.split()[0] for line in words.crossover(made(synapses=1000))] == ["12", "Above", "Above"]
    assert words.crossover(made(events={})) == []


def test_small_words():
    assert [words.number(x) for x in (math.nan, 1234567, 12345.6, 0.12345, math.inf)] == ["-", "1,234,567", "12,346", "0.123", "inf"]
    assert [words.percent(x) for x in (0, 0.00012, 0.5)] == ["0.0 %", "0.01 %", "50.0 %"]
    assert words.listing(["a"]) == "a"
    two = Verdict((MODEL, MODEL))
    assert words.model_only(two).startswith("2 comparisons rest")
    assert words.model_only(Verdict((CHIP,))) == ""
    quiet = dataclasses.replace(COST, sensitivities=())
    assert not any("moves most" in line for line in words.trust(quiet))


def test_sources_are_numbered_once():
    assert list(words.citations(COST).values()) == ["[1]", "[2]"]
    assert [line.split()[0] for line in words.references(made())] == ["[1]", "[2]", "lava:"], "davies is cited by number already"


def test_tables_stay_on_the_page():
    rows = [("a" * 30, "word " * 40, "more " * 40, "1"), ("b", "", "x" * 90, "-")]
    assert table(("one", "two", "three", "n"), []) == ""
    assert max(map(len, table(("one", "two", "three", "n"), rows).splitlines())) <= 98


# ---------------------------------------------------------------------------------------------------------------- the page


class Form(HTMLParser):
    """Fails on tags that do not close; collects what a browser would fetch, and the text."""

    def __init__(self):
        super().__init__()
        self.open, self.fetched, self.text, self.tags = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [(k, v) for k, v in attrs if k in ("src", "href", "srcset", "data", "xlink:href", "action") or "url(" in (v or "")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def parsed(page):
    form = Form()
    form.feed(page)
    form.close()
    assert form.open == []
    return form


def test_the_page_is_well_formed_and_fetches_nothing():
    form = parsed(to_html(made()))
    assert form.fetched == []
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(form.tags)
    css = to_html(made()).split("<style>")[1].split("</style>")[0]
    assert "url(" not in css
    assert "@import" not in css
    assert "prefers-color-scheme:dark" in css
    text = "".join(form.text)
    for part in ("One sample", "Firing rates", "Counts", "Energy", "Latency", "Core map", "Passes", "Burst neurons", "Quantization"):
        assert part in text
    assert "https://example.org/a?b=1&c" in text, "a citation is text"


def test_foreign_text_is_escaped_everywhere():
    row = {
        "model": NASTY,
        "chip": NASTY,
        "raster_title": NASTY,
        "assumptions": (NASTY,),
        "not_checked": (NASTY,),
        "sources": {NASTY: NASTY},
    }
    term = dataclasses.replace(COST.terms[0], name=NASTY, source=NASTY, kind=NASTY, confidence=NASTY, boundary=NASTY)
    cost = dataclasses.replace(
        COST, terms=(term,), notes=(NASTY,), unpriced=(NASTY,), chip=NASTY, status=NASTY, sensitivities=((NASTY, 1.0),)
    )
    finding = Finding(NASTY, "blocker", NASTY, 1, 2, NASTY, NASTY)
    core = Core(0, (Slice(NASTY, 0, 1),), 1, 1, 1, 1)
    pair = Pair(NASTY, NASTY, 3, 1, first=dataclasses.replace(LATE, layer=NASTY, cause=NASTY))
    activity = Activity(np.ones(2, np.int64), np.ones(1, np.int64), 4, 4)
    report = made(
        **row, cost=cost, placement=Placement(NASTY, (core,), 1, (finding,)), verdict=Verdict((pair,), None, (NASTY,)),
        trace=Trace(NASTY, 1, 1, {NASTY: activity}), raster={NASTY: np.ones((2, 2))}, events={NASTY: 1.0},
        layers=(LayerRow(NASTY, NASTY, 1, NASTY, True),), passes=(PassRow(NASTY, NASTY, PAIR),),
        bursts=(BurstRow(NASTY, NASTY, 1, 1, 1, 1, 1, False, NASTY),), quantization=(QuantRow(NASTY, 8, 1, 0, (NASTY,)),),
    )  # fmt: skip
    form = parsed(to_html(report))
    assert "script" not in form.tags
    assert "".join(form.text).count("alert('x')") > 30


def test_a_report_of_almost_nothing_still_stands():
    bare = Report("m", "c", Placement("c", (), 1, ()), Verdict(()), Trace("numpy", 0, 0, {}), 0)
    form = parsed(to_html(bare))
    assert "Not checked" in "".join(form.text)
    assert "Energy" in to_text(bare), "that it is not priced is said"
    assert json.dumps(to_json(bare), allow_nan=False)


def test_the_same_report_is_the_same_page():
    assert to_html(made()) == to_html(made())


def test_raster_shows_evenly_chosen_neurons_and_all_their_signs():
    values = np.zeros((5, 100))
    values[0, 0], values[1, 99], values[2, 0] = 3.0, 1.0, -2.0
    drawn = raster({"big": values})
    assert "48 of 100 neurons" in drawn
    assert {c for c in ("s1", "s2", "s3", "neg") if f'class="{c}"' in drawn} == {"s1", "s3", "neg"}
    assert raster({}) == ""
    assert "path" not in raster({"silent": np.zeros((5, 3))})


def test_ranges_place_low_value_high_on_a_log_axis():
    drawn = ranges([("a", "core", joules(1e-6, 1e-7, 1e-5))])
    assert 'style="left:0.0%;width:100.0%"' in drawn
    assert '<b class="core" style="left:50.0%">' in drawn
    assert "100 nJ" in drawn
    assert "10 µJ" in drawn
    assert "left:0.0%;width:" in ranges([("a", "core", joules(1e-6, 0.0, 1e-5))])
    assert ranges([("none", "core", joules(0, 0, 0))]) == ""


def test_core_map_shades_by_the_fuller_resource_and_stops_at_eight_chips():
    placement = placed(chips=9)
    assert use(placement.cores[0], Mesh(6, 4, 8, 4, 1024, 1 << 20)) == 0.5
    assert use(placement.cores[1], Mesh(6, 4, 8, 4, 1024, 1 << 20)) == 1.0
    assert use(placement.cores[0], Mesh()) == 1.0
    drawn = core_map(placement, Mesh(1, 4, 8, 4, 1024, 1 << 20))
    assert drawn.count("<svg") == 8
    assert "1 more chips are not drawn" in drawn
    assert "conv, fc; 266 neurons" in drawn
    assert core_map(placed(), Mesh()).count('class="cell"') == 2


@pytest.mark.parametrize("steps", [1, 8, 1000])
def test_rasters_of_any_length_fit(steps):
    width = float(raster({"l": np.ones((steps, 4))}).split('width="')[1].split('"')[0])
    assert 0 < width <= 800
