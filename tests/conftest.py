"""What holds for every test."""

import os
from collections.abc import Generator

import pytest

NOT_INSTALLABLE = ("needs Docker",)
"""How the reasons of those skips begin that no installation cures; all others are faults where CI is set."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where CI is set, everything was installed: a skipped test is one that nobody would ever run."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if not reason.startswith(NOT_INSTALLABLE):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped, but CI installs what it needs: {reason}"
    return report
