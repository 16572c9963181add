"""What holds for every test."""

import os
import time
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# A server's own time zone must not matter: the tests, and what they start, run in one that is not
# UTC.
os.environ["TZ"] = "America/Lima"
time.tzset()

# A busy machine is no failure.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI everything is there that a test could need, so that a skipped test has failed."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and "GPU" not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
