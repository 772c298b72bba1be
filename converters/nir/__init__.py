"""NIR in and out: the Neuromorphic Intermediate Representation, HDF5 files ending in .nir (nir 1.0.8 and older).

NIR is continuous in time. The step, the comparison and the reset that were trained are not in the file; ``readings``
recognizes the exporter by its numbers, and asks where that leaves more than one meaning. Files are read and written
with h5py alone; the nir package is not needed.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from converters import Loaded, Options
from snndeploy.chip.network import ChipNetwork
from snndeploy.errors import MissingPackage, ModelError
from snndeploy.ir.graph import Graph

SUFFIXES = (".nir",)


def load(path: Path, options: Options | None = None) -> Loaded:
    """The network of a .nir file.

    Raises:
        ModelError: not a NIR file, broken, or with several meanings: they are listed with the options that choose one.
        OptionError: an option that does not fit.
        MissingPackage: h5py is not installed.
    """
    (options or Options()).only("a NIR file", "input_shape", "dt", "reset", "source")
    file = _part("hdf5").read(Path(path))
    flat = _part("flatten").flatten(file.top, str(path))
    loaded: Loaded = _part("building").build(flat, options or Options(), str(path), file)
    return loaded


def save(noun: Graph | ChipNetwork, path: str | Path, lossy: bool = False) -> tuple[str, ...]:
    """Write a graph as NIR, which nir 1.0.8 reads; returns what was lost, () if nothing.

    ``lossy`` writes what NIR cannot say as the nearest that it can, and lists it. An older file stays untouched
    unless the new one is complete.

    Raises:
        ModelError: a chip network, or the file cannot be written.
        Unsupported: NIR cannot say it, and ``lossy`` is False, or nothing near it exists.
        MissingPackage: h5py is not installed.
    """
    if not isinstance(noun, Graph):
        raise ModelError(str(path), "NIR holds float graphs, not chip networks", "export the .graph.onnx file")
    lost: tuple[str, ...] = _part("writing").write(noun, Path(path), lossy)
    return lost


def _part(name: str) -> Any:
    """A module of this package that needs h5py. Raises ``MissingPackage`` where it is not installed."""
    if importlib.util.find_spec("h5py") is None:
        raise MissingPackage("converters.nir", "h5py", "nir")
    return importlib.import_module(f"{__name__}.{name}")
