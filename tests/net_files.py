"""Small .net files, layer by layer: what lava-dl's writers leave in HDF5."""

from __future__ import annotations

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

CUBA = {"neuron/type": "CUBA", "neuron/iDecay": 1024, "neuron/vDecay": 128, "neuron/vThMant": 80}
LOIHI = CUBA | {"neuron/type": "LOIHI"}
SIGMA = {"neuron/type": "SDNN", "neuron/vThMant": 0, "neuron/sigma_output": True}
SDNN = {"neuron/type": "SDNN", "neuron/vThMant": 3, "neuron/activation": "relu"}
RF = {"neuron/type": "RF_PHASE", "neuron/sinDecay": 1700, "neuron/cosDecay": 3400, "neuron/vThMant": 20}


def net(path, layers, steps=0):
    """A .net file of these layers' datasets."""
    with h5py.File(path, "w") as handle:
        handle.create_group("layer")
        for index, layer in enumerate(layers):
            for key, value in layer.items():
                handle[f"layer/{index}/{key}"] = value.encode() if isinstance(value, str) else value
        if steps:
            handle["simulation/tSample"] = steps
    return path


def dense(weights, neuron=CUBA, **more):
    return {"type": "dense", "shape": [len(weights)], "weight": np.asarray(weights, np.float32), **neuron, **more}


def conv(weights, shape, neuron=CUBA, **more):
    plain = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}
    return {"type": "conv", "shape": shape, "weight": np.asarray(weights, np.float32), **plain, **neuron, **more}
