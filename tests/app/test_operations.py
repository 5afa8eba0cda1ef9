"""What an operator asks of a running server: has it started, its numbers, its log."""

import json
import logging
from io import StringIO

import pytest

from lighterage import observability
from lighterage.metrics import TOLD
from tests.support.product import http_client, open_world
from tests.unit.lighterage.test_metrics import told, value


async def numbers(world) -> bytes:
    async with http_client(world.app) as http:
        answer = await http.get("/metrics")
    assert 200 == answer.status_code
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.content


async def test_startup_is_told_once_everything_was_there_R004_26(world, tmp_path):
    """From then on a store that is away concerns readiness alone: nobody may kill the process for it."""
    staging = tmp_path / "files" / ".staging"
    staging.rename(tmp_path / "gone")
    async with http_client(world.app) as http:
        early = await http.get("/startupz")
        (tmp_path / "gone").rename(staging)
        started = await http.get("/startupz")
        staging.rename(tmp_path / "gone")
        later, ready, live = [await http.get(path) for path in ("/startupz", "/readyz", "/healthz")]

    assert [503, 200, 200, 503, 200] == [answer.status_code for answer in (early, started, later, ready, live)]


async def test_uploads_are_counted(world):
    """Bytes and requests, by face and status."""
    path = await world.anna.tus.create(5)
    await world.anna.tus.patch(path, 0, b"he")
    await world.anna.tus.patch(path, 9, b"x")

    text = await numbers(world)

    assert 2 <= value(text, "lighterage_received_bytes_total") <= 3  # of a refused body some may be read
    assert 0 == value(text, "lighterage_uploads_in_flight")
    assert 1 == value(text, "lighterage_requests_total", face="uploads", status="201")
    assert 1 == value(text, "lighterage_requests_total", face="uploads", status="204")
    assert 1 == value(text, "lighterage_requests_total", face="uploads", status="409")
    assert 3 == value(text, "lighterage_request_seconds_count", face="uploads")
    assert 0 < value(text, "lighterage_disk_free_bytes")


async def test_numbers_may_need_a_token(tmp_path):
    """Where strangers reach the address."""
    async with open_world(tmp_path, metrics_token="for-the-scraper") as world, http_client(world.app) as http:
        refused = await http.get("/metrics")
        wrong = await http.get("/metrics", headers={"Authorization": "Bearer another"})
        told = await http.get("/metrics", headers={"Authorization": "Bearer for-the-scraper"})

    assert (401, 401, 200) == (refused.status_code, wrong.status_code, told.status_code)
    assert "www-authenticate" in refused.headers


async def test_numbers_can_be_switched_off(tmp_path):
    """Then there is no such address."""
    async with open_world(tmp_path, metrics=False) as world, http_client(world.app) as http:
        assert 404 == (await http.get("/metrics")).status_code


@pytest.fixture
def log():
    """Log as the server does, and give the lines as they come."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    observability.configure_logging("info")
    written = StringIO()
    root.handlers[0].setStream(written)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.handlers = handlers
    root.setLevel(level)


async def test_a_line_knows_its_request_and_tenant(tmp_path, log):
    """Whoever gets a request id from a user finds all that was logged of it, and whose it was."""
    async with open_world(tmp_path, access_log="all") as world, http_client(world.app) as http:
        token = {"Authorization": f"Bearer {world.anna.session.access_token}"}
        answer = await http.get("/api/v1/files/unknown/content", headers=token)
        (line,) = [line for line in log() if line["event"] == "request"]

    assert answer.headers["x-request-id"] == line["request_id"]
    assert world.anna.tenant_id == line["tenant_id"]
    assert ("GET", "/api/v1/files/unknown/content", 404, "info") == (
        line["method"],
        line["path"],
        line["status"],
        line["level"],
    )


async def test_only_faults_are_logged_by_default(tmp_path, log):
    """A line a request would cost small uploads a twentieth."""
    async with open_world(tmp_path, free_bytes_min=2**60) as world, http_client(world.app) as http:
        await http.get("/healthz")
        await http.get("/readyz")
        lines = [line for line in log() if line["event"] == "request"]

    assert [("/readyz", 507, "warning")] == [(line["path"], line["status"], line["level"]) for line in lines]


async def test_secrets_of_links_do_not_stand_in_the_log(tmp_path, log):
    """A log is read by more people than a link."""
    async with open_world(tmp_path, access_log="all") as world, http_client(world.app) as http:
        await http.get("/s/secret-of-a-link/name.txt?token=secret")
        lines = [line for line in log() if line["logger"].startswith("lighterage")]

    assert ["/s/…"] == [line["path"] for line in lines]
    assert "secret" not in json.dumps(lines)


async def test_everything_that_is_declared_is_told(world):
    """Dashboards and alerts are held against the declarations."""
    names = {name.removesuffix("_count") for name, _ in told(await numbers(world))}

    assert {metric.name for metric in TOLD} - names == set()
