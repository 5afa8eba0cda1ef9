"""GraphiQL in a real browser, over the real server: it works, and it talks to nobody else."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.product_server import EMAIL, PASSWORD, serving
from tests.support.sources import ROOT

pytestmark = pytest.mark.slow

SCRIPT = ROOT / "web" / "tests" / "graphiql.mjs"
BROWSER_SECONDS_MAX = 100


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What a visitor's browser asked for and showed; the pictures are left in LIGHTERAGE_TEST_PICTURES, if set."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    if shutil.which("node") is None or not (ROOT / "web" / "dist" / "graphiql" / "index.html").exists():
        pytest.skip("needs the built page: Node.js 20 or newer, then make web")
    pictures = os.environ.get("LIGHTERAGE_TEST_PICTURES") or str(tmp_path_factory.mktemp("pictures"))
    with serving(tmp_path_factory.mktemp("data") / "data", LIGHTERAGE_QUERY_WORKERS="1") as server:
        answer = subprocess.run(
            ["node", SCRIPT, server.url, EMAIL, PASSWORD, pictures],
            env=os.environ | {"CHROMIUM": chromium},
            capture_output=True,
            text=True,
            timeout=BROWSER_SECONDS_MAX,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout) | {"base": server.url, "pictures": pictures}


def test_query_of_a_visitor_who_logged_in_is_answered(seen):
    """The token of the log-in bar goes along with the query."""
    assert json.loads(seen["result"]) == {"data": {"viewer": {"email": EMAIL}}}


def test_wrong_password_is_told(seen):
    """In the bar, in words."""
    assert "password" in seen["refusal"]


def test_nothing_leaves_the_origin(seen):
    """No font, script or picture from elsewhere: it works without a network, and tells nobody who uses it."""
    requests = [urlsplit(url) for url in seen["requests"] if not url.startswith(("data:", "blob:"))]
    sockets = {urlsplit(url)._replace(scheme="http").geturl() for url in seen["sockets"]}

    assert {seen["base"]} == {f"{url.scheme}://{url.netloc}" for url in requests}
    assert {f"{seen['base']}/graphql"} == sockets


def test_page_keeps_to_its_policy(seen):
    """What the policy forbids is not tried, and nothing else went wrong either."""
    assert seen["violations"] == []
    assert seen["errors"] == []


def test_pictures_are_there_to_be_looked_at(seen):
    """In both themes."""
    assert {"graphiql-visitor.png", "graphiql-light.png", "graphiql-dark.png"} <= {
        path.name for path in Path(seen["pictures"]).iterdir()
    }
