"""
Two servers and two workers on one MongoDB and one S3, behind a balancer: every PATCH meets another process, and
processes are killed at random. Nothing is lost, and nothing is done twice.
"""

import hashlib
import http.client
import random
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pymongo
import pytest

from tests.support.length import IS_LONG
from tests.support.product_server import Connection, ServerProcess, ask, environment_of, log_in
from tests.support.round_robin import RoundRobin
from tests.support.sources import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.parametrize("database", ["mongo"], indirect=True),
    pytest.mark.parametrize("store", ["s3"], indirect=True),
]

UPLOADS = 6
SIZE = (24 if IS_LONG else 8) * 2**20
KILLS = 24 if IS_LONG else 5
PAUSE_SECONDS = 0.05
PATIENCE_SECONDS = 240.0
JOB_SECONDS_MAX = 100.0  # a job whose worker was killed is handed on when its lease of a minute is over


class WorkerProcess:
    """`lighterage worker`, which makes profiles of tables."""

    def __init__(self, environ: dict[str, str], log: Path) -> None:
        self._log = log.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lighterage", "worker", "--kind", "profile"],
            cwd=ROOT,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self.process.stdout is not None
        assert "working on profile" in self.process.stdout.readline()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)
        self.close()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()


class Fleet:
    """Servers and workers, each with a directory of its own; nothing is shared but MongoDB and S3."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.kills = 0
        self._folder = folder
        self._environ = environ | {"LIGHTERAGE_PROCESSING": "*=profile", "LIGHTERAGE_WORKER_JOBS": "0"}
        # One after the other: the first makes the administrator.
        self.servers = [self._server(number) for number in range(2)]
        self.workers = [self._worker(number) for number in range(2)]

    def _server(self, number: int) -> ServerProcess:
        return ServerProcess(self._folder / f"server-{number}" / "data", **self._environ)

    def _worker(self, number: int) -> WorkerProcess:
        environ = environment_of(self._folder / f"worker-{number}") | self._environ | {"LIGHTERAGE_QUERY_WORKERS": "1"}
        return WorkerProcess(environ, self._folder / "worker.log")

    def kill_one(self, chance: random.Random, balancer: RoundRobin) -> None:
        """Kill somebody, let the clients go on a piece, and start somebody else in their place."""
        self.kills += 1
        number = chance.randrange(2)
        if chance.random() < 0.25:
            self.workers[number].kill()
            self.workers[number] = self._worker(number)
            return
        self.servers[number].kill()
        self.servers[number] = self._server(number)
        balancer.servers = [server.url for server in self.servers]

    def close(self) -> None:
        for each in (*self.servers, *self.workers):
            each.close()


@contextmanager
def fleet(folder: Path, environ: dict[str, str]) -> Iterator[Fleet]:
    made = Fleet(folder, environ)
    try:
        yield made
    finally:
        made.close()


def table_of(seed: int) -> bytes:
    """Make a CSV table of SIZE bytes."""
    chance = random.Random(seed)
    lines = [b"number,text\n"]
    size = len(lines[0])
    while size < SIZE:
        line = f"{len(lines)},{chance.randbytes(400).hex()}\n".encode()[: SIZE - size]
        lines.append(line)
        size += len(line)
    return b"".join(lines)


class Client:
    """
    Sends one file in pieces of any size, each on a connection of its own, and believes what is acknowledged.

    It goes no further than `allowed` says, so that it is not done before the last kill.
    """

    def __init__(self, url: str, token: str, content: bytes, seed: int, allowed: Callable[[], int]) -> None:
        self._allowed = allowed
        self._url, self._token = url, token
        self._content = content
        self._chance = random.Random(seed)
        self._end = time.monotonic() + PATIENCE_SECONDS
        self.acknowledged = 0
        self.tries = 0

    def send(self, name: str) -> int:
        """Send it all; gives how many requests it took."""
        path = self._again(lambda: self._create(name))
        while self.acknowledged < len(self._content):
            if self.acknowledged >= self._allowed():
                assert time.monotonic() < self._end
                time.sleep(PAUSE_SECONDS)
                continue
            self.tries += 1
            try:
                self._patch(path)
            except (OSError, http.client.HTTPException, AssertionError):
                time.sleep(PAUSE_SECONDS)
            # "An acknowledged offset never decreases", whoever is asked.
            offset = self._again(lambda: self._offset(path))
            assert self.acknowledged <= offset
            self.acknowledged = offset
        return self.tries

    def _create(self, name: str) -> str:
        with Connection(self._url, self._token) as connection:
            metadata = f"filename {b64encode(name.encode()).decode()}"
            status, headers, _ = connection.ask(
                "POST", "/files/", Upload_Length=str(len(self._content)), Upload_Metadata=metadata
            )
            assert 201 == status
            return headers["location"]

    def _patch(self, path: str) -> None:
        size = self._chance.randrange(1, 2 * 2**20)
        piece = self._content[self.acknowledged : self.acknowledged + size]
        with Connection(self._url, self._token) as connection:
            connection.start_patch(path, self.acknowledged, len(piece))
            connection.send(piece)
            status, headers, _ = connection.answer()
            if status == 204:
                self.acknowledged = int(headers["upload-offset"])

    def _offset(self, path: str) -> int:
        with Connection(self._url, self._token) as connection:
            return connection.offset(path)

    def _again(self, ask_once: Any) -> Any:
        """Ask until somebody answers."""
        while True:
            assert time.monotonic() < self._end
            try:
                return ask_once()
            except (OSError, http.client.HTTPException, AssertionError):
                time.sleep(PAUSE_SECONDS)


@pytest.mark.timeout(400)
def test_nothing_is_lost_and_nothing_done_twice_R004_27_R003_1_R004_7(tmp_path, database, store):
    """Six uploads at once through two servers, of which one is killed again and again, as are the workers."""
    contents = [table_of(seed) for seed in range(UPLOADS)]
    chance = random.Random(11)
    with fleet(tmp_path, {**database, **store}) as running, ExitStack() as stack:
        balancer = stack.enter_context(RoundRobin([server.url for server in running.servers]))
        threads = stack.enter_context(ThreadPoolExecutor(UPLOADS))
        token = log_in(running.servers[0].url)
        clients = [
            Client(balancer.url, token, content, seed, lambda: SIZE * (running.kills + 1) // (KILLS + 1))
            for seed, content in enumerate(contents)
        ]
        sending = [threads.submit(client.send, f"{number}.csv") for number, client in enumerate(clients)]
        while running.kills < KILLS:
            running.kill_one(chance, balancer)
        tries = [each.result() for each in sending]

        assert min(tries) >= 4
        assert len(balancer.taken) >= 2
        downloaded = {file["name"]: download(balancer.url, file["downloadUrl"]) for file in files(balancer.url, token)}
        check_written_once(database, wait_for_jobs=UPLOADS)

    expected = {f"{number}.csv": hashlib.sha256(content).hexdigest() for number, content in enumerate(contents)}
    assert expected == downloaded


def files(url: str, token: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(url, "{ files(first: 50) { nodes { name downloadUrl } } }", token)["files"][
        "nodes"
    ]
    return found


def download(url: str, address: str) -> str:
    """Fetch a file through the balancer, whoever made its address, and give its digest."""
    with Connection(url, "") as connection:
        connection.http.request("GET", "/" + address.split("/", 3)[3])
        status, _, content = connection.answer()
        assert 200 == status
    return hashlib.sha256(content).hexdigest()


def check_written_once(database: dict[str, str], *, wait_for_jobs: int) -> None:
    """Look into the database itself: one record a file, one event that it was made, one job that succeeded."""
    with pymongo.MongoClient[dict[str, Any]](database["LIGHTERAGE_MONGO_URL"]) as client:
        kept = client[database["LIGHTERAGE_MONGO_DATABASE"]]
        end = time.monotonic() + JOB_SECONDS_MAX
        while len(list(kept["jobs"].find({"status": "succeeded"}))) < wait_for_jobs:
            assert time.monotonic() < end, list(kept["jobs"].find())
            time.sleep(0.2)
        made = [event["file_id"] for event in kept["file_events"].find({"action": "created"})]
        (usage,) = kept["usages"].find()

        assert UPLOADS == kept["files"].count_documents({})
        assert UPLOADS == len(made) == len(set(made))
        assert UPLOADS == kept["jobs"].count_documents({})
        assert UPLOADS * SIZE == usage["bytes_total"]
