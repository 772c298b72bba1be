"""Runs held against runs: exact equality, bounded float rounding, and fidelity, never mixed."""

from snndeploy.verify.comparison import compare, compare_float
from snndeploy.verify.margins import Margins, rounding_margins
from snndeploy.verify.nearness import fidelity

__all__ = ["Margins", "compare", "compare_float", "fidelity", "rounding_margins"]
