"""The house rules that no linter knows: sizes, names, what an import loads, what may lie where."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("snndeploy", "converters")
ALLOWED = {
    "conformance",
    *PACKAGES,
    *("hw_profiles", "tests", "benchmarks", "docs"),
    *("README.md", "LICENSE", "pyproject.toml", "Makefile", "constraints.txt", "CHANGELOG.md"),
}
HEAVY = ("torch", "onnx", "onnxruntime", "nir", "h5py", "lava", "click", "rich", "scipy", "sklearn", "z3")
HOSTS = ("pypi" + ".org", "pythonhosted" + ".org", "download.pytorch" + ".org", "anaconda" + ".org", "conda" + ".io", "npmjs" + ".org")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|tmp/snn|Users/\w+|home/(?!user\b)\w+)/")


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_file_is_longer_than_350_lines():
    long = {str(p.relative_to(ROOT)): n for p in sources() if (n := len(p.read_text(encoding="utf-8").splitlines())) > 350}
    assert not long


def test_no_function_is_longer_than_40_lines():
    long = {
        f"{path.relative_to(ROOT)}:{f.lineno} {f.name}": lines
        for path in sources()
        for f in functions(path)
        if f.end_lineno is not None and (lines := f.end_lineno - f.lineno + 1) > 40
    }
    assert not long


def test_every_function_is_typed():
    untyped = [
        f"{path.relative_to(ROOT)}:{f.lineno} {f.name}"
        for path in sources()
        for f in functions(path)
        if f.returns is None or any(a.annotation is None and a.arg not in ("self", "cls") for a in (*f.args.args, *f.args.kwonlyargs))
    ]
    assert not untyped


def test_names_say_what_a_thing_is():
    assert not [p for p in sources() if p.stem in ("utils", "util", "helpers", "misc", "common")]
    vague = re.compile(r"^_?Base[A-Z]|Manager$|Factory$|Helper$")
    classes = [
        (path.name, name) for path in sources() for name in re.findall(r"^\s*class (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert not [entry for entry in classes if vague.search(entry[1])]


def test_every_room_is_on_the_map():
    """A new module directly under snndeploy/ must be placed in the layers that import-linter holds."""
    contract = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split('id = "house"')[1].split("[[")[0]
    rooms = {p.stem for p in (ROOT / "snndeploy").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert {room for room in rooms - {"__init__", "__main__"} if not re.search(rf"\bsnndeploy\.{room}\b", contract)} == set()


def test_every_folder_of_the_packages_is_a_package():
    assert not {p.parent for p in sources() if not (p.parent / "__init__.py").exists()}


def test_tests_are_not_a_package():
    assert not (ROOT / "tests" / "__init__.py").exists()


def test_import_is_light_and_fast():
    """``import snndeploy`` loads no framework and takes less than 7 times the processor time of NumPy's own (the best of three)."""
    code = (
        "import sys, time; clock = time.process_time; start = clock(); import numpy; middle = clock(); import snndeploy;"
        f"print((clock() - middle) / (middle - start), *[name for name in {HEAVY!r} if name in sys.modules])"
    )
    ratios = []
    for _ in range(3):
        out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
        assert out[1:] == []
        ratios.append(float(out[0]))
    assert min(ratios) < 7


def test_top_level_holds_only_what_the_map_shows():
    top = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert {name for name in top if not name.startswith(".")} <= ALLOWED


def test_tracked_files_name_no_machine_and_no_registry():
    found = []
    for path in tracked():
        if path.resolve() == Path(__file__).resolve():
            continue
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [(path.name, host) for host in HOSTS if host in text]
        found += [(path.name, match.group()) for match in MACHINE_PATH.finditer(text)]
    assert not found


def test_the_rules_themselves_can_fail(tmp_path):
    """The checks above read real files: a long, untyped function is seen as such."""
    path = tmp_path / "long.py"
    path.write_text("def f(x):\n" + "    x = 1\n" * 50, encoding="utf-8")
    (f,) = functions(path)
    assert f.end_lineno == 51
    assert f.returns is None
    assert MACHINE_PATH.search("see /root/x.py")
    assert not MACHINE_PATH.search("https://example.test/work/x")
