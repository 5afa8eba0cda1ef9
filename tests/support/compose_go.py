"""compose-go, which reads compose files as `docker compose` does: `make test-tools` builds it into `.tools/bin`."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.sources import ROOT

PROGRAM = ROOT / ".tools" / "bin" / "compose-check"
_SOURCE = Path(__file__).parent / "compose"


def is_there() -> bool:
    return PROGRAM.is_file()


def build() -> None:
    """Build it; Go keeps the old one if that fails."""
    go = shutil.which("go")
    if go is None:
        raise FileNotFoundError("needs go")
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([go, "build", "-o", PROGRAM, "."], cwd=_SOURCE, env={**os.environ}, check=True)
