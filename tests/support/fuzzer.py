"""Schemathesis, which asks a server what its OpenAPI document allows, and more: in an environment of its own."""

import subprocess
import sys
from pathlib import Path

from tests.support.sources import ROOT

_FOLDER = ROOT / ".tools" / "fuzz"
_LOCK = ROOT / ".ci" / "fuzz-tools.txt"
_STAMP = _FOLDER / ".lock"
COMMAND = _FOLDER / "bin" / "st"
MISSING = "needs schemathesis: make test-tools"


def is_there() -> bool:
    return COMMAND.exists() and _STAMP.exists() and _STAMP.read_bytes() == _LOCK.read_bytes()


def fetch() -> None:
    subprocess.run([sys.executable, "-m", "venv", str(_FOLDER)], check=True)
    pip = [str(_FOLDER / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(_LOCK)], check=True)
    _STAMP.write_bytes(_LOCK.read_bytes())


def run(url: str, *, authorization: str, folder: Path, options: tuple[str, ...] = ()) -> tuple[int, str]:
    """Ask a server everything but its endless stream; gives the exit code and what was found."""
    command = [
        *(str(COMMAND), "run", f"{url}/openapi.json", "-H", f"Authorization: {authorization}"),
        *("--exclude-path", "/api/v1/events", "--seed", "1"),
        "--checks",
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        *options,
    ]
    done = subprocess.run(command, check=False, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr
