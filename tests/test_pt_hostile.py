"""Files made to run code or to exhaust memory when they are opened: none runs, each is refused soon and small.

Every file is opened in a process of its own (a fork of one that has torch), whose processor time and memory are measured.
"""

from __future__ import annotations

import io
import os
import pickle
import resource
import struct
import subprocess
import sys
import tarfile
import warnings
import zipfile
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

SECONDS, BYTES = 2, 500 * 2**20


def call(module: str, name: str, *arguments: str) -> bytes:
    """A pickle of protocol 2 that calls module.name with strings, as the value of a weight's name."""
    words = b"".join(b"X" + struct.pack("<I", len(a.encode())) + a.encode() for a in arguments)
    return b"\x80\x02}X\x01\x00\x00\x00w" + b"c" + module.encode() + b"\n" + name.encode() + b"\n(" + words + b"tRs."


def touching(proof: Path) -> dict[str, bytes]:
    """Pickles that would leave ``proof`` behind if they ran."""
    python = f"open({str(proof)!r}, 'w')"
    made = {f"{m}.{n}": call(m, n, *a) for m, n, *a in (
        ("os", "system", f"touch {proof}"), ("posix", "system", f"touch {proof}"), ("subprocess", "getoutput", f"touch {proof}"),
        ("builtins", "eval", python), ("builtins", "exec", python), ("__builtin__", "eval", python), ("builtins", "open", str(proof), "w"),
        ("builtins", "getattr", "os", "system"), ("builtins", "__import__", "antigravity"), ("builtins", "compile", python, "x", "exec"),
        ("functools", "partial", python), ("operator", "methodcaller", "system"), ("operator", "attrgetter", "system"),
        ("importlib", "import_module", "antigravity"), ("runpy", "run_path", str(proof)), ("pty", "spawn", f"touch {proof}"),
        ("numpy", "load", str(proof)), ("numpy.testing._private.utils", "runstring", python, ""), ("shutil", "rmtree", str(proof)),
        ("torch", "load", str(proof)), ("torch.hub", "load", str(proof)), ("torch.jit", "load", str(proof)), ("pickle", "loads", python),
        ("torch._utils", "_import_dotted_name", "os.system"), ("torch.storage", "_load_from_bytes", python), ("marshal", "loads", python),
        ("types", "FunctionType", python), ("ctypes", "CDLL", str(proof)), ("code", "interact", python), ("timeit", "timeit", python),
        ("torch.serialization", "add_safe_globals", python), ("pathlib", "Path.touch", str(proof)), ("webbrowser", "open", str(proof)),
    )}  # fmt: skip
    system = f"X{struct.pack('<I', len(f'touch {proof}')).decode('latin1')}touch {proof}".encode("latin1")
    made |= {
        "INST": b"\x80\x02(" + system + b"iposix\nsystem\n.",
        "OBJ": b"\x80\x02(cposix\nsystem\n" + system + b"o.",
        "NEWOBJ_EX": b"\x80\x04cposix\nsystem\n" + system + b"\x85}\x92.",
        "STACK_GLOBAL through the memo": b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x8c\x01x0h\x00h\x01\x93" + system + b"\x85R.",
        "EXT1": b"\x80\x02\x82\xf0" + system + b"\x85R.",
        "behind a second pickle": pickle.dumps({}, 2) + call("posix", "system", f"touch {proof}"),
        "BUILD of a tensor": b"\x80\x02ctorch\nTensor\n)\x81}X\x08\x00\x00\x00__dict__cposix\nsystem\nsb.",
        "PERSID": b"\x80\x02(" + system + b"cposix\nsystem\ntQ.",
        "text PERSID": b"\x80\x02Pcposix\nsystem\n.",
        "REDUCE of a class": b"\x80\x02ccollections\nOrderedDict\ncos\nsystem\n\x85R.",
        "torch.Size of a tensor's attribute": b"\x80\x02ctorch._utils\n_rebuild_parameter_with_state\n(" + system + b"tR.",
    }  # fmt: skip
    return made


def exhausting() -> dict[str, bytes]:
    """Pickles that ask for memory or time without end."""
    doubled = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(48))  # t = (t, t), whose hash takes 2**48 steps
    pairs = b"".join(b"q" + bytes([i]) + b"]h" + bytes([i]) + b"ah" + bytes([i]) + b"a" for i in range(60))
    return {
        "nested a million deep": b"\x80\x02" + b"]" * 1_000_000 + b"a" * 999_999 + b".",
        "tuples nested deep as a key": b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"K\x01s.",
        "a key that doubles": b"\x80\x02}" + b")" + doubled + b"K\x01s.",
        "lists that double": b"\x80\x02}X\x01\x00\x00\x00w" + b"]" + pairs + b"s.",
        "an integer of 2 GB": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"\x01.",
        "bytes of 4 EB": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",
        "text of 4 GB": b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"x.",
        "a frame of 4 EB": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"x.",
        "a memo of 4 billion": b"\x80\x02}r" + struct.pack("<I", 2**32 - 1) + b".",
        "a long decimal": b"\x80\x02I" + b"9" * 2_000_000 + b"\n.",
        "a million times popped": b"\x80\x02" + b"}0" * 1_000_000 + b"}.",
        "marks without end": b"\x80\x02" + b"(" * 1_000_000 + b"}.",
    }  # fmt: skip


def zipped(pickled: bytes, name: str = "net/data.pkl", **more: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, pickled)
        archive.writestr("net/version", b"3\n")
        for other, content in more.items():
            archive.writestr(other.replace("__", "/"), content)
    return out.getvalue()


def deflated(*names: str, size: int = 30_000_000) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, bytes(size))
    return out.getvalue()


def containers(proof: Path) -> dict[str, bytes]:
    """Whole files: the same inside zips, tars and programs."""
    evil = call("posix", "system", f"touch {proof}")
    legacy = io.BytesIO()
    with tarfile.open(fileobj=legacy, mode="w") as tar:
        for name in ("pickle", "tensors", "storages"):
            entry = tarfile.TarInfo(name)
            entry.size = len(evil)
            tar.addfile(entry, io.BytesIO(evil))
    count = struct.pack("<q", 10**13)[:6]
    huge = (b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
            b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu\x8a\x06" + count + b"tQK\x00\x8a\x06" + count
            + b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRs.")  # fmt: skip
    plain = pickle.dumps({}, 2)
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"protocol_version": 1001}, 2)
    with_code = zipped(plain, net__code__x=b"import os; os.system('touch x')", **{"net__constants.pkl": evil})
    two = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(two, "w") as archive:
        warnings.simplefilter("ignore")  # two entries of one name, as an attacker would have it
        archive.writestr("net/data.pkl", plain)
        archive.writestr("net/data.pkl", evil)
    return {
        "zip": zipped(evil), "zip, pickle in a folder": zipped(plain, **{"net__inner__data.pkl": evil}),
        "zip, another name": zipped(evil, "other/thing/data.pkl"), "zip, two of one name": two.getvalue(),
        "zip in a zip": zipped(zipped(evil)), "TorchScript": with_code,
        "TorchScript, evil constants": zipped(evil, **{"net__constants.pkl": evil}),
        "pt2": zipped(plain, **{"net__archive_format": b"pt2", "net__models__model.json": b"{}"}), "tar": legacy.getvalue(),
        "legacy after its head": head + evil, "zip, a storage of 40 TB": zipped(huge, net__data__0=b"\0" * 16),
        "legacy, a storage of 40 TB": head + huge,
        "bomb": deflated("net/data.pkl", "net/data/0"), "bomb of a pt2": deflated("net/archive_format", "net/models/model.json"),
        "bomb in the pickle": deflated("net/data.pkl", size=300_000_000),
        "many names": zipped(plain, **{f"a{i}": b"" for i in range(20_000)}),
    }  # fmt: skip


OPEN_EACH = """
import os, resource, sys, time
import torch
import converters
from converters.pt import reading  # whatever opening a file loads is loaded before the clock runs
from snndeploy.errors import ModelError, SnnError
for path in sys.argv[1:]:
    child = os.fork()
    if not child:
        before = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(resource.RLIMIT_CPU, (4, 4))
        said = "was taken"
        try:
            converters.load(path, converters.Options(input_shape=(4,)))
        except SnnError as error:
            said = type(error).__name__
        except BaseException as error:
            said = f"TRACEBACK {type(error).__name__}: {error}"[:200]
        after = resource.getrusage(resource.RUSAGE_SELF)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{path}\\t{said}\\t{seconds:.2f}\\t{after.ru_maxrss - before.ru_maxrss}", flush=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        print(f"{path}\\tDIED of {status}\\t99\\t0", flush=True)
"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """What became of each file: name -> (error, seconds, bytes), and whether the proof is there."""
    folder = tmp_path_factory.mktemp("hostile")
    proof = folder / "was-run"
    raw = {**touching(proof), **exhausting()}
    files = {**raw, **{f"{name}, zipped": zipped(content) for name, content in exhausting().items()}, **containers(proof)}
    paths = {}
    for number, (name, content) in enumerate(files.items()):
        paths[str(folder / f"{number}.pt")] = name
        (folder / f"{number}.pt").write_bytes(content)
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run([sys.executable, "-c", OPEN_EACH, *paths], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    found = {}
    for line in ran.stdout.splitlines():
        path, said, seconds, kilobytes = line.split("\t")
        found[paths[path]] = (said, float(seconds), int(kilobytes) * 1024)
    assert found.keys() == set(files)
    return found, proof.exists() or (folder / "x").exists()


def test_nothing_is_run(opened):
    assert not opened[1]
    assert len(opened[0]) > 60


def test_each_is_refused_in_words(opened):
    wrong = {name: said for name, (said, _, _) in opened[0].items() if said not in ("UnsafePickle", "ModelError")}
    assert not wrong


def test_soon_and_in_little_memory(opened):
    slow = {name: (seconds, size) for name, (_, seconds, size) in opened[0].items() if seconds > SECONDS or size > BYTES}
    assert not slow
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0
