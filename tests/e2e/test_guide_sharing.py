"""docs/guides/sharing.md, by copy and paste: its blocks are run one after the other against a real server."""

import os
import re
import subprocess
import sys

import pytest

from tests.support.product_server import ServerProcess
from tests.support.sources import ROOT, read

pytestmark = pytest.mark.slow

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_guide_does_what_it_says(tmp_path, data_dir, token):
    """Every command ends well, and what the page says in words is what the server answered."""
    script = "set -eo pipefail\n" + "\n".join(BLOCK.findall(read("docs/guides/sharing.md")))
    server = ServerProcess(data_dir)
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"  # noqa: PTH120 (a list of folders)
    environment = {"PATH": path, "LIGHTERAGE_URL": server.url, "LIGHTERAGE_TOKEN": token, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        server.terminate()

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    codes = re.findall(r'"code":"([a-z_]+)"', done.stdout)
    assert ["link_password_required", "link_expired"] == codes
    assert '"useCount":2' in done.stdout
    assert "HTTP/1.1 201" in done.stdout
    assert '"userErrors":[{' not in done.stdout
