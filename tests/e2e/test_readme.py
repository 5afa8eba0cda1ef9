"""The README's own path, by copy and paste: its blocks are run one after the other against what `make run` starts."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.product_server import ServerProcess
from tests.support.sources import ROOT

pytestmark = pytest.mark.slow

README_URL = "http://127.0.0.1:8000"
MAKE_SECONDS = 300  # the first `make run` on a machine installs and builds

BLOCK = re.compile(r"^```sh(?: (\w+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """Give the README's shell blocks: what is special about each, and its text."""
    return [(match[1] or "", match[2]) for match in BLOCK.finditer((ROOT / "README.md").read_text())]


def test_blocks_are_known():
    """`make run` and `make test` stand in blocks of their own; every other one belongs to the path."""
    assert [kind for kind, _ in blocks()] == ["run", "", "", "watch", "", "", "", "", "test"]


@pytest.mark.timeout(MAKE_SECONDS + 120)
def test_five_minutes_R002_17_R002_22_R002_23_R002_42_R003_17(tmp_path):
    """A newcomer who copies and pastes sees everything that the README promises."""
    make = shutil.which("make")
    assert make is not None
    run = [make, "--no-print-directory", "-C", str(ROOT), "run"]
    unset = dict.fromkeys(("LIGHTERAGE_ADMIN_EMAIL", "LIGHTERAGE_ADMIN_PASSWORD", "LIGHTERAGE_QUERY_WORKERS"), "")
    server = ServerProcess(tmp_path / "data", command=run, **unset)
    try:
        password = re.search(r"password +(\S+)", server.greeting)
        assert password is not None
        script, watch = path_of(server.url, password[1])
        shown = follow(tmp_path, script, watch)
    finally:
        server.terminate()

    digests = re.findall(r"^([0-9a-f]{64})  (?:big|back)\.bin$", shown, re.MULTILINE)
    assert len(digests) == 2
    assert digests[0] == digests[1]
    listed = json.loads((tmp_path / "files.json").read_text())["data"]["files"]["nodes"][0]
    assert ("big.bin", 2**30, digests[0]) == (listed["name"], listed["size"], listed["sha256"])
    assert '[["Bremen","569396"],["Hamburg","1892122"]]' in shown
    events = (tmp_path / "watched.txt").read_text()
    assert events.index('"name":"big.bin"') < events.index('"name":"cities.csv"')


def path_of(url: str, password: str) -> tuple[str, str]:
    """Put the path's blocks together; what a reader has to put in is put in."""
    given = {README_URL: url, "the password that was printed": password}
    parts: dict[str, list[str]] = {"": [], "watch": []}
    for kind, text in blocks():
        if kind in parts:
            parts[kind].append(filled(text, given))
    return "\n".join(parts[""]), parts["watch"][0]


def filled(text: str, given: dict[str, str]) -> str:
    for placeholder, value in given.items():
        text = text.replace(placeholder, value)
    return text


def follow(directory: Path, script: str, watch: str) -> str:
    """Run the path in one shell, with the watching terminal beside it; give what the shell showed."""
    # The reader sits in the checkout; here its commands come from there and its files fall elsewhere.
    script = script.replace("$PWD/.venv", f"{ROOT}/.venv")
    first, rest = script.split("head -c 1G", 1)
    whole = f"set -e\n{first}\n({watch}) > watched.txt &\nsleep 1\nhead -c 1G{rest}\nsleep 1\nkill %1 || true\n"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LIGHTERAGE_")}
    started = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", whole], cwd=directory, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"after {time.monotonic() - started:.0f} s:\n{done.stdout}\n{done.stderr}"
    return done.stdout
