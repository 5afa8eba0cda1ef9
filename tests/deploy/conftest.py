"""Programs that check what is deployed; each test says what it needs."""

import os
import shutil
from collections.abc import Callable

import pytest

from tests.support import helm
from tests.support.sources import ROOT


def needed(program: str | os.PathLike[str] | None, advice: str) -> str:
    """Give a program; skip where it is missing, unless this is CI, which installs it."""
    if program is not None:
        return str(program)
    if os.environ.get("CI"):
        pytest.fail(advice)
    pytest.skip(advice)


@pytest.fixture(scope="session")
def helm_program() -> str:
    return needed(helm.find(), "needs helm: install it, or Go, then CI=1 make test-tools (builds for some minutes)")


@pytest.fixture(scope="session")
def lint_program() -> Callable[[str], str]:
    """Give a program of those that `make lint-files` installs."""

    def find(name: str) -> str:
        return needed(shutil.which(name, path=ROOT / ".tools" / "lint" / "bin"), f"needs {name}: make lint-files")

    return find
