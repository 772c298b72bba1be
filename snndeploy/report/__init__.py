"""What was found, for people and for programs: text, JSON, and one self-contained HTML page."""

from snndeploy.report.as_html import to_html
from snndeploy.report.as_json import to_json
from snndeploy.report.as_text import to_text
from snndeploy.report.certificates import recheck_to_json, recheck_to_text
from snndeploy.report.report import BurstRow, FactRow, LayerRow, Mesh, PassRow, QuantRow, Report
from snndeploy.report.results import check_to_json, check_to_text, run_to_json, run_to_text, verify_to_json, verify_to_text

__all__ = [
    "BurstRow",
    "FactRow",
    "LayerRow",
    "Mesh",
    "PassRow",
    "QuantRow",
    "Report",
    "check_to_json",
    "check_to_text",
    "recheck_to_json",
    "recheck_to_text",
    "run_to_json",
    "run_to_text",
    "to_html",
    "to_json",
    "to_text",
    "verify_to_json",
    "verify_to_text",
]
