"""Two real servers on one directory: one upload goes through both, and on when one of them is killed."""

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.product_server import Connection, ServerProcess, log_in, serving, wait_for_digest

pytestmark = pytest.mark.slow

PIECE = 200_000
ROUNDS = 12


def patch(server: ServerProcess, token: str, path: str, offset: int, content: bytes) -> int:
    with Connection(server.url, token) as connection:
        connection.start_patch(path, offset, len(content))
        connection.send(content)
        return connection.answer()[0]


def test_two_servers_on_one_directory(data_dir, token):
    """Both are sent the same piece at once: each offset has one winner, and the bytes are right in the end."""
    content = random.Random(7).randbytes(PIECE * ROUNDS)
    with serving(data_dir) as one, serving(data_dir) as two, ThreadPoolExecutor(2) as threads:
        send_to_both(one, two, token, content, threads)
        (stored,) = [found for found in (data_dir / "files" / "admin@example.org").rglob("*") if found.is_file()]

    assert hashlib.sha256(content).digest() == hashlib.sha256(stored.read_bytes()).digest()


def send_to_both(
    one: ServerProcess, two: ServerProcess, token: str, content: bytes, threads: ThreadPoolExecutor
) -> None:
    """Race for each piece; one wins, and the other is told."""
    with Connection(one.url, token) as asking:
        path = asking.create(len(content))
        for number in range(ROUNDS):
            piece = content[number * PIECE : (number + 1) * PIECE]
            tries = [threads.submit(patch, server, token, path, number * PIECE, piece) for server in (one, two)]
            statuses = sorted(each.result() for each in tries)
            assert 204 == statuses[0], statuses
            assert statuses[1] in (409, 423), statuses
            assert asking.offset(path) == (number + 1) * PIECE


@pytest.mark.parametrize("database", ["mongo"], indirect=True)
@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_two_servers_on_one_database_and_bucket(tmp_path, database, store):
    """Two machines: nothing is shared but MongoDB and S3."""
    content = random.Random(9).randbytes(PIECE * ROUNDS)
    with (
        serving(tmp_path / "one" / "data", **database, **store) as one,
        serving(tmp_path / "two" / "data", **database, **store) as two,
        ThreadPoolExecutor(2) as threads,
    ):
        token = log_in(one.url)
        send_to_both(one, two, token, content, threads)
        file = wait_for_digest(two.url, token)

    assert hashlib.sha256(content).hexdigest() == file["sha256"]


def test_server_goes_on_where_a_killed_one_stopped(data_dir, token):
    """Nothing has to run out first: what held the upload died with its process."""
    content = random.Random(8).randbytes(2 * PIECE)
    with serving(data_dir) as one, serving(data_dir) as two:
        with Connection(one.url, token) as connection:
            path = connection.create(len(content))
            connection.start_patch(path, 0, len(content))
            connection.send(content[:PIECE])
            with Connection(one.url, token) as asking:
                acknowledged = 0
                while acknowledged < PIECE:
                    acknowledged = asking.offset(path)
            one.kill()
        with Connection(two.url, token) as connection:
            offset = connection.offset(path)
        status = patch(two, token, path, offset, content[offset:])
        (stored,) = [found for found in (data_dir / "files" / "admin@example.org").rglob("*") if found.is_file()]

    assert (PIECE, 204) == (offset, status)
    assert content == stored.read_bytes()
