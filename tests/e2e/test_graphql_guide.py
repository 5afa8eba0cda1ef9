"""The guide to GraphQL, by copy and paste: its blocks are taken out of the page and run against a real server."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import clients
from tests.support.product_server import serving
from tests.support.sources import ROOT

pytestmark = pytest.mark.slow

GUIDE = (ROOT / "docs" / "guides" / "graphql.md").read_text()
BLOCK = re.compile(r"^```(sh|js)(?: (\w+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECONDS_MAX = 60


def blocks(kind: str) -> list[tuple[str, str]]:
    """Give the blocks of one language: what is special about each, and its text."""
    return [(match[2] or "", match[3]) for match in BLOCK.finditer(GUIDE) if match[1] == kind]


@pytest.fixture
def signed_up(tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """Follow the part with curl; gives the server's address, the token that came of it, and what was shown."""
    with serving(tmp_path / "data", LIGHTERAGE_SIGN_UP="1") as server:
        given = "http://127.0.0.1:8000"
        shell = [text.replace(given, server.url) for kind, text in blocks("sh") if not kind]
        [watch] = [text for kind, text in blocks("sh") if kind == "watch"]
        # The watching terminal is opened before the upload is reserved, as on the page.
        until, after = shell[:3], shell[3:]
        script = ["set -e", *until, f"({watch}) > watched.txt & sleep 1", *after, "sleep 1; kill %1; echo; echo $TOKEN"]
        shown = run(["bash", "-c", "\n".join(script)], tmp_path)
        yield server.url, shown.split()[-1], shown


def run(command: list[str], directory: Path, **environ: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        command,
        cwd=directory,
        env=kept | environ,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_guide_leads_from_sign_up_to_live_events_with_curl_Apollo_and_urql(tmp_path, signed_up):
    """A file is uploaded by curl, renamed by Apollo and put into the trash by urql; each is told of it."""
    if problem := clients.node_problem():
        pytest.skip(problem)
    url, token, shown = signed_up
    (tmp_path / "node_modules").symlink_to(clients.FOLDER / "node_modules")
    told = []
    for number, (_, text) in enumerate(blocks("js")):
        script = tmp_path / f"client{number}.mjs"
        script.write_text(text)
        told.append(run(["node", str(script)], tmp_path, URL=url, TOKEN=token).strip())

    assert '"verificationSent":true,"userErrors":[]' in shown
    assert '"email":"ada@example.org"' in shown
    assert '"totalCount":1,"nodes":[{"id":"file_' in shown
    watched = (tmp_path / "watched.txt").read_text()
    assert '"action":"CREATED","file":{"id":"file_' in watched
    assert '"name":"engines.csv","size":44' in watched
    assert told == ["renamed by Apollo.csv renamed by Apollo.csv", "1 renamed by Apollo.csv"]
