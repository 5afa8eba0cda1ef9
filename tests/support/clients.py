"""Clients of others, as a user would start them: tus-js-client, Uppy in Chromium, tuspy and curl; npm's of GraphQL."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "clients"
_LOCK, _STAMP = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".stamp"

SCRIPT_SECONDS_MAX = 60


def are_there() -> bool:
    """Tell whether the packages that the lock file names are installed."""
    return _STAMP.exists() and _STAMP.read_bytes() == _LOCK.read_bytes()


def fetch() -> None:
    """Get the packages of npm, all of them or none."""
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("needs npm")
    command = [npm, "--prefix", FOLDER, "ci", "--ignore-scripts", "--no-progress", "--loglevel", "error"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    shutil.copyfile(_LOCK, _STAMP)


def find_chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def node_problem() -> str | None:
    """Say what is missing to run what comes from npm, if anything is."""
    return (
        None if shutil.which("node") and are_there() else "needs npm's clients: install Node.js, then make test-tools"
    )


def _uppy_problem() -> str | None:
    return node_problem() or (None if find_chromium() else "needs Chromium: apt-get install chromium")


def _curl_problem() -> str | None:
    return None if shutil.which("curl") else "needs curl: apt-get install curl"


CLIENTS: dict[str, tuple[list[str], Callable[[], str | None]]] = {
    "tus-js-client": (["node", str(FOLDER / "tus-js.mjs")], node_problem),
    "uppy": (["node", str(FOLDER / "uppy.mjs")], _uppy_problem),
    "tuspy": ([sys.executable, str(FOLDER / "tuspy.py")], lambda: None),
    "curl": ([str(FOLDER / "curl.sh")], _curl_problem),
}


def problem_of(client: str) -> str | None:
    """Say what is missing to run a client, if anything is."""
    return CLIENTS[client][1]()


def start(client: str, endpoint: str, token: str, file: Path, *, log: Path) -> "subprocess.Popen[str]":
    """Let a client upload a file; it prints the upload's address and exits with 0 when the server has everything."""
    command, _ = CLIENTS[client]
    with log.open("ab") as errors:
        return subprocess.Popen(
            [*command, endpoint, token, str(file)],
            env=_environ() | {"CHROMIUM": find_chromium() or ""},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def run_script(script: str | Path, *arguments: str) -> Any:
    """Let a script of Node.js run to its end; gives the JSON that it printed."""
    command = ["node", str(FOLDER / script), *arguments]
    seconds = SCRIPT_SECONDS_MAX
    done = subprocess.run(command, check=False, env=_environ(), capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def _environ() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
