"""Reading samples: what an .npz, a factory or an event file means, and that bad ones are refused in words."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snndeploy.data import Samples, fit, part, read
from snndeploy.data.archive import read_archive
from snndeploy.data.events import Binning
from snndeploy.errors import DataError, OptionError

RNG = np.random.default_rng(0)
SOLE = ""


def save(path, **arrays):
    np.savez_compressed(path, **arrays)
    return str(path)


def npy(array, pickled=False):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array), allow_pickle=pickled)
    return stream.getvalue()


def zipped(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return str(path)


# -------------------------------------------------------------------------------------------------- what a file means


def test_x_and_y_come_back_as_stored(tmp_path):
    x, y = RNG.random((5, 1, 4, 4)).astype(np.float32), np.arange(5)
    samples = read(save(tmp_path / "d.npz", x=x, y=y, note=np.zeros(1)))
    assert np.array_equal(samples.inputs[SOLE], x)
    assert samples.labels is not None
    assert samples.labels.tolist() == [0, 1, 2, 3, 4]
    assert samples.notes == ("not used: note",)
    assert len(samples) == 5
    assert not samples.inputs[SOLE].flags.writeable


def test_bool_spikes_become_numbers(tmp_path):
    samples = read(save(tmp_path / "d.npz", x=np.array([[True, False]])))
    assert samples.inputs[SOLE].dtype == np.uint8
    assert samples.inputs[SOLE].tolist() == [[1, 0]]
    assert samples.labels is None


def test_limit_keeps_the_first_samples(tmp_path):
    spec = save(tmp_path / "d.npz", x=np.arange(12).reshape(6, 2), y=np.arange(6)[:, None])
    samples = read(spec, limit=2)
    assert samples.inputs[SOLE].tolist() == [[0, 1], [2, 3]]
    assert samples.labels is not None
    assert samples.labels.tolist() == [0, 1]
    with pytest.raises(OptionError, match="positive"):
        read(spec, limit=0)


def test_part_is_a_slice_of_everything():
    samples = Samples({"a": np.arange(6).reshape(3, 2), "b": np.arange(3)}, np.arange(3))
    middle = part(samples, 1, 3)
    assert middle.inputs["a"].tolist() == [[2, 3], [4, 5]]
    assert middle.labels is not None
    assert middle.labels.tolist() == [1, 2]
    assert part(Samples({"a": np.arange(3)}), 0, 1).labels is None


# ---------------------------------------------------------------------------------------- held against the network


def test_fit_tells_static_from_timed():
    shapes = {"in": (1, 4, 4)}
    static = fit(Samples({SOLE: np.zeros((3, 1, 4, 4))}), shapes, 7)
    timed = fit(Samples({SOLE: np.zeros((3, 5, 1, 4, 4))}), shapes)
    assert (static.static, static.steps, list(static.inputs)) == (frozenset({"in"}), None, ["in"])
    assert (timed.static, timed.steps) == (frozenset(), 5)
    assert Samples({SOLE: np.zeros((3, 5, 2))}).steps is None


def test_fit_matches_several_inputs_by_name(tmp_path):
    spec = save(tmp_path / "d.npz", x_image=np.zeros((2, 3, 3)), x_audio=np.zeros((2, 9, 4)))
    samples = fit(read(spec), {"audio": (4,), "image": (3, 3)}, 9)
    assert list(samples.inputs) == ["audio", "image"]
    assert samples.static == {"image"}
    assert samples.steps == 9


@pytest.mark.parametrize(
    ("inputs", "shapes", "timesteps", "words"),
    [
        ({SOLE: np.zeros((2, 28, 28))}, {"in": (1, 28, 28)}, None, r"\[2, 28, 28\] is neither \[N, 1, 28, 28\] nor.*\n.*reshape"),
        ({SOLE: np.zeros((2, 27, 28))}, {"in": (1, 28, 28)}, None, r"--input-shape"),
        ({SOLE: np.zeros((2, 4, 3))}, {"in": (3,)}, 5, r"has 4 time steps, not 5\n.*--timesteps"),
        ({SOLE: np.zeros((2, 0, 3))}, {"in": (3,)}, None, "no time steps"),
        ({"a": np.zeros((2, 4, 3)), "b": np.zeros((2, 5, 3))}, {"a": (3,), "b": (3,)}, None, "x_b: has 5 time steps, not 4"),
        ({SOLE: np.zeros((2, 3))}, {"a": (3,), "b": (3,)}, None, "2 inputs\nhint: name them: x_a, x_b"),
        ({"imgae": np.zeros((2, 3))}, {"image": (3,)}, None, "did you mean image"),
        ({"a": np.zeros((2, 3))}, {"a": (3,), "b": (3,)}, None, "nothing for the input 'b'"),
    ],
)
def test_misfits_name_both_sides(inputs, shapes, timesteps, words):
    with pytest.raises(DataError, match=words):
        fit(Samples(inputs), shapes, timesteps)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.array([[1.0, np.nan]]), None, r"not finite \(NaN or infinite\) at \[0, 1\]"),
        (np.array([[np.inf]]), None, "not finite"),
        (np.zeros((0, 3)), None, "no samples"),
        (np.array(["a"]), None, "not real numbers"),
        (np.array([1j]), None, "not real numbers"),
        (np.float64(1), None, "single number"),
        (np.zeros((3, 2)), np.zeros(2), "2 labels for 3 samples"),
        (np.zeros((3, 2)), np.int64(0), "1 labels for 3 samples"),
        (np.zeros((3, 2)), np.zeros((3, 10)), "one-hot"),
        (np.zeros((1, 2)), np.array([0.5]), "class indices"),
        (np.zeros((1, 2)), np.array([-1]), "class indices"),
        (np.zeros((1, 2)), np.array([np.nan]), "class indices"),
        (np.zeros((1, 2)), np.array(["cat"]), "class indices"),
    ],
)
def test_bad_values_are_refused(tmp_path, x, y, words):
    arrays = {"x": x} if y is None else {"x": x, "y": y}
    with pytest.raises(DataError, match=words):
        read(save(tmp_path / "d.npz", **arrays))


def test_samples_themselves_are_checked():
    with pytest.raises(DataError, match="no input"):
        Samples({})
    with pytest.raises(DataError, match="different numbers of samples"):
        Samples({"a": np.zeros((2, 1)), "b": np.zeros((3, 1))})
    with pytest.raises(DataError, match="single number"):
        Samples({"a": np.array(1.0)})
    with pytest.raises(DataError, match="2 labels for 3"):
        Samples({"a": np.zeros(3)}, np.zeros(2, np.int64))


@pytest.mark.parametrize(
    ("arrays", "words"), [({"X": np.zeros(2)}, "holds X, but no x"), ({"x": np.zeros(2), "x_a": np.zeros(2)}, "both x and")]
)
def test_wrong_names_are_refused(tmp_path, arrays, words):
    with pytest.raises(DataError, match=words):
        read(save(tmp_path / "d.npz", **arrays))


# ----------------------------------------------------------------------------------------------- files nobody vouches for


def test_missing_empty_foreign_and_truncated_files(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read(str(tmp_path / "none.npz"))
    with pytest.raises(DataError, match="no such file"):
        read(str(tmp_path))
    (tmp_path / "empty.npz").touch()
    with pytest.raises(DataError, match="0 bytes"):
        read(str(tmp_path / "empty.npz"))
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DataError, match="not a readable"):
        read(str(tmp_path / "text.npz"))
    whole = save(tmp_path / "whole.npz", x=RNG.random((50, 50)))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-200])
    assert len(read(whole)) == 50
    with pytest.raises(DataError, match="not a readable"):
        read(str(tmp_path / "cut.npz"))


class Malice:
    ran = False

    def __reduce__(self):
        return (setattr, (Malice, "ran", True))


def test_objects_are_never_unpickled(tmp_path):
    objects = np.array([Malice()], dtype=object)
    spec = zipped(tmp_path / "d.npz", x=npy(objects, pickled=True))
    with pytest.raises(DataError, match="never unpickled"):
        read(spec)
    assert not Malice.ran
    pickle.loads(pickle.dumps(Malice()))
    assert Malice.ran  # it would have run


def test_a_zip_that_claims_to_be_huge_is_refused_before_reading(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w", force_zip64=True) as member:
        for _ in range(64):
            member.write(bytes(2**20))
    assert path.stat().st_size < 2**17
    with pytest.raises(DataError, match=r"claims to unpack to 0\.1 GiB \(x.npy: 67,108,864 bytes\)"):
        read_archive(path, limit=2**20)


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_a_header_that_promises_more_than_is_there_is_refused_before_allocating(tmp_path, version):
    header = io.BytesIO()
    write = np.lib.format.write_array_header_1_0 if version == (1, 0) else np.lib.format.write_array_header_2_0
    write(header, {"descr": "<f8", "fortran_order": False, "shape": (10**7, 10**7)})
    with pytest.raises(DataError, match="promises 800,000,000,000,000 bytes, the file holds 16"):
        read(zipped(tmp_path / "d.npz", x=header.getvalue() + bytes(16)))


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_flipped_byte_is_refused_or_harmless(tmp_path_factory, place, flip):
    """Whatever byte is damaged: a DataError, or the values that were stored (a byte of padding or of a date)."""
    folder = tmp_path_factory.mktemp("flip")
    x = np.arange(6.0)
    raw = bytearray((folder / "d.npz").read_bytes()) if save(folder / "d.npz", x=x) else bytearray()
    raw[place % len(raw)] ^= flip
    (folder / "e.npz").write_bytes(bytes(raw))
    try:
        samples = read(str(folder / "e.npz"))
    except DataError:
        return
    assert np.array_equal(samples.inputs[SOLE], x)


# ------------------------------------------------------------------------------------------------------- a user's own file

FACTORIES = """
import dataclasses
import numpy as np
from neighbour import LABELS

X = np.arange(12.0).reshape(4, 3)

@dataclasses.dataclass
class Set:
    n: int = 4
    def __len__(self): return self.n
    def __getitem__(self, i): return X[i], LABELS[i]

def pair(): return X, LABELS
def unlabelled(): return X
def half(): return X, None
def items(): return Set()
def stream(): return iter([(X[i], LABELS[i]) for i in range(4)])
def bare(): return [X[0], X[1]]
def ragged(): return [(np.zeros(2), 0), (np.zeros(3), 1)]
def nothing(): return []
def number(): return 7
def triples(): return [(X[0], 1, 2)]
def fails(): return 1 / 0
def refuses():
    from snndeploy.errors import DataError
    raise DataError("mine", "says so")
def samples():
    from snndeploy.data import Samples
    return Samples({"a": X})
ready = (X, LABELS)
class Loader:
    dataset = Set(); batch_size = 3
    def __iter__(self):
        yield X[:3], LABELS[:3]
        yield X[3:], LABELS[3:]
class Short(Loader):
    def __iter__(self): yield X, LABELS[:2]
class Bare(Loader):
    def __iter__(self): yield X
"""


@pytest.fixture
def user_file(tmp_path):
    (tmp_path / "neighbour.py").write_text("LABELS = [0, 1, 2, 1]\n")
    (tmp_path / "mine.py").write_text(FACTORIES)
    return tmp_path / "mine.py"


@pytest.mark.parametrize("name", ["pair", "items", "stream", "ready", "Loader", "Set"])
def test_a_factory_may_give_arrays_a_dataset_or_a_loader(user_file, name):
    samples = read(f"{user_file}:{name}")
    assert np.array_equal(samples.inputs[SOLE], np.arange(12.0).reshape(4, 3))
    assert samples.labels is not None
    assert samples.labels.tolist() == [0, 1, 2, 1]
    assert len(read(f"{user_file}:{name}", limit=3)) == 3


@pytest.mark.parametrize(("name", "count"), [("unlabelled", 4), ("half", 4), ("bare", 2), ("Bare", 4)])
def test_a_factory_need_not_label(user_file, name, count):
    samples = read(f"{user_file}:{name}")
    assert samples.labels is None
    assert len(samples) == count


def test_a_factory_may_give_samples(user_file):
    assert list(read(f"{user_file}:samples").inputs) == ["a"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ragged", r"differ in shape: \[2\] and \[3\]"),
        ("nothing", "gave no samples"),
        ("number", "gave int"),
        ("triples", r"an item is tuple of 3, not \(x, y\)"),
        ("fails", r"failed at line 24: ZeroDivisionError"),
        ("refuses", "mine: says so"),
        ("Short", "4 samples and 2 labels"),
        ("pairs", "did you mean pair"),
    ],
)
def test_a_factory_that_fails_says_where(user_file, name, words):
    with pytest.raises(DataError, match=words):
        read(f"{user_file}:{name}")


def test_a_factory_file_that_is_not_there_or_unnamed(tmp_path, user_file):
    with pytest.raises(DataError, match="no file"):
        read(f"{tmp_path / 'other.py'}:make")
    with pytest.raises(DataError, match="no factory in it"):
        read(str(user_file))
    (tmp_path / "broken.py").write_text("def (:\n")
    with pytest.raises(DataError, match=r"fails at broken\.py:1: SyntaxError"):
        read(f"{tmp_path / 'broken.py'}:make")
    with pytest.raises(OptionError, match="holds no event recordings"):
        read(f"{user_file}:pair", binning=Binning(frames=2))


def test_a_torch_dataset_and_loader(tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "sets.py"
    path.write_text(
        "import torch\nfrom torch.utils.data import DataLoader, TensorDataset\n"
        "def items(): return TensorDataset(torch.arange(12.).reshape(4, 3).requires_grad_(), torch.tensor([0, 1, 2, 1]))\n"
        "def loader(): return DataLoader(items(), batch_size=3)\n"
        "def singles(): return DataLoader(items(), batch_size=None)\n"
        "def tensors(): return items().tensors\n"
    )
    for name in ("items", "loader", "singles", "tensors"):
        samples = read(f"{path}:{name}")
        assert np.array_equal(samples.inputs[SOLE], np.arange(12.0).reshape(4, 3))
        assert samples.labels is not None
        assert samples.labels.tolist() == [0, 1, 2, 1]
