"""What every test may ask for: the shared data folder, and hypothesis without chance in CI."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest
from originals import netx_benchmark

from snndeploy.sim.lava import lava_python

SHARED = Path(__file__).resolve().parents[2] / "shared"
REQUIRED = os.environ.get("SNNDEPLOY_REQUIRE_SHARED") == "1"

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")

_used_shared: set[str] = set()


@pytest.fixture
def shared(record_property: pytest.RecordProperty) -> Path:
    """The folder ``../shared`` of recorded data and foreign models; the test is skipped where it is absent."""
    record_property("shared", "used")
    if not SHARED.is_dir():
        if REQUIRED:
            pytest.fail("SNNDEPLOY_REQUIRE_SHARED=1, but ../shared is absent")
        pytest.skip("needs ../shared, which is absent")
    return SHARED


@pytest.fixture(scope="module")
def netx() -> ModuleType:
    """The benchmark that writes networks and has netx run them; needs lava-dl beside Lava."""
    found, required = lava_python(), os.environ.get("SNNDEPLOY_REQUIRE_LAVA") == "1"
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('lava.lib.dl') is None)"
    if found is None or subprocess.run([found, "-c", code], capture_output=True, check=False, timeout=120).returncode:
        (pytest.fail if required else pytest.skip)("needs Lava and lava-dl in its environment (docs/export.md)")
    return netx_benchmark()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests run lines that others measure, on more models: coverage would make them half as slow again."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.no_cover)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count, also across worker processes, the tests that used the shared data and were not skipped."""
    if report.when == "call" and not report.skipped and ("shared", "used") in report.user_properties:
        _used_shared.add(report.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests ran on the shared data."""
    terminalreporter.write_line(f"{len(_used_shared)} tests ran on ../shared")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a whole run that never met the shared data is a failure."""
    whole = not session.config.option.file_or_dir and not hasattr(session.config, "workerinput")
    if REQUIRED and whole and not _used_shared and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
