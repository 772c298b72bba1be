"""lava-dl's .net files: Intel's ground truths bit for bit, the same integers out again, and files that are broken."""

from __future__ import annotations

import numpy as np
import pytest

import converters
from converters import Options
from snndeploy.sim.chip import run_chip

h5py = pytest.importorskip("h5py")


def unpacked(arrays, name, shape):
    """A packed spike train of Intel's, (X, Y, C, T) -> [T, C, Y, X]."""
    size = int(np.prod(arrays[shape]))
    return np.unpackbits(arrays[name])[:size].reshape(arrays[shape]).transpose(3, 2, 1, 0)


def ours(trace, name):
    """What the only sample's population sent: [T, *shape]."""
    return trace.outputs[name][:, 0]


def test_pilotnet_lif_equals_intels_recording(shared):
    """Spikes of nine layers, u and v of seven, every step: resets at step l and l + 17, as the recording was made."""
    folder = shared / "models" / "netx_pilotnet_lif"
    given, expected = np.load(folder / "input.npz"), np.load(folder / "expected.npz")
    network = converters.load(folder / "network.net", Options(timesteps=17))
    image = given["image"].transpose(2, 1, 0).astype(np.int64) - 36  # the layer's own bias, which the recording's image holds
    trace = run_chip(network, {"input": np.broadcast_to(image, (24, 1, *image.shape))}, steps=24, states=True)
    different = np.count_nonzero(ours(trace, "input0") != unpacked(given, "input_spikes", "input_shape"))
    for k in range(5):
        different += np.count_nonzero(ours(trace, f"conv{k + 1}") != unpacked(expected, f"conv{k}_s", f"conv{k}_shape"))
    for k in range(3):
        different += np.count_nonzero(ours(trace, f"dense{k + 7}") != expected[f"fc{k}_s"].T)
    names = {"conv1": "conv2", "conv2": "conv3", "conv3": "conv4", "conv4": "conv5", "fc0": "dense7", "fc1": "dense8", "fc2": "dense9"}
    for theirs, name in names.items():
        fired = ours(trace, name)
        for word in ("u", "v"):
            key = f"{theirs}_{word}" if f"{theirs}_{word}" in expected else f"{theirs}_{word}_first6"
            recorded = expected[key].transpose()
            state = trace.states[f"{name}.{word}"][:, 0]
            state = np.where(fired, 128, state) if word == "v" else state  # the recording shows 128 on the step of a spike
            different += np.count_nonzero(state[: len(recorded)] != recorded)
    assert different == 0


def test_tinynet_equals_intels_recording(shared):
    """Without latency between the layers: each layer is compared at its own shift, where its reset started it afresh."""
    folder = shared / "models" / "netx_tinynet"
    given, expected = np.load(folder / "input.npz"), np.load(folder / "expected.npz")
    network = converters.load(folder / "tiny.net", Options(timesteps=15))
    image = given["input_bias"].transpose(2, 1, 0).astype(np.int64) - 34
    trace = run_chip(network, {"input": np.broadcast_to(image, (15, 1, *image.shape))})
    recorded = {"input0": given["input_spikes"], "conv1": expected["layer1"], "conv2": expected["output"]}
    for name, spikes in recorded.items():
        shift = network.populations[name].shift
        np.testing.assert_array_equal(ours(trace, name)[shift : shift + 15], spikes[0].transpose(3, 0, 1, 2)[1:])


def test_pilotnet_sdnn_equals_intels_recording(shared):
    folder = shared / "models" / "netx_pilotnet_sdnn"
    frame = np.load(folder / "input.npz")["input"][..., 0].transpose(2, 1, 0)
    network = converters.load(folder / "network.net")
    trace = run_chip(network, {"input": np.broadcast_to(frame, (9, 1, *frame.shape))}, steps=9)
    np.testing.assert_array_equal(ours(trace, "dense9").T, np.load(folder / "expected.npz")["output"])
