"""newman, which runs Postman collections."""

import shutil
import subprocess
from pathlib import Path

from tests.support.sources import ROOT

FOLDER = ROOT / "tests" / "support" / "newman"
_COMMAND = FOLDER / "node_modules" / ".bin" / "newman"
MISSING = "needs Node.js 20+ and npm: make test-tools"


def is_there() -> bool:
    return shutil.which("node") is not None and _COMMAND.exists()


def fetch() -> None:
    command = ["npm", "--prefix", str(FOLDER), "ci", "--ignore-scripts", "--no-progress", "--loglevel", "error"]
    subprocess.run(command, check=True)


def run(collection: Path, environment: Path, **variables: str) -> tuple[int, str]:
    """Run every request of a collection; gives the exit code and the report."""
    chosen = [word for name, value in variables.items() for word in ("--env-var", f"{name}={value}")]
    command = [str(_COMMAND), "run", str(collection), "-e", str(environment), *chosen]
    command += ["--working-dir", str(collection.parent), "--color", "off", "--timeout-request", "20000"]
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr
