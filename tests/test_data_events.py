"""Event recordings: every event lands in its bin, and none is lost unsaid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snndeploy.data import events as events_module
from snndeploy.data import fit, read
from snndeploy.data.events import Binning, Recordings, bin_events, recordings
from snndeploy.errors import DataError, OptionError

SOLE = ""


def file_of(path, **changes):
    """Two recordings: three events, then two."""
    arrays = {
        "x": np.array([0, 1, 2, 0, 2], np.uint8),
        "y": np.array([0, 0, 1, 1, 1], np.uint8),
        "p": np.array([0, 1, 1, 0, 0], np.uint8),
        "t": np.array([0, 10, 25, 5, 40], np.uint32),
        "offset": np.array([0, 3, 5]),
        "label": np.array([7, 8], np.uint8),
        **changes,
    }
    np.savez(path, **{name: values for name, values in arrays.items() if values is not None})
    return str(path)


def test_bins_of_fixed_length(tmp_path):
    samples = read(file_of(tmp_path / "e.npz"), binning=Binning(bin_us=20))
    x = samples.inputs[SOLE]
    assert x.shape == (2, 3, 2, 2, 3)  # the longest recording needs 3 bins; the smallest sensor is 2 x 3
    assert {tuple(place) for place in np.argwhere(x)} == {
        (0, 0, 0, 0, 0),
        (0, 0, 1, 0, 1),
        (0, 1, 1, 1, 2),
        (1, 0, 0, 1, 0),
        (1, 2, 0, 1, 2),
    }
    assert samples.labels is not None
    assert samples.labels.tolist() == [7, 8]
    assert samples.notes == ()
    assert fit(samples, {"in": (2, 2, 3)}).steps == 3


def test_timesteps_pad_with_silence_or_leave_out_and_say_so(tmp_path):
    spec = file_of(tmp_path / "e.npz")
    long = read(spec, binning=Binning(bin_us=20, timesteps=5), sensor=(4, 4))
    assert long.inputs[SOLE].shape == (2, 5, 2, 4, 4)
    assert (long.inputs[SOLE].sum(), long.notes) == (5, ())
    short = read(spec, binning=Binning(bin_us=20, timesteps=1))
    assert short.inputs[SOLE].sum() == 3
    assert short.notes == ("2 of 5 events lie after step 1 and are left out",)


def test_limit_reads_the_first_recordings(tmp_path):
    samples = read(file_of(tmp_path / "e.npz"), binning=Binning(bin_us=20), limit=1, sensor=(2, 3))
    assert samples.inputs[SOLE].shape == (1, 2, 2, 2, 3)
    assert samples.labels is not None
    assert samples.labels.tolist() == [7]
    assert read(file_of(tmp_path / "u.npz", label=None), binning=Binning(bin_us=20)).labels is None


def test_microseconds_may_be_named_so(tmp_path):
    named = read(file_of(tmp_path / "e.npz", t=None, t_us=np.array([0, 10, 25, 5, 40])), binning=Binning(bin_us=20))
    assert np.array_equal(named.inputs[SOLE], read(file_of(tmp_path / "f.npz"), binning=Binning(bin_us=20)).inputs[SOLE])


def one_recording(times):
    n = len(times)
    zeros = np.zeros(n, np.int64)
    return Recordings(zeros, zeros, zeros, np.array(times, np.int64), np.array([0, n]), "test")


def spikingjelly_segments(times, frames, split_by):
    """``cal_fixed_frames_number_segment_index`` as published: the number of events in each frame."""
    n = len(times)
    if split_by == "number":
        size = n // frames
        left = [i * size for i in range(frames)]
        right = [start + size for start in left]
    else:
        step = (times[-1] - times[0]) // frames
        inside = [[i for i in range(n) if times[0] + step * k <= times[i] < times[0] + step * (k + 1)] for k in range(frames)]
        left = [members[0] if members else 0 for members in inside]
        right = [members[-1] + 1 if members else 0 for members in inside]
        if not inside[-1]:
            left[-1] = max(right)
    right[-1] = n
    return [stop - start for start, stop in zip(left, right, strict=True)]


@given(st.lists(st.integers(0, 500), min_size=1, max_size=40), st.integers(1, 6), st.sampled_from(["number", "time"]))
def test_frames_are_spikingjellys(times, frames, split_by):
    times = sorted(times)
    counts, lost = bin_events(one_recording(times), Binning(frames=frames, split_by=split_by))
    assert counts[0, :, 0, 0, 0].tolist() == spikingjelly_segments(times, frames, split_by)
    assert lost == 0


@given(st.lists(st.integers(0, 500), max_size=40), st.integers(1, 200))
def test_fixed_bins_hold_every_event(times, bin_us):
    times = sorted(times)
    counts, _ = bin_events(one_recording(times), Binning(bin_us=bin_us))
    expected = np.histogram(times, bins=np.arange(counts.shape[1] + 1) * bin_us)[0] if times else [0]
    assert counts.reshape(-1, 2)[:, 0].tolist()[: len(expected)] == list(expected)
    assert counts.sum() == len(times)


def test_a_silent_recording_is_silent():
    counts, _ = bin_events(one_recording([]), Binning(frames=3))
    assert counts.shape == (1, 3, 2, 1, 1)
    assert not counts.any()


def test_more_than_255_events_in_a_bin_are_counted():
    counts, _ = bin_events(one_recording([0] * 300), Binning(bin_us=1))
    assert counts[0, 0, 0, 0, 0] == 300


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"p": None}, "without p"),
        ({"t": None}, "without t"),
        ({"p": np.array([0, 1, 2, 0, 0])}, r"polarities are \[0, 1, 2\]"),
        ({"p": np.array([0, 1, -1, 0, 0])}, "negative"),
        ({"x": np.zeros(5)}, "float64"),
        ({"x": np.zeros(4, int)}, "different lengths"),
        ({"t": np.array([0, 30, 25, 5, 40])}, "backwards in recording 0"),
        ({"t": np.array([0, 10, 25, 40, 5])}, "backwards in recording 1"),
        ({"offset": np.array([0, 3])}, "does not run from 0 to 5"),
        ({"offset": np.array([0, 4, 3, 5])}, "without falling"),
        ({"offset": np.array([], int)}, "does not run"),
        ({"offset": np.zeros((2, 2), int)}, "not a list"),
        ({"label": np.arange(3)}, "3 labels for 2 samples"),
    ],
)
def test_contradictions_are_refused(tmp_path, changes, words):
    with pytest.raises(DataError, match=words):
        read(file_of(tmp_path / "e.npz", **changes), binning=Binning(bin_us=20))


def test_options_of_binning(tmp_path):
    spec = file_of(tmp_path / "e.npz")
    with pytest.raises(OptionError, match="must be binned"):
        read(spec)
    with pytest.raises(DataError, match="event 2 at x=2, y=1 lies outside 2 rows x 2 columns"):
        read(spec, binning=Binning(bin_us=20), sensor=(2, 2))
    for wrong, words in (
        ({}, "either"),
        ({"bin_us": 1, "frames": 1}, "either"),
        ({"bin_us": 0}, "--bin-us: 0"),
        ({"frames": 2, "split_by": "x"}, "neither"),
    ):
        with pytest.raises(OptionError, match=words):
            Binning(**wrong)
    np.savez(tmp_path / "plain.npz", x=np.zeros((2, 2)))
    with pytest.raises(OptionError, match="holds no event recordings"):
        read(str(tmp_path / "plain.npz"), binning=Binning(frames=2))


def test_frames_that_would_not_fit_in_memory_are_refused(monkeypatch):
    with pytest.raises(DataError, match=r"it takes \d+\.\d GiB"):
        bin_events(one_recording([10**12]), Binning(bin_us=1))
    monkeypatch.setattr(events_module, "LIMIT", 1)
    with pytest.raises(DataError, match="takes"):
        bin_events(one_recording([0]), Binning(bin_us=1))


def test_real_recordings_are_binned_as_the_published_network_saw_them(shared):
    """N-MNIST at 1 ms, 310 steps: the input that the NIR paper's network was run on, event for event."""
    with np.load(shared / "data" / "nmnist_1100.npz") as data:
        arrays = {name: data[name] for name in ("x", "y", "p", "t_us", "offset", "id")}
    with np.load(shared / "models" / "nir_cnn_nmnist" / "input.npz") as given_input:
        expected, wanted = given_input["x"], given_input["idx"]
    places = [int(np.flatnonzero(arrays["id"] == i)[0]) for i in wanted[:20]]
    for row, n in enumerate(places):
        start, stop = arrays["offset"][n], arrays["offset"][n + 1]
        one = {name: arrays[name][start:stop] for name in ("x", "y", "p", "t_us")}
        events = recordings({**one, "offset": np.array([0, stop - start])}, "nmnist")
        frames, _ = bin_events(events, Binning(bin_us=1000, timesteps=310), (34, 34))
        assert np.array_equal(frames[0], expected[row])
