"""
Clients of the world upload through cut connections and a server that is killed, on each store and each database.

`make test-long` has each client upload 1 GiB to each pair of a database and a store, `make test` less to one pair each.
"""

import hashlib
import os
import random
import shutil
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support import clients
from tests.support.length import IS_LONG
from tests.support.mortal import MortalServer
from tests.support.network import Break
from tests.support.product_server import ask, log_in, wait_for_digest

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]

MIB = 2**20
SIZE = (1024 if IS_LONG else 64) * MIB
CLIENT_SECONDS_MAX = 240 if IS_LONG else 90
PAIRS = [(database, store) for database in ("sqlite", "mongo") for store in ("directory", "s3")]
USAGE = "{ tenant { usage { fileCount bytesStored bytesInFlight } } }"


def cases() -> list[tuple[str, str, str]]:
    """Name every client with every pair, or each with one of its own."""
    if IS_LONG:
        return [(client, *pair) for client in clients.CLIENTS for pair in PAIRS]
    return [(client, *pair) for client, pair in zip(clients.CLIENTS, PAIRS, strict=True)]


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A file to upload, and its SHA-256."""
    path, digest = tmp_path_factory.mktemp("source") / "holiday.mov", hashlib.sha256()
    with path.open("wb") as stream:
        for _ in range(0, SIZE, MIB):
            piece = os.urandom(MIB)
            stream.write(piece)
            digest.update(piece)
    return path, digest.hexdigest()


@pytest.mark.parametrize(("client", "database", "store"), cases(), indirect=["database", "store"])
def test_client_uploads_through_three_cuts_and_a_kill(tmp_path, source, client, database, store):
    """Whatever breaks off is picked up by the client as it comes, and every byte is right."""
    if problem := clients.problem_of(client):
        pytest.skip(problem)
    path, sha256 = source
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    one, two, kill, three = sorted(random.Random(seed).sample(range(SIZE // 20, SIZE * 9 // 10), 4))
    environ = {"LIGHTERAGE_ACCESS_TOKEN_MINUTES": "60"} | database | store
    try:
        with MortalServer(tmp_path / "data", **environ) as server:
            token = log_in(server.url)
            acts = ((one, Break.CLOSE), (two, Break.RESET), (kill, server.die_and_live), (three, Break.CLOSE))
            server.network.plan(*acts)
            address = run(client, f"{server.url}/files/", token, path, tmp_path / "client.log")
            assert server.network.is_done
            assert server.deaths == 1
            check(server.own_url, token, sha256, address)
    finally:
        shutil.rmtree(tmp_path / "data", ignore_errors=True)


def run(client: str, endpoint: str, token: str, path: Path, log: Path) -> str:
    """Let the client upload; give the address that it ended with."""
    with clients.start(client, endpoint, token, path, log=log) as process:
        try:
            printed, _ = process.communicate(timeout=CLIENT_SECONDS_MAX)
        finally:
            process.kill()
    assert process.returncode == 0, log.read_text()[-4000:]
    return printed.strip()


def check(url: str, token: str, sha256: str, address: str) -> None:
    """There is one file, it has the source's bytes, and room is used for it and for nothing else."""
    file = wait_for_digest(url, token)
    with urllib.request.urlopen(file["downloadUrl"]) as answer:
        received = hashlib.file_digest(answer, "sha256").hexdigest()
    usage = ask(url, USAGE, token)["tenant"]["usage"]

    assert (sha256, sha256) == (received, file["sha256"])
    assert ("holiday.mov", SIZE) == (file["name"], int(file["size"]))
    assert {"fileCount": 1, "bytesStored": str(SIZE), "bytesInFlight": "0"} == {
        key: value if key == "fileCount" else str(value) for key, value in usage.items()
    }
    assert urlsplit(address).path.startswith("/files/upload_")
