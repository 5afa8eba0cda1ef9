"""A thousand slow clients at once into S3: memory stays inside its formula, and a fast client is not held up."""

import hashlib
import random
import time
from contextlib import ExitStack

import pytest

from services.digests import BATCH_BYTES
from tests.support.product_server import Connection, new_token, serving
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, S3Server, s3_server

__all__ = ["s3_server"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MIB = 2**20
CLIENTS = 1000
LENGTH, BEGINNING = 300 * 1024, 280 * 1024
SLOTS, PART_MIB = 4, 5
# docs/performance.md says so: the request's own objects and buffers, and what waits to be hashed.
CLIENT_BYTES_MAX = 128 * 1024 + min(LENGTH, BATCH_BYTES)
FAST_SECONDS_MAX = 10


async def test_a_thousand_slow_clients_hold_no_more_memory_than_the_formula(tmp_path, s3_server: S3Server):
    """Parts in memory are counted; whoever finds no room waits in a file, however slowly its bytes come."""
    bucket = s3_server.make_bucket(f"bucket-{random.getrandbits(40):x}")
    token = await new_token(tmp_path / "data")
    store = {
        "LIGHTERAGE_S3_ENDPOINT": s3_server.endpoint,
        "AWS_STORAGE_BUCKET_NAME": bucket,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "LIGHTERAGE_S3_PART_MIB": str(PART_MIB),
        "LIGHTERAGE_S3_PART_SLOTS": str(SLOTS),
    }
    fast = random.Random(-1).randbytes(12 * MIB)
    with serving(tmp_path / "data", **store) as server, ExitStack() as stack:
        upload(server.url, token, fast)  # what is loaded and opened once is there before it is counted
        idle = server.memory_bytes()

        slow = [stack.enter_context(Connection(server.url, token)) for _ in range(CLIENTS)]
        for number, client in enumerate(slow):
            client.start_patch(client.create(LENGTH), 0, LENGTH)
            client.send(content_of(number)[:BEGINNING])
        begun = time.monotonic()
        upload(server.url, token, fast)
        fast_seconds = time.monotonic() - begun
        for number, client in enumerate(slow):
            client.send(content_of(number)[BEGINNING:])
        for client in slow:
            status, _, problem = client.answer()
            assert 204 == status, problem
        grown = server.memory_bytes("VmHWM") - idle

    files = [path for path in (s3_server.root / bucket).rglob("*") if path.is_file()]
    stored = {hashlib.sha256(path.read_bytes()).digest() for path in files}
    assert {hashlib.sha256(content_of(number)).digest() for number in range(CLIENTS)} <= stored
    assert fast_seconds < FAST_SECONDS_MAX
    assert grown < SLOTS * PART_MIB * MIB + CLIENTS * CLIENT_BYTES_MAX


def content_of(number: int) -> bytes:
    return random.Random(number).randbytes(LENGTH)


def upload(url: str, token: str, content: bytes) -> None:
    with Connection(url, token) as connection:
        path = connection.create(len(content))
        connection.start_patch(path, 0, len(content))
        connection.send(content)
        status, _, problem = connection.answer()
        assert 204 == status, problem
