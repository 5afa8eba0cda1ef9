"""The page at the root: its policy, its caching, compressed twins of its assets."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from rest.client import POLICY, client_page, client_routes
from rest.shares import share_routes


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<title>Lighterage</title>")
    (tmp_path / "assets" / "index-1a2b.js").write_text("plain")
    (tmp_path / "assets" / "index-1a2b.js.gz").write_bytes(b"zipped")
    (tmp_path / "assets" / "index-1a2b.js.br").write_bytes(b"brotli")
    return tmp_path


def raw_asset(dist: Path, accept_encoding: str) -> tuple[bytes, str | None, str]:
    client = TestClient(Starlette(routes=client_routes(dist)))
    headers = {"accept-encoding": accept_encoding}
    with client.stream("GET", "/assets/index-1a2b.js", headers=headers) as answer:
        body = b"".join(answer.iter_raw())
        return body, answer.headers.get("content-encoding"), answer.headers["vary"]


def test_policy_takes_nothing_inline_and_nothing_of_another_origin():
    """`default-src 'self'`, with no exception."""
    directives = dict(part.split(" ", 1) for part in POLICY.split("; "))

    assert directives["default-src"] == "'self'"
    assert set(directives.values()) == {"'self'", "'none'"}


def test_root_is_the_page_R002_11(dist):
    """Whoever opens the address that the server printed finds something to use."""
    answer = TestClient(Starlette(routes=client_routes(dist))).get("/")

    assert (answer.status_code, answer.text) == (200, "<title>Lighterage</title>")
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-cache"


def test_root_without_a_built_page_says_how_to_get_it(tmp_path):
    """Node.js is optional."""
    answer = TestClient(Starlette(routes=client_routes(tmp_path / "missing"))).get("/")

    assert answer.status_code == 503
    assert "<pre>make web</pre>" in answer.text


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("gzip, deflate, br", (b"brotli", "br")),
        ("gzip;q=1.0, br;q=0", (b"zipped", "gzip")),
        ("identity", (b"plain", None)),
        ("", (b"plain", None)),
    ],
)
def test_asset_is_sent_as_small_as_the_browser_takes_it(dist, accepted, expected):
    """From the twins that the build made; caches are told that it depends."""
    assert (*expected, "accept-encoding") == raw_asset(dist, accepted)


class NoShares:
    """Nobody asks it: the page does that by itself, later."""


def test_browser_at_a_share_link_gets_the_page_where_it_was_built(dist):
    """A browser alone; whatever the token, the answer is the same."""
    routes = share_routes(NoShares(), client_page=lambda: client_page(dist))  # type: ignore[arg-type]
    answer = TestClient(Starlette(routes=routes)).get("/s/any", headers={"accept": "text/html,*/*"})

    assert (answer.status_code, answer.text) == (200, "<title>Lighterage</title>")
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_share_link_has_no_page_where_none_was_built(tmp_path):
    """Then the page without a script stands there."""
    assert client_page(tmp_path / "missing") is None
    assert client_page(None) is None
