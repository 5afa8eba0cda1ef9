"""
Many uploads at once on a server that is killed again and again: nothing acknowledged is lost, and nothing is left over.

Each kill comes when the network has passed a byte that chance chose, and a moment later; so it meets heads, bodies,
answers, and whatever the server does at the end of an upload.
"""

import asyncio
import hashlib
import http.client
import random
import shutil
import time
import urllib.request
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.ids import SYSTEM
from domain.page import Order, PageRequest
from domain.tenant import TENANTS, USAGES, Usage
from lighterage.assembly import open_product
from lighterage.settings import load_settings
from services.settling import QUIET_SECONDS
from tests.support.length import IS_LONG
from tests.support.mortal import MortalServer
from tests.support.product import FakeClock
from tests.support.product_server import DIGEST_SECONDS_MAX, Connection, ask, log_in

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]

UPLOADS, KILLS = (100, 12) if IS_LONG else (24, 3)
HANDS = 8
SIZES = (1, 1000, 16_384, 300_000, 2_000_000, 6_000_000)  # the last is more than one part of the S3 store
HAND_SECONDS_MAX = 300
KILL_DELAY_SECONDS_MAX = 0.05
PAUSE_SECONDS = 0.05

FILES = """query ($after: String) { files(first: 100, after: $after) {
  nodes { name size sha256 downloadUrl } pageInfo { hasNextPage endCursor }
} }"""
CREATE = """mutation ($input: CreateUploadInput!) { createUpload(input: $input) {
  upload { id } userErrors { code message }
} }"""
UNFINISHED = "{ uploads(first: 100) { id } }"
GONE = (OSError, http.client.HTTPException)  # the server died


@dataclass
class Hand:
    """
    Uploads one file and does not give up.

    Attributes:
        acknowledged: The offset that the server told last.
    """

    server: MortalServer
    token: str
    name: str
    content: bytes
    chance: random.Random
    path: str = ""
    acknowledged: int = 0

    def upload(self) -> None:
        last: Exception | None = None
        deadline = time.monotonic() + HAND_SECONDS_MAX
        while time.monotonic() < deadline:
            try:
                with Connection(self.server.url, self.token) as connection:
                    self.path = self.path or self.create(connection)
                    while not self.is_done(connection):
                        self.send(connection)
            except GONE as error:
                last = error
                time.sleep(PAUSE_SECONDS)
            else:
                return
        raise AssertionError(f"{self.name} finds no end") from last

    def create(self, connection: Connection) -> str:
        """Half of them say who they are, so that one whose answer was lost is found again."""
        if self.chance.random() < 0.5:
            new = {"name": self.name, "size": len(self.content), "idempotencyKey": self.name}
            made = ask(self.server.url, CREATE, self.token, input=new)["createUpload"]
            assert [] == made["userErrors"]
            return f"/files/{made['upload']['id']}"
        metadata = f"filename {b64encode(self.name.encode()).decode()}"
        length = str(len(self.content))
        status, headers, _ = connection.ask("POST", "/files/", Upload_Length=length, Upload_Metadata=metadata)
        if status == 503:
            raise ConnectionError(status)
        assert status == 201
        return headers["location"]

    def is_done(self, connection: Connection) -> bool:
        status, headers, _ = connection.ask("HEAD", self.path)
        if status == 503:
            raise ConnectionError(status)
        assert status == 200, self.name
        self.acknowledge(headers)
        return self.acknowledged == len(self.content)

    def send(self, connection: Connection) -> None:
        start = self.acknowledged
        end = self.chance.choice((len(self.content), self.chance.randint(start + 1, len(self.content))))
        connection.start_patch(self.path, start, end - start)
        connection.send(self.content[start:end])
        status, headers, problem = connection.answer()
        if status in (409, 423, 503):
            raise ConnectionError(problem)
        assert status == 204, problem
        self.acknowledge(headers)

    def acknowledge(self, headers: dict[str, str]) -> None:
        offset = int(headers["upload-offset"])
        assert offset >= self.acknowledged, f"{self.name}: an acknowledged offset never decreases"
        self.acknowledged = offset


# In little time the two pairs that share nothing; at full length all four.
PAIRS = [("sqlite", "directory"), ("mongo", "s3"), *([("sqlite", "s3"), ("mongo", "directory")] if IS_LONG else [])]


@pytest.mark.parametrize(("database", "store"), PAIRS, indirect=True)
def test_killed_at_random_nothing_acknowledged_is_lost(tmp_path, database, store):
    """Each upload becomes one file with its own bytes, and room is used for these and nothing else."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    contents = {f"{n}.bin": chance.randbytes(chance.choice(SIZES)) for n in range(UPLOADS)}
    total = sum(map(len, contents.values()))
    kills = [chance.randrange(total) for _ in range(KILLS)]
    try:
        with MortalServer(tmp_path / "data", LIGHTERAGE_ACCESS_TOKEN_MINUTES="60", **database, **store) as server:

            def kill() -> None:
                time.sleep(random.random() * KILL_DELAY_SECONDS_MAX)
                server.die_and_live()

            token = log_in(server.url)
            server.network.plan(*((at, kill) for at in kills))
            hands = [
                Hand(server, token, name, content, random.Random(chance.random())) for name, content in contents.items()
            ]
            with ThreadPoolExecutor(HANDS) as threads:
                list(threads.map(Hand.upload, hands))
            assert server.deaths == KILLS
            check(server.own_url, token, contents)
        usage = asyncio.run(settled_usage({"LIGHTERAGE_DATA_DIR": str(tmp_path / "data")} | database | store))
        assert (UPLOADS, total, 0) == (usage.file_count, usage.bytes_total, usage.bytes_in_flight)
    finally:
        shutil.rmtree(tmp_path / "data", ignore_errors=True)


def check(url: str, token: str, contents: dict[str, bytes]) -> None:
    with Connection(url, token) as connection:
        # Their creation was answered to nobody: whoever asks for them finds them, and may end them.
        for upload in ask(url, UNFINISHED, token)["uploads"]:
            assert connection.offset(f"/files/{upload['id']}") == 0
            status, _, _ = connection.ask("DELETE", f"/files/{upload['id']}")
            assert status == 204
    files = wait_for_digests(url, token)

    assert sorted(contents) == sorted(file["name"] for file in files)
    for file in files:
        content = contents[file["name"]]
        with urllib.request.urlopen(file["downloadUrl"]) as answer:
            assert content == answer.read(), file["name"]
        assert (len(content), hashlib.sha256(content).hexdigest()) == (int(file["size"]), file["sha256"])


async def settled_usage(environ: dict[str, str]) -> Usage:
    """Give the tenant's counters, on MongoDB as they are when maintenance has seen for a minute that nothing moves."""
    clock = FakeClock(datetime.now(UTC))
    async with open_product(load_settings(environ, env_file=None), clock=clock, with_sql=False) as product:
        for _ in range(2):
            await product.maintenance.settle_usages()
            clock.advance(seconds=QUIET_SECONDS)
        await product.maintenance.settle_usages()
        tenants = product.records.collection(TENANTS)
        (tenant,) = (await tenants.list(SYSTEM, order=Order("created_at"), page=PageRequest(2))).items
        return await product.records.collection(USAGES).get(tenant.id, tenant.id)


def wait_for_digests(url: str, token: str) -> list[dict[str, Any]]:
    """Give all files, once those of them have their digest that no process saw whole."""
    deadline = time.monotonic() + DIGEST_SECONDS_MAX
    while time.monotonic() < deadline:
        files, after, more = [], None, True
        while more:
            page = ask(url, FILES, token, after=after)["files"]
            files += page["nodes"]
            after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        if all(file["sha256"] for file in files):
            return files
        time.sleep(0.25)
    raise AssertionError("a digest did not come")
