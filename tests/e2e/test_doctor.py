"""`lighterage doctor` before a real nginx: what a broken setting breaks is found, and what it says puts it right."""

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lighterage import doctor
from lighterage.cli import app
from lighterage.client import upload
from lighterage.doctor import State, examine
from tests.support import nginx
from tests.support.product_server import ServerProcess, new_token

pytestmark = pytest.mark.slow

RIGHT = """
      client_max_body_size 0; proxy_request_buffering off; proxy_buffering off; proxy_http_version 1.1;
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";"""

BROKEN = {
    "address": ("proxy_set_header Host $http_host;", "proxy_set_header Host files.internal;"),
    "methods": ("proxy_buffering off;", "proxy_buffering off; limit_except GET POST { deny all; }"),
    "fields": ("proxy_buffering off;", "proxy_buffering off; proxy_hide_header Tus-Extension;"),
    "body": ("client_max_body_size 0;", ""),
    "buffering": ("proxy_request_buffering off;", ""),
    "websocket": ('proxy_set_header Connection "upgrade";', ""),
    "range": ("proxy_buffering off;", 'proxy_buffering off; proxy_set_header Range "";'),
}


class Server:
    """A server with a file in it, and a token for it."""

    def __init__(self, folder: Path) -> None:
        data_dir = folder / "data"
        self.token = asyncio.run(new_token(data_dir))
        self.process = ServerProcess(data_dir, LIGHTERAGE_TRUSTED_PROXIES="127.0.0.1", LIGHTERAGE_QUERY_WORKERS="0")
        self.url = self.process.url
        (folder / "a.txt").write_bytes(b"hello")
        upload(self.url, self.token, folder / "a.txt", chunk_bytes=2**20)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("doctor"))
    yield made
    made.process.terminate()


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What never comes need not be waited for so long."""
    monkeypatch.setattr(doctor, "EARLY_SECONDS", 1.0)


def states(url: str, token: str | None) -> dict[str, State]:
    return {one.check: one.state for one in examine(url, token)}


def test_server_without_a_proxy_is_healthy(server):
    assert {State.GOOD} == set(states(server.url, server.token).values())


def test_right_settings_are_found_right(server, tmp_path):
    with nginx.running(tmp_path, server.url, RIGHT) as url:
        assert {State.GOOD} == set(states(url, server.token).values())


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_broken_is_found_and_nothing_else(server, tmp_path, broken):
    """One wrong line in nginx, one finding; its fix names nginx's own words."""
    right, wrong = BROKEN[broken]
    location = RIGHT.replace(right, wrong, 1)
    if broken == "address":
        location = location.replace("proxy_set_header X-Forwarded-Host $http_host;", "")
    with nginx.running(tmp_path, server.url, location) as url:
        found = {one.check: one for one in examine(url, server.token)}

    assert {broken} == {name for name, one in found.items() if one.state is State.BAD}
    assert set(doctor.PROXIES) == set(found[broken].fixes)


def test_long_heads_are_checked(server, tmp_path):
    """nginx's own default is 8 KiB a line."""
    with nginx.running(tmp_path, server.url, RIGHT, server="") as url:
        found = states(url, None)

    assert {"head"} == {name for name, state in found.items() if state is State.BAD}
    assert {State.SKIPPED} == {found["streaming"], found["range"]}


def test_command_says_the_fix_and_ends_with_1(server, tmp_path):
    with nginx.running(tmp_path, server.url, RIGHT.replace("client_max_body_size 0;", "")) as url:
        told = CliRunner().invoke(app, ["doctor", url, "--proxy", "nginx"])
        facts = CliRunner().invoke(app, ["doctor", url, "--proxy", "caddy", "--json"])
    (body,) = [one for one in json.loads(facts.stdout)["findings"] if one["state"] == "bad"]

    assert (1, 1) == (told.exit_code, facts.exit_code)
    assert "client_max_body_size 0;" in told.stdout
    assert "Caddy" not in told.stdout
    assert ("body", {"Caddy"}) == (body["check"], set(body["fixes"]))
    assert 0 == CliRunner().invoke(app, ["doctor", server.url]).exit_code


def test_stream_that_is_held_back_is_found(server):
    """By a proxy of ours, for nginx lets through what asks for it (X-Accel-Buffering)."""

    class Holding(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.released.wait(10)

        def log_message(self, *_: object) -> None:
            """It says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Holding) as holding:
        holding.released = threading.Event()
        threading.Thread(target=holding.serve_forever, daemon=True).start()
        found = doctor.check_streaming(doctor.Server(f"http://127.0.0.1:{holding.server_port}"), "token")
        holding.released.set()
        holding.shutdown()

    assert State.BAD is found.state


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://127.0.0.1:1", "https://127.0.0.1:1"])
def test_where_nothing_of_ours_is_it_says_so(url):
    done = CliRunner().invoke(app, ["doctor", url])

    assert (1, True) == (done.exit_code, "error:" in done.output)
