"""The snippets of docs/guides/embedding.md, each in a page of another origin, in a real browser."""

import json
import os
import shutil
import socket
import subprocess

import pytest

from tests.support.product_server import ask, log_in, serving
from tests.support.sources import ROOT

pytestmark = pytest.mark.slow

SCRIPT = ROOT / "web" / "tests" / "embedding.mjs"
GUIDE = ROOT / "docs" / "guides" / "embedding.md"
WAYS = ["uppy", "tus-js-client", "react", "plain"]
BROWSER_SECONDS_MAX = 100


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_every_snippet_uploads(tmp_path):
    """As somebody would paste it, with their own address and token in it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    if shutil.which("node") is None or not (ROOT / "web" / "node_modules" / "vite").exists():
        pytest.skip("needs what pages are built with: Node.js 20 or newer, then make web")
    port = free_port()
    with serving(tmp_path / "data", LIGHTERAGE_CORS_ORIGINS=f"http://127.0.0.1:{port}") as server:
        token = log_in(server.url)
        answer = subprocess.run(
            ["node", SCRIPT, f"{server.url}/files/", token, str(port), GUIDE],
            env=os.environ | {"CHROMIUM": chromium},
            capture_output=True,
            text=True,
            timeout=BROWSER_SECONDS_MAX,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        files = ask(server.url, "{ files(first: 10) { nodes { name size } } }", token)["files"]["nodes"]

    assert {way: f"{way}.txt has arrived" for way in WAYS} == json.loads(answer.stdout)
    assert {(f"{way}.txt", len(f"sent by {way}")) for way in WAYS} == {(file["name"], file["size"]) for file in files}
