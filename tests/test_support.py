"""The support matrix is what comes of trying: every row is tried again and held against the page in docs.

SNNDEPLOY_BLESS=1 writes the page.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("nir")
pytest.importorskip("h5py")

from snndeploy.errors import SnnError

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("make_support", ROOT / "docs" / "make_support.py")
assert spec is not None
assert spec.loader is not None
support = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = support
spec.loader.exec_module(support)
PAGE = support.PAGE.read_text(encoding="utf-8") if support.PAGE.exists() else ""
NOTES = dict(re.findall(r"^\[\^(\d+)\]: (.*)$", PAGE, re.MULTILINE))
BLESS = os.environ.get("SNNDEPLOY_BLESS") == "1"

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in exp")


def on_page(row) -> list[str]:
    """The row's cells as the page has them, footnotes written out."""
    start = f"| {row.kind} | {', '.join(row.examples)} |"
    (line,) = [line for line in PAGE.splitlines() if line.startswith(start)]
    cells = line[len(start) :].strip("| ").split(" | ")
    return [re.sub(r"\[\^(\d+)\]", lambda m: f" [{NOTES[m.group(1)]}]", cell.strip()) for cell in cells]


def tried(row) -> list[str]:
    return [
        cell.state + (f" {cell.compared:,}" if cell.compared else "") + "".join(f" [{reason}]" for reason in cell.reasons)
        for cell in row.cells.values()
    ]


@pytest.mark.skipif(BLESS, reason="the page is being written")
@pytest.mark.parametrize("kind", support.neuron_kinds())
def test_a_neuron(kind):
    for row in support.neuron_rows(kind):
        assert on_page(row) == tried(row), "run: SNNDEPLOY_BLESS=1 pytest tests/test_support.py"
        assert all(cell.compared for cell in row.cells.values() if cell.state in ("exact", "decoupled", "program", "rates"))


@pytest.mark.skipif(BLESS, reason="the page is being written")
@pytest.mark.parametrize("name", support.layer_names())
def test_a_layer(name):
    row = support.layer_row(name)
    assert on_page(row) == tried(row), "run: SNNDEPLOY_BLESS=1 pytest tests/test_support.py"


@pytest.mark.skipif(BLESS, reason="the page is being written")
@pytest.mark.parametrize("name", support.libraries())
def test_a_library(name):
    assert support.library_table(name) in PAGE, "run: SNNDEPLOY_BLESS=1 pytest tests/test_support.py"
    named = [test for *_, test, _ in support.library_rows(name)]
    for test in named:
        file, _, function = test.partition("::")
        assert f"def {function}(" in (ROOT / "tests" / f"{file}.py").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_is_what_the_code_says():
    if BLESS:
        support.main()
    assert support.page() == support.PAGE.read_text(encoding="utf-8"), "run: SNNDEPLOY_BLESS=1 pytest tests/test_support.py"


def test_every_chip_and_every_format_that_writes_is_a_column():
    import converters

    columns = support.layer_row("linear").cells
    assert set(support.chips()) <= set(columns)
    written = {f.suffixes[0] for f in converters.formats() if f.saves}
    assert written == {".onnx", ".nir", ".net", ".lava"}, "a new format needs a column: docs/make_support.py"


def test_a_neuron_without_an_example_is_an_error(monkeypatch):
    support.neuron_rows.cache_clear()
    monkeypatch.setattr(support.zoo(), "NEURONS", {})
    with pytest.raises(LookupError, match="KLIF has no example"):
        support.neuron_rows("KLIF")
    support.neuron_rows.cache_clear()


def test_a_difference_fails(monkeypatch):
    right = support.run_onnxruntime

    def wrong(*args, **options):
        trace = right(*args, **options)
        last = next(iter(trace.outputs.values()))
        last.flat[0] += 1
        return trace

    monkeypatch.setattr(support, "run_onnxruntime", wrong)
    with pytest.raises(AssertionError, match="onnxruntime: 1 of"):
        support.onnx_cell(support.zoo().ZOO["linear"])


def test_what_is_refused_keeps_its_reason_and_loses_its_names():
    assert (
        support.reason(SnnError("n", "L010: GLIF has no integer form on this chip")) == "L010: the neuron has no integer form on this chip"
    )
    assert support.reason(SnnError("n", "a SpikeTrace sends real values, and")) == "it sends real values, and"
