"""What the host injects of a user's data, as a file for another tool's run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snndeploy.chip.network import ChipNetwork
from snndeploy.data import Encoding, Samples
from snndeploy.flow.saved import fed
from snndeploy.sim.host import inject


def write_inputs(network: ChipNetwork, samples: Samples, encoding: Encoding, seed: int, folder: Path) -> Path:
    """What the host injects of the data, in the folder that ``save`` wrote, as its script reads it; the file's path.

    Raises:
        DataError: data that do not fit, or that the network was not converted for.
    """
    ready, data = fed(network, samples, encoding, seed)
    path = folder / "inputs.npz"
    np.savez_compressed(path, **inject(ready, data.inputs))  # type: ignore[arg-type]  # NumPy's stub takes the keywords for options
    return path
