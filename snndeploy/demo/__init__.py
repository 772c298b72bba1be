"""The network that ships with the package: burst neurons, 8x8 handwriting, the script that trained it.

Importing this loads no torch; ``snndeploy.demo.network`` does. Files: ``README.md`` says where the data come from
and under which licence, ``train.py`` writes the others.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
ARCH = "snndeploy.demo.network:digits"
"""The factory of the network, as ``--arch`` takes it."""
WEIGHTS = FOLDER / "digits.pt"
"""Trained state dict, hard reset."""
WEIGHTS_SOFT = FOLDER / "digits_soft.pt"
"""Trained state dict, subtracting reset: for ``digits(reset="subtract")``."""
TEST = FOLDER / "digits.npz"
"""360 held-back digits: ``x`` [360, 1, 8, 8] float32 in sixteenths, ``y`` [360]."""
CALIBRATION = FOLDER / "digits_calibration.npz"
"""256 digits of the training part, same arrays."""
