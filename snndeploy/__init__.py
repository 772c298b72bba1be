"""snndeploy: trained spiking networks to neuromorphic chips, with evidence of what was kept.

>>> import snndeploy as sd
>>> deployment = sd.convert("model.pt", "samples.npz", chip="loihi2")  # doctest: +SKIP
>>> print(sd.to_text(sd.report(deployment)))  # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

from snndeploy.data import Samples
from snndeploy.deploy import check, convert, export, load, report, run, save, save_graph, show, transfer, verify
from snndeploy.errors import SnnError
from snndeploy.flow.certifying import Certified, certify
from snndeploy.flow.deployment import Deployment, Wishes
from snndeploy.flow.proving import prove_file as prove
from snndeploy.flow.rechecking import recheck
from snndeploy.flow.transferring import Transfer
from snndeploy.hw import load_profile, profile_names
from snndeploy.report.as_json import to_json
from snndeploy.report.as_text import to_text

if TYPE_CHECKING:
    from converters import Options

__all__ = [
    "Certified",
    "Deployment",
    "Options",
    "Samples",
    "SnnError",
    "Transfer",
    "Wishes",
    "certify",
    "check",
    "convert",
    "export",
    "load",
    "load_profile",
    "profile_names",
    "prove",
    "recheck",
    "report",
    "run",
    "save",
    "save_graph",
    "show",
    "to_json",
    "to_text",
    "transfer",
    "verify",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """``Options`` is the converters' own noun; it is looked up late, so that either package may be imported first."""
    if name == "Options":
        from converters import Options  # noqa: PLC0415 - converters imports nouns of this package

        return Options
    raise AttributeError(name)
