"""actionlint, which reads GitHub's workflows: `make test-tools` builds it into `.tools/bin`."""

import os
import shutil
import subprocess

from tests.support.sources import ROOT

MODULE = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
PROGRAM = ROOT / ".tools" / "bin" / "actionlint"


def is_there() -> bool:
    return PROGRAM.is_file()


def build() -> None:
    """Build it; Go keeps the old one if that fails."""
    go = shutil.which("go")
    if go is None:
        raise FileNotFoundError("needs go")
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([go, "install", MODULE], env={**os.environ, "GOBIN": str(PROGRAM.parent)}, check=True)
