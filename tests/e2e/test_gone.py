"""
The S3 server or the database goes away in the middle of an upload and comes back: clients are told to wait, then all
goes on. A minute at full length, seconds in `make test`.
"""

import hashlib
import http.client
import random
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from tests.support import mongo_server
from tests.support.length import IS_LONG
from tests.support.network import Break, Network
from tests.support.product_server import Connection, log_in, serving, wait_for_digest
from tests.support.s3 import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(400)]

MIB = 2**20
SIZE = 24 * MIB
CHUNK = 3 * MIB  # less than a part of S3, so that every request stores something
GONE_SECONDS = 60.0 if IS_LONG else 6.0
BACK_SECONDS_MAX = 60.0
END_SECONDS_MAX = 300.0


@dataclass
class Client:
    """Sends a file chunk by chunk, waits when it is told to, and notes what it was told."""

    url: str
    token: str
    content: bytes
    acknowledged: int = 0
    told: Counter[int] = field(default_factory=Counter)
    unhelpful: list[dict[str, str]] = field(default_factory=list)
    progressed_at: float = 0.0

    def upload(self) -> None:
        with Connection(self.url, self.token) as connection:
            path = connection.create(len(self.content))
        deadline = time.monotonic() + END_SECONDS_MAX
        while self.acknowledged < len(self.content) and time.monotonic() < deadline:
            with Connection(self.url, self.token) as connection:
                self._note(*connection.ask("HEAD", path))
                start = self.acknowledged
                chunk = self.content[start : start + CHUNK]
                if chunk:
                    connection.start_patch(path, start, len(chunk))
                    try:
                        connection.send(chunk)
                        self._note(*connection.answer())
                    except (OSError, http.client.HTTPException):
                        self.told[0] += 1

    def _note(self, status: int, headers: dict[str, str], _problem: bytes) -> None:
        self.told[status] += 1
        if status == 503:
            if int(headers.get("retry-after", "0")) < 1:
                self.unhelpful.append(headers)
            time.sleep(0.5)
        if status in (200, 204):
            offset = int(headers["upload-offset"])
            assert offset >= self.acknowledged, "an acknowledged offset never decreases"
            if offset > self.acknowledged:
                self.progressed_at = time.monotonic()
            self.acknowledged = offset


def be_gone(network: Network) -> None:
    """Let nothing through, as a stopped process does, then refuse all, as one does that is gone; and come back."""
    network.stall()
    time.sleep(GONE_SECONDS / 2)
    network.lead_to(None)
    network.break_all(Break.RESET)
    network.flow()
    time.sleep(GONE_SECONDS / 2)
    network.lead_to(network.server_url)


def check_outage(client: Client, network: Network) -> None:
    """Upload while the network behind the server fails, from the moment when a third is stored."""
    uploading = threading.Thread(target=client.upload)
    uploading.start()
    while client.acknowledged < SIZE // 3:
        time.sleep(0.01)
    be_gone(network)
    back_at = time.monotonic()
    while client.progressed_at < back_at and time.monotonic() - back_at < BACK_SECONDS_MAX:
        time.sleep(0.05)
    assert client.progressed_at >= back_at, f"nothing goes on: {client.told}"
    uploading.join()
    assert len(client.content) == client.acknowledged
    assert set(client.told) <= {200, 204, 423, 503, 0}, client.told
    assert client.told[503] > 0
    assert client.unhelpful == []


def check_file(url: str, token: str, content: bytes) -> None:
    file = wait_for_digest(url, token)
    with urllib.request.urlopen(file["downloadUrl"]) as answer:
        received = hashlib.file_digest(answer, "sha256").hexdigest()
    assert hashlib.sha256(content).hexdigest() == received == file["sha256"]


@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_upload_outlives_an_outage_of_its_store(tmp_path, store, s3_server: S3Server):
    """What is acknowledged can be asked for meanwhile; it is stored once S3 is back."""
    content = random.Random(1).randbytes(SIZE)
    with Network(s3_server.endpoint) as network:
        environ = store | {"LIGHTERAGE_S3_ENDPOINT": network.url}
        with serving(tmp_path / "data", **environ) as server:
            token = log_in(server.url)
            check_outage(Client(server.url, token, content), network)
            check_file(server.url, token, content)


@pytest.mark.parametrize("store", ["directory", "s3"], indirect=True)
def test_upload_outlives_an_outage_of_its_database(tmp_path, store, mongo_url: str):
    """Nothing can be acknowledged meanwhile, and nothing that was is lost."""
    content = random.Random(2).randbytes(SIZE)
    with Network(mongo_url) as network:
        environ = store | {
            "LIGHTERAGE_MONGO_URL": f"mongodb://127.0.0.1:{urlsplit(network.url).port}/",
            "LIGHTERAGE_MONGO_DATABASE": mongo_server.fresh_name(),
        }
        with serving(tmp_path / "data", **environ) as server:
            token = log_in(server.url)
            check_outage(Client(server.url, token, content), network)
            check_file(server.url, token, content)
