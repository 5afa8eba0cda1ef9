"""The GraphiQL page: its policy, its caching, and what is shown where it was not built."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from rest.built import POLICY
from rest.graphiql import graphiql_routes


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<title>GraphiQL</title>")
    (tmp_path / "assets" / "index-1a2b.js").write_text("export {}")
    (tmp_path / "secret.txt").write_text("not an asset")
    return tmp_path


def client(dist: Path) -> TestClient:
    return TestClient(Starlette(routes=graphiql_routes(dist)), follow_redirects=False)


@pytest.mark.parametrize("path", ["/graphiql", "/graphiql/"])
def test_page_is_never_cached_blindly_and_carries_the_policy(dist, path):
    """A page kept from an older build would ask for assets that are gone."""
    answer = client(dist).get(path)

    assert (answer.status_code, answer.text) == (200, "<title>GraphiQL</title>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-security-policy"] == POLICY


def test_policy_lets_nothing_of_another_origin_in():
    """Neither a host nor a wildcard stands in it, and scripts come from files only."""
    directives = dict(part.split(" ", 1) for part in POLICY.split("; "))

    assert {"'self'", "'none'", "data:", "'unsafe-inline'"} == set(" ".join(directives.values()).split())
    assert [name for name, value in directives.items() if "'unsafe-inline'" in value] == ["style-src"]
    assert "script-src" not in directives


def test_assets_are_kept_for_good(dist):
    """Their names change with their content."""
    answer = client(dist).get("/graphiql/assets/index-1a2b.js")

    assert (answer.status_code, answer.text) == (200, "export {}")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/graphiql/assets/gone.js",
        "/graphiql/assets/..%2fsecret.txt",
        "/graphiql/assets/%2e%2e",
        "/graphiql/assets/.env",
    ],
)
def test_nothing_but_assets_is_served(dist, path):
    """A name that leads out of the folder is a name that is not there."""
    answer = client(dist).get(path)

    assert answer.status_code == 404
    assert "not an asset" not in answer.text


def test_page_that_was_not_built_says_how(tmp_path):
    """Node.js is optional: the server starts without it, and the visitor learns what to do."""
    answer = client(tmp_path / "missing").get("/graphiql")

    assert answer.status_code == 503
    assert "<pre>make web</pre>" in answer.text
    assert answer.headers["content-security-policy"] == POLICY
