"""The real nginx before the real server, with the configuration that the documents recommend."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.conftest import needed
from tests.support.product_server import Connection, log_in, serving
from tests.support.sources import read

pytestmark = pytest.mark.slow

MIB = 2**20
PATIENCE_SECONDS = 20.0

MAIN = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {site}
}}
"""


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Give the server's own address and the proxy's."""
    program = needed(shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin"), "needs nginx: apt install nginx")
    with serving(tmp_path / "server" / "data", LIGHTERAGE_TRUSTED_PROXIES="127.0.0.1/32") as server:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        site = read("deploy/nginx/lighterage.conf")
        site = site.replace("UPSTREAM", server.url.removeprefix("http://")).replace(
            "listen 8080", f"listen 127.0.0.1:{port}"
        )
        config = tmp_path / "nginx.conf"
        config.write_text(MAIN.format(folder=tmp_path, site=site))
        with subprocess.Popen([program, "-e", f"{tmp_path}/error.log", "-c", config]) as nginx:
            try:
                wait_for(port)
                yield server.url, f"http://127.0.0.1:{port}"
            finally:
                nginx.terminate()


def wait_for(port: int) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("nginx did not start")


def test_bytes_are_handed_on_as_they_come(proxied):
    """A client that breaks off through the proxy finds what it had sent; a larger body than nginx takes by default."""
    direct, through = proxied
    token = log_in(through)
    content = os.urandom(8 * MIB)
    with Connection(through, token) as sending:
        path = sending.create(len(content))
        sending.start_patch(path.replace(through, ""), 0, len(content))
        sending.send(content[: 3 * MIB])
        with Connection(direct, token) as asking:
            end = time.monotonic() + PATIENCE_SECONDS
            while asking.offset(path.replace(through, "")) < 3 * MIB:
                assert time.monotonic() < end
                time.sleep(0.02)
    with Connection(through, token) as connection:
        offset = connection.offset(path.replace(through, ""))
        assert offset >= 3 * MIB
        connection.start_patch(path.replace(through, ""), offset, len(content) - offset)
        connection.send(content[offset:])
        assert 204 == connection.answer()[0]


def test_links_name_the_proxy_and_numbers_stay_inside(proxied):
    """Clients go on where they came in; `/metrics` is the operator's."""
    direct, through = proxied
    with Connection(through, log_in(through)) as connection:
        assert connection.create(1).startswith((f"{through}/files/", "/files/"))
        assert 404 == connection.ask("GET", "/metrics")[0]
    with Connection(direct, "") as connection:
        assert 200 == connection.ask("GET", "/metrics")[0]
