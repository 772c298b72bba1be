"""The user's code is opened, not run: what every kind of module gives, what is refused with its line, and that no file is touched."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from user_code_hard_kinds import HARD, HARD_REFUSES, SAID
from user_code_kinds import GIVES, REFUSES
from user_code_scripts import Script

import converters
from snndeploy.cli import commands
from snndeploy.cli.commands import main
from snndeploy.data import read
from snndeploy.errors import DataError, ModelError, SnnError
from snndeploy.options import Options
from snndeploy.user_code import Unknown, session, unchanged

ROOT = Path(__file__).resolve().parents[1]
GIVES, REFUSES = {**GIVES, **HARD}, {**REFUSES, **HARD_REFUSES}


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def written(folder, text):
    """The files of a kind; what was there afterwards must be the same, to the byte."""
    for part in f"#: a.py\n{text.lstrip()}".split("#: ")[1:]:
        name, _, body = part.partition("\n")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(body, encoding="utf-8")
    return contents(folder)


def libraries_of(text):
    """Skip what needs a library that is not here."""
    for library in ("torch", "h5py", "safetensors"):
        if f"import {library}" in text or f"from {library}" in text:
            pytest.importorskip(library)


def opened(name="f", **how):
    with session(ModelError, "test", **how) as code:
        found = code.value(code.file(Path("a.py")), name)
        return (code.given(found()) if callable(found) else found), code.left_out()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", GIVES)
def test_definitions_give_what_running_the_file_would(kind, here, capsys):
    wanted, text = GIVES[kind]
    libraries_of(text)
    before = written(here, text)
    loaded, path, arguments = set(sys.modules), list(sys.path), list(sys.argv)
    given, left_out = opened(kind.rpartition(" -> ")[2] if " -> " in kind else "f")
    assert given == wanted
    assert bool(left_out) == (kind == "left out")
    assert contents(here) == before
    assert capsys.readouterr().out == ""
    assert (sys.path, sys.argv) == (path, arguments)
    new = [sys.modules[name] for name in set(sys.modules) - loaded]
    assert not [m for m in new if str(getattr(m, "__file__", "")).startswith(str(here))]


@pytest.mark.parametrize("kind", REFUSES)
def test_what_no_definition_gives_is_refused_with_its_line(kind, here, capsys):
    words, text = REFUSES[kind]
    libraries_of(text)
    before = written(here, text)
    with pytest.raises(ModelError) as refusal:
        opened(kind.rpartition(" -> ")[2] if " -> " in kind else "f")
    assert words in str(refusal.value)
    assert refusal.value.hint
    assert contents(here) == before
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("kind", SAID)
def test_what_was_left_out_is_said(kind, here):
    words, text = SAID[kind]
    libraries_of(text)
    before = written(here, text)
    said = opened()[1]
    assert [one for one in said if words in one]
    assert len(said) == 1
    assert contents(here) == before


def test_what_is_drawn_afterwards_is_not_what_the_users_code_seeded(here):
    (here / "a.py").write_text("import random\nrandom.seed(3)\nP = random.random()\ndef f(): return P\n", encoding="utf-8")
    random.seed(7)
    wanted = random.random()
    random.seed(7)
    assert opened()[0] == random.Random(3).random()
    assert random.random() == wanted


def test_the_kinds_are_those_that_python_runs(here):
    """Where the whole file can be run, running it gives the same: the table of kinds is not of our making."""
    compared = 0
    for number, kind in enumerate(GIVES):
        wanted, text = GIVES[kind]
        folder = here / str(number)
        folder.mkdir()
        written(folder, text)
        name = kind.rpartition(" -> ")[2] if " -> " in kind else "f"
        asked = f"import a, json; x = a.{name}; x = x() if callable(x) else x; open('given.json', 'w').write(json.dumps(x))"
        if kind in ("builtin in loop", "circular top"):  # sum is called before the loop takes its name; and we are more patient
            continue
        if any(word in text for word in ("Exit", "exit", "parse_args()", "nope", "raise ", "open(", "sys.argv", "numpy", "torch")):
            continue
        compared += 1
        known = {**os.environ, "PYTHONPATH": "."}
        ran = subprocess.run([sys.executable, "-S", "-c", asked], cwd=folder, check=False, capture_output=True, text=True, env=known)
        assert ran.returncode == 0, f"{kind}: {ran.stderr}"
        assert json.loads((folder / "given.json").read_text()) == wanted, kind
    assert compared > 40


SEEDS = 200
"""In CI; 1,000 were run once: 797 are modules that Python runs, and every one gave what running it gives."""


def test_random_modules_give_what_running_them_gives(here):
    """Rebound names, lists with several names, loops, branches, setters, classes: among statements that nothing needs."""
    compared = 0
    for seed in range(SEEDS):
        text = f"import contextlib\n{Script(seed).text}"
        space: dict = {"__name__": "a"}
        try:
            with redirect_stdout(StringIO()):
                exec(compile(text, "a.py", "exec"), space)
                wanted = space["f"]()
        except (NameError, RecursionError, ValueError):  # a branch that was not taken, a function that calls itself, an error unheard
            continue
        (here / "a.py").write_text(text, encoding="utf-8")
        with session(ModelError, "test") as code:
            module = code.file(Path("a.py"))
            assert code.value(module, "f")() == wanted, text
            assert isinstance(vars(module)["ran"], Unknown), text  # what nothing needs did not run
        compared += 1
    assert compared > 130


def test_a_neighbour_on_the_path_is_opened_like_one_beside_it(tmp_path, monkeypatch):
    """PYTHONPATH is the user's: what lies there is no installed package, unless it lies where packages are installed."""
    loud = "open('ran.txt', 'w').write('x')\n"
    text = "from near import T\nfrom far import U\nimport sinabs\ndef f(): return T + U + sinabs.V\n"
    files = {"here/a.py": text, "src/near.py": f"{loud}T = 5\n"}
    files["src/sinabs/__init__.py"] = "import os\nV = 7\nos.environ['NEAR_RAN'] = 'yes'\n"  # a checkout of a library
    files["lib/site-packages/far.py"] = "import os\nos.environ['FAR_RAN'] = 'yes'\nU = 6\n"
    for name, body in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(body, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("FAR_RAN", "no")
    monkeypatch.setenv("NEAR_RAN", "no")
    for name in [name for name in sys.modules if name.partition(".")[0] == "sinabs"]:
        monkeypatch.delitem(sys.modules, name)
    folders = [str(tmp_path / "src"), str(tmp_path / "lib" / "site-packages")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))
    for folder in folders:
        monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "far", raising=False)
    assert opened() == (18, ())
    sys.modules.pop("sinabs")
    assert not (tmp_path / "here" / "ran.txt").exists()
    assert os.environ["FAR_RAN"] == os.environ["NEAR_RAN"] == "yes"
    sys.modules.pop("far", None)


def test_a_file_two_folders_down_reads_from_the_top(here):
    """``from ..sizes import H`` without one ``__init__.py``; afterwards nothing of it is left in Python's table."""
    files = {"models/snn/net.py": "from ..sizes import H\ndef f(): return H\n", "models/sizes.py": "H = 3\n"}
    for name, body in files.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(body, encoding="utf-8")
    before = set(sys.modules)
    with session(ModelError, "test") as code:
        assert code.value(code.file(Path("models/snn/net.py")), "f")() == 3
    assert not [name for name in set(sys.modules) - before if name.startswith("models")]


# ----------------------------------------------------------------------------------------------- data, and --run-code

DATA = """
import argparse
import numpy as np

rng = np.random.default_rng(0)
print("to standard output")
Path_that_is_not_there = 1

def factory():
    print("from the factory")
    return rng.random((4, 3)), [0, 1, 2, 0]

def leaves():
    raise SystemExit(0)

args = argparse.ArgumentParser().parse_args()
def asked():
    return rng.random((args.n, 3))

X = np.load("x.npy")
def stored():
    return X
np.save("written.npy", factory()[0])
"""


def test_a_factory_is_opened(here, capsys):
    before = written(here, DATA)
    assert len(read("a.py:factory")) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert "from the factory" in said.err
    assert "to standard output" not in said.err
    with pytest.raises(DataError, match="ends the program"):
        read("a.py:leaves")
    with pytest.raises(DataError, match=r"a\.py:15: .*depends on the arguments of the command line"):
        read("a.py:asked")
    with pytest.raises(DataError, match=r"a\.py:19: `X = np\.load\(\"x\.npy\"\)` reads the file x\.npy"):
        read("a.py:stored")
    assert contents(here) == before


def test_run_code_runs_all_of_it(here, capsys):
    np.save(here / "x.npy", np.ones((2, 3)))
    written(here, DATA)
    assert len(read("a.py:stored", run_code=True)) == 2
    assert (here / "written.npy").exists()
    said = capsys.readouterr()
    assert said.out == ""
    assert "to standard output" in said.err


def test_a_file_that_changes_meanwhile_is_said(here):
    (here / "a.npz").write_bytes(b"before")
    with unchanged(here / "a.npz", None, here / "not there"):
        pass
    with pytest.raises(SnnError, match="was changed while this ran"), unchanged(here / "a.npz"):
        (here / "a.npz").write_bytes(b"after")
    with pytest.raises(SnnError, match="removed after"), unchanged(here / "a.npz"):
        (here / "a.npz").unlink()


def test_code_that_goes_to_another_folder(here):
    """Afterwards we are where we were, and the files that were given are compared, not others of their names."""
    (here / "sub").mkdir()
    (here / "sub" / "d.npz").write_bytes(b"another")
    (here / "a.py").write_text("import os\nos.chdir('sub')\ndef f(): return 1\n", encoding="utf-8")
    (here / "d.npz").write_bytes(b"given")
    with unchanged(Path("d.npz")), session(ModelError, "test", whole=True) as code:
        assert code.value(code.file(Path("a.py")), "f")() == 1
        assert Path.cwd() == here / "sub"
    assert Path.cwd() == here

    def away():
        os.chdir("sub")
        (here / "d.npz").write_bytes(b"other")

    with pytest.raises(SnnError, match="was changed while this ran"), unchanged(Path("d.npz")):
        away()


def test_a_factory_that_writes_over_what_it_was_given(here):
    np.savez(here / "d.npz", x=np.zeros((2, 3)))
    (here / "a.py").write_text(
        "def f():\n    from pathlib import Path\n    Path('a.py').write_text('#')\n    return [[1.0, 2.0]]\n", encoding="utf-8"
    )
    with pytest.raises(SnnError, match=r"a\.py: was changed while this ran"):
        read("a.py:f")


# --------------------------------------------------------------------------------------------------- one JSON object


def one_object(*arguments, code=2):
    said = CliRunner().invoke(commands, [*arguments, "--json"])
    assert said.exit_code == code, said.output
    found = json.loads(said.stdout)
    assert len(said.stdout.splitlines()) == 1
    return found


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["convrt"], "No such command"),
        ([], "No such option"),
        (["convert"], "Missing argument"),
        (["convert", "x.pt", "--chipp", "loihi2"], "No such option"),
        (["run", "x.onnx", "--seed", "many"], "not a valid integer"),
        (["export", "x.onnx"], "Missing option"),
        (["chips", "more"], "unexpected extra argument"),
        (["show", "not_there.onnx"], "there is no such file"),
        (["run", "not_there.onnx", "--run-code"], "none is named"),
        (["explain", "L999"], "is no code of ours"),
    ],
)
def test_an_error_is_one_object_whatever_it_is(arguments, words, here):
    found = one_object(*arguments)
    assert found.keys() == {"schema", "error", "where", "what", "hint"}
    assert found["schema"] == "snndeploy.error/1"
    assert words in found["what"]
    assert found["hint"]


def test_interruptions_and_defects_are_one_object(monkeypatch, capfd):
    def raising(error):
        def command(*_arguments, **_given):
            raise error

        return command

    monkeypatch.setattr("snndeploy.deploy.show", raising(KeyboardInterrupt()))
    assert one_object("show", "x", code=130)["error"] == "Interrupted"
    monkeypatch.setattr("snndeploy.deploy.show", raising(ZeroDivisionError("no")))
    monkeypatch.setattr(sys, "argv", ["snndeploy", "show", "x", "--json"])
    monkeypatch.delenv("SNNDEPLOY_DEBUG", raising=False)
    with pytest.raises(SystemExit):
        main()
    assert json.loads(capfd.readouterr().out)["error"] == "Defect"


def test_what_a_library_prints_is_no_part_of_the_object(monkeypatch):
    monkeypatch.setattr("snndeploy.deploy.show", lambda *_: print("loading") or "text")  # noqa: T201 - it is what is tested
    said = CliRunner().invoke(commands, ["show", "x", "--json"])
    assert json.loads(said.stdout)["text"] == "text"
    assert "loading" in said.stderr


# ------------------------------------------------------------------------------------------- scripts as people write them

NET = """
import sys
import torch
from torch import nn
from snndeploy.nn import LIF, reset

hidden, T = 8, 3
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.lif1, self.fc2, self.lif2 = nn.Linear(6, hidden), LIF(), nn.Linear(hidden, 3), LIF()

    def forward(self, x):
        reset(self)
        print("forward")
        return sum(self.lif2(self.fc2(self.lif1(self.fc1(x)))) for _ in range(T))

"""
ENDS = {
    "rewrites its checkpoint": """
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for epoch in range(2):
    for x, y in [(torch.rand(4, 6), torch.tensor([0, 1, 2, 0]))]:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        print(f"epoch {epoch}: {loss.item():.3f}")
torch.save(net.state_dict(), "net.pt")
""",
    "parses and ends": """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("data")
args = parser.parse_args()
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
def main():
    model = Net().to(device)
    model.load_state_dict(torch.load(args.data))
    torch.save(model.state_dict(), "net.pt")
    return 0
sys.exit(main())
""",
    "needs packages that are not here": """
import wandb_is_not_here as wandb
from torchvision_is_not_here import datasets, transforms
wandb.init(project="snn")
loader = torch.utils.data.DataLoader(datasets.MNIST("data", download=True), batch_size=4)
""",
}
FACTORY = """
net = Net()
net.load_state_dict(torch.load("net.pt"))
def built():
    return net
"""


@pytest.fixture
def weights(here):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    shapes = {"fc1.weight": (8, 6), "fc1.bias": (8,), "fc2.weight": (3, 8), "fc2.bias": (3,)}
    from snndeploy.nn import LIF

    state = {f"lif{i}.{name}": value for i in (1, 2) for name, value in LIF().state_dict().items()}
    torch.save({**{name: torch.randn(shape) for name, shape in shapes.items()}, **state}, here / "net.pt")
    return here


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", ["Net", "built"])
def test_a_training_script_is_not_run(weights, monkeypatch, capfd, end, name):
    """The checkpoint keeps its bytes, nothing is trained, nothing is written, and the network is read."""
    import torch

    steps = []
    monkeypatch.setattr(torch.optim.SGD, "step", lambda *_: steps.append(1))
    before = written(weights, NET + FACTORY + ENDS[end])
    loaded = converters.load("net.pt", Options(arch=f"a.py:{name}", input_shape=(6,)))
    assert loaded.steps == 3
    assert [type(node).__name__ for node in loaded.graph.nodes.values()] == ["Input", "Linear", "LIF", "Linear", "LIF", "Output"]
    assert contents(weights) == before
    assert not steps
    assert capfd.readouterr().out == ""


def test_a_file_of_a_package_and_a_package_of_the_current_folder(weights):
    """Relative imports, with and without ``__init__.py``; ``pkg.mod:factory`` is opened like a file, its package, too."""
    loud = "raise RuntimeError('never')\n"
    text = NET.replace("hidden, T = 8, 3", "from .sizes import T, hidden")
    files = {"plain/net.py": text, "plain/sizes.py": "hidden, T = 8, 3\n", "pkg/sub/__init__.py": "", "pkg/__init__.py": loud}
    files |= {"pkg/sub/net.py": text.replace(".sizes", "..sizes") + loud, "pkg/sizes.py": "hidden, T = 8, 3\n" + loud}
    for name, body in files.items():
        (weights / name).parent.mkdir(parents=True, exist_ok=True)
        (weights / name).write_text(body, encoding="utf-8")
    before = contents(weights)
    graphs = {
        str(converters.load("net.pt", Options(arch=arch, input_shape=(6,))).graph)
        for arch in ("plain/net.py:Net", "pkg/sub/net.py:Net", "pkg.sub.net:Net", "plain.net:Net")
    }
    assert len(graphs) == 1
    assert contents(weights) == before


def test_trust_opens_the_classes_that_a_pickle_names(weights, capfd):
    """The file may run any code; the training script that its class stands in is none of it."""
    import torch

    written(weights, NET)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(weights)
        module = __import__("a").Net()
        torch.save(module, weights / "whole.pt")
        patch.delitem(sys.modules, "a")
    before = written(weights, NET + ENDS["rewrites its checkpoint"])
    for folder in (weights, weights.parent):
        os.chdir(folder)
        loaded = converters.load(weights / "whole.pt", Options(trust=True, input_shape=(6,)))
        assert loaded.steps == 3
    assert contents(weights) | before == contents(weights)
    assert {p: b for p, b in contents(weights).items() if "__pycache__" not in p.parts} == before
    assert capfd.readouterr().out == ""


def test_what_was_left_out_of_a_factory_is_said(weights):
    written(weights, NET + "def prune(net): ...\nnet = Net()\nprune(net)\ndef built():\n    return net\n")
    loaded = converters.load("net.pt", Options(arch="a.py:built", input_shape=(6,)))
    assert [note for note in loaded.assumptions if "`prune(net)`, which is given `net`; --run-code" in note]


def test_run_code_is_said_and_its_end_is_no_success(weights):
    written(weights, NET + ENDS["parses and ends"])
    with pytest.raises(ModelError, match="ends the program"):
        converters.load("net.pt", Options(arch="a.py:Net", input_shape=(6,), run_code=True))
    written(weights, NET + "open('ran.txt', 'w').close()\n")
    loaded = converters.load("net.pt", Options(arch="a.py:Net", input_shape=(6,), run_code=True))
    assert (weights / "ran.txt").exists()
    assert [note for note in loaded.assumptions if "was run whole (--run-code)" in note]


def test_run_code_that_overwrites_the_weights_is_an_error(weights):
    written(weights, NET + "torch.save(Net().state_dict(), 'net.pt')\n")
    with pytest.raises(SnnError, match=r"net\.pt: was changed while this ran"):
        converters.load("net.pt", Options(arch="a.py:Net", input_shape=(6,), run_code=True))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("        sys.exit(3)", "ends the program"),
        ("        raise ValueError('no')", "no"),
        ("        x = x * float(sys.argv[1])", "list index out of range"),
    ],
)
def test_a_forward_pass_that_ends_the_program_is_an_error(weights, line, words):
    written(weights, NET.replace('        print("forward")', line))
    with pytest.raises(ModelError, match=words) as refusal:
        converters.load("net.pt", Options(arch="a.py:Net", input_shape=(6,)))
    assert "a.py:14" in str(refusal.value)


def test_the_shell_prints_one_object_for_a_script_that_prints_everywhere(weights):
    """Python, C code, programs it starts, and what it prints when it is taken down: none of it is on our standard output."""
    loud = "import os, atexit\nclass Net(Net):\n    def forward(self, x):\n        os.write(1, b'raw')\n        os.system('echo shell')\n"
    loud += "        print('dunder', file=sys.__stdout__)\n        atexit.register(print, 'bye')\n        return super().forward(x)\n"
    written(weights, NET + loud)
    np.savez(weights / "d.npz", x=np.random.default_rng(0).random((8, 6)).astype("float32"))
    arguments = ["convert", "net.pt", "--arch", "a.py:Net", "--input-shape", "6", "--data", "d.npz", "-o", "out", "--json"]
    known = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
    said = subprocess.run(
        [sys.executable, "-m", "snndeploy", *arguments], cwd=weights, env=known, capture_output=True, text=True, check=False
    )
    assert said.returncode in (0, 1), said.stderr
    assert json.loads(said.stdout)["schema"] == "snndeploy.convert/1"
    for word in ("raw", "shell", "dunder", "bye", "forward"):
        assert word in said.stderr
