"""The public audit of GraphQL over HTTP, and the clients graphql-ws and graphql-sse, against the real server."""

from collections.abc import Iterator

import pytest

from tests.support import clients
from tests.support.product_server import EMAIL, log_in, serving

pytestmark = pytest.mark.slow

# GraphQL over HTTP leaves GET to the server. Ours is taken by event streams only: a GET that answered could be made by
# any page that shows an image.
LEFT_OUT = {
    "MAY accept application/x-www-form-urlencoded formatted GET requests",
    "MAY allow URL-encoded JSON string {variables} parameter in GETs when accepting application/graphql-response+json",
    "MAY allow URL-encoded JSON string {variables} parameter in GETs when accepting application/json",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address and token of a server."""
    if problem := clients.node_problem():
        pytest.skip(problem)
    with serving(tmp_path_factory.mktemp("clients") / "data") as process:
        yield f"{process.url}/graphql", log_in(process.url)


def test_audit_of_graphql_over_http_passes(server):
    """Everything that must or should be, and what may be unless we said why not."""
    audits = clients.run_script("graphql-audit.mjs", *server)
    failed = {one["name"]: one["reason"] for one in audits if one["status"] != "ok"}

    assert len(audits) > 60
    assert set(failed) <= LEFT_OUT, failed


@pytest.mark.parametrize(
    ("transport", "unknown_field", "forged_token"),
    [
        ("ws", ["GRAPHQL_VALIDATION_FAILED"], 4403),
        ("sse", {"answers": [["GRAPHQL_VALIDATION_FAILED"]]}, "Server responded with 401: Unauthorized"),
    ],
)
def test_client_asks_watches_leaves_and_comes_back(server, transport, unknown_field, forged_token):
    """It hears of a file, misses nothing while it is away, and is told what is wrong in the way of its protocol."""
    seen = clients.run_script("graphql-live.mjs", *server, transport)

    assert [{"data": {"viewer": {"email": EMAIL}}}] == seen["query"]
    assert (unknown_field, forged_token) == (seen["wrong"], seen["forged"])
    assert ("CREATED", "empty.txt") == (seen["created"]["action"], seen["created"]["file"]["name"])
    assert (seen["created"]["file"]["id"], "renamed.txt") == (seen["last"]["file"]["id"], seen["last"]["file"]["name"])
