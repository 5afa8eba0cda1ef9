"""The database goes away under a running server, and comes back: what an operator and a client see of it."""

from urllib.parse import urlsplit

import pytest

from tests.support import mongo_server
from tests.support.network import Break, Network
from tests.support.product_server import Connection, log_in, serving

pytestmark = pytest.mark.slow


def test_database_away_is_told_and_survived_R004_17(tmp_path, mongo_url):
    """503 with Retry-After as a problem document; the process lives, is not ready, and recovers by itself."""
    with Network(mongo_url) as network:
        environ = {
            "LIGHTERAGE_MONGO_URL": f"mongodb://127.0.0.1:{urlsplit(network.url).port}/",
            "LIGHTERAGE_MONGO_DATABASE": mongo_server.fresh_name(),
        }
        with serving(tmp_path / "data", **environ) as server, Connection(server.url, log_in(server.url)) as connection:
            assert 200 == connection.ask("GET", "/startupz")[0]
            home = network.server_url
            network.lead_to(None)
            network.break_all(Break.RESET)

            status, headers, body = connection.ask("POST", "/files/", Upload_Length="5")
            ready = connection.ask("GET", "/readyz")[0]
            alive = [connection.ask("GET", path)[0] for path in ("/healthz", "/startupz", "/metrics")]
            network.lead_to(home)
            again = connection.ask("POST", "/files/", Upload_Length="5")[0]
            process = server.process.poll()

    assert 503 == status
    assert "application/problem+json" == headers["content-type"]
    assert int(headers["retry-after"]) > 0
    assert b"mongodb://" not in body
    assert 503 == ready
    assert [200, 200, 200] == alive
    assert 201 == again
    assert process is None
