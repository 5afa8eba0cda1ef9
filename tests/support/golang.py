"""Programs in Go that tests use, built into `.tools/bin`."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.sources import ROOT

TOOLS = ROOT / ".tools" / "bin"


def build(*arguments: str | Path, cwd: Path | None = None) -> None:
    """Run go, which keeps what it built before if that fails, with `TOOLS` as the place for what it installs."""
    go = shutil.which("go")
    if go is None:
        raise FileNotFoundError("needs go")
    TOOLS.mkdir(parents=True, exist_ok=True)
    subprocess.run([go, *arguments], cwd=cwd, env={**os.environ, "GOBIN": str(TOOLS)}, check=True)
