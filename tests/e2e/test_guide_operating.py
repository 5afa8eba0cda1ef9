"""docs/guides/operating.md, by copy and paste: an operator's first five minutes."""

import os
import re
import socket
import subprocess
import sys

import pytest

from tests.support.sources import ROOT, read

pytestmark = pytest.mark.slow

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
PORT = "8765"


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_guide_does_what_it_says_R002_42_R004_29(tmp_path):
    """Started, looked at, filled, backed up, lost, restored, stopped."""
    blocks = "\n".join(BLOCK.findall(read("docs/guides/operating.md"))).replace(PORT, free_port())
    script = f"set -eo pipefail\ntrap 'kill -KILL $SERVER 2>&1 || true' EXIT\n{blocks}"
    folder = os.path.dirname(sys.executable)  # noqa: PTH120 (a list of folders)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "LIGHTERAGE_QUERY_WORKERS": "0"}

    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=90, check=False
    )

    said = done.stdout
    assert done.returncode == 0, f"{said}\n{done.stderr}"
    assert "that was refused" in said
    assert "LIGHTERAGE_PORT" in done.stderr
    assert '{"status":"ok","checks":' in said
    assert "anna may store 10000000 bytes" in said
    assert "no room for that" in said
    assert re.search(r"^401\nlighterage_", said, re.MULTILINE)
    received = re.search(r"^lighterage_received_bytes_total (\d+)$", said, re.MULTILINE)
    assert received is not None
    assert 3 * 2**20 <= int(received[1]) < 4 * 2**20
    assert "every file that the records name is whole" in said
    assert "the same to the last byte, with the token of before" in said
    assert re.search(r"^401\nended with 0$", said, re.MULTILINE)
