"""What holds for every test."""

import os
from collections.abc import Generator

import pytest

NOT_INSTALLABLE = ("needs Docker", "needs terraform", "needs an image")
"""How the reasons of those skips begin that no installation cures; all others are faults where CI is set."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where CI is set, everything was installed: a skipped test is one that nobody would ever run."""
    report = yield
    if not hasattr(report, "wasxfail"):
        refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips as a whole."""
    report = yield
    refuse_skip(report)
    return report


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Make a failure of a skip where CI is set, unless nothing could be installed against it."""
    if not os.environ.get("CI") or not report.skipped:
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if not reason.startswith(NOT_INSTALLABLE):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, but CI installs what it needs: {reason}"
