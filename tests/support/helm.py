"""Helm for tests: `make test-tools` builds it into `.tools/bin`; it renders the chart, no cluster is asked."""

import shutil
from pathlib import Path

from tests.support import golang
from tests.support.sources import ROOT

MODULE = "helm.sh/helm/v3/cmd/helm@v3.22.0"
TOOLS = golang.TOOLS
CHART = ROOT / "deploy" / "helm" / "lighterage"
KUBERNETES = "1.34.0"  # built from source, Helm takes itself for one of 1.20


def find() -> Path | None:
    """Give the program, if it is there."""
    found = shutil.which("helm", path=TOOLS) or shutil.which("helm")
    return Path(found) if found else None


def build() -> None:
    """Build it: some minutes, once."""
    golang.build("install", MODULE)
