"""Swagger UI in a real browser, over the real server: an operation is tried out, and nobody else is asked."""

import json
import os
import shutil
import subprocess
from urllib.parse import urlsplit

import pytest

from tests.support import openapi
from tests.support.product_server import serving
from tests.support.sources import ROOT

pytestmark = pytest.mark.slow

BROWSER_SECONDS_MAX = 100


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    if shutil.which("node") is None or not (ROOT / "web" / "dist" / "swagger" / "index.html").exists():
        pytest.skip("needs the built page: Node.js 20 or newer, then make web")
    with serving(tmp_path_factory.mktemp("data") / "data", OPEN_USERS="true") as server:
        answer = subprocess.run(
            ["node", ROOT / "web" / "tests" / "swagger.mjs", server.url],
            env=os.environ | {"CHROMIUM": chromium},
            capture_output=True,
            text=True,
            timeout=BROWSER_SECONDS_MAX,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout) | {"base": server.url}


def test_operation_is_tried_out_R004_6(seen):
    """/docs leads to the page, which shows every operation; Execute asks the server and shows its answer."""
    assert seen["address"].startswith(f"{seen['base']}/swagger")
    assert seen["operations"] == sum(len(methods) for methods in openapi.document()["paths"].values())
    assert "[]" in seen["answer"]


def test_nothing_leaves_the_origin(seen):
    """No validator, font or script from elsewhere; the policy was kept, and nothing failed."""
    requests = [urlsplit(url) for url in seen["requests"] if not url.startswith(("data:", "blob:"))]

    assert {seen["base"]} == {f"{url.scheme}://{url.netloc}" for url in requests}
    assert (seen["violations"], seen["errors"]) == ([], [])
