"""Several processes behind one address: one server to its clients, whichever of them answers."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.support.product_server import EMAIL, Connection, ServerProcess, serving
from tests.unit.lighterage.test_metrics import value

pytestmark = pytest.mark.slow

PIECE = 300_000
ROUNDS = 10
PATIENCE_SECONDS = 20.0


def children_of(server: ServerProcess) -> set[int]:
    found = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return {int(pid) for pid in found.split()}


def until(holds) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_upload_goes_through_all_of_them_and_on_when_one_is_killed(data_dir, token):
    """Every piece comes on a connection of its own; one process is killed half-way, and started again."""
    content = random.Random(9).randbytes(PIECE * ROUNDS)
    with serving(data_dir, LIGHTERAGE_PROCESSES="2") as server:
        until(lambda: len(children_of(server)) == 2)
        before = children_of(server)
        with Connection(server.url, token) as connection:
            path = connection.create(len(content))
        for number in range(ROUNDS):
            if number == ROUNDS // 2:
                os.kill(min(before), signal.SIGKILL)
                until(lambda: len(children_of(server)) == 2 and children_of(server) != before)
            with Connection(server.url, token) as connection:
                offset = connection.offset(path)
                assert number * PIECE == offset
                connection.start_patch(path, offset, PIECE)
                connection.send(content[offset : offset + PIECE])
                assert 204 == connection.answer()[0]
        (stored,) = [found for found in (data_dir / "files" / EMAIL).rglob("*") if found.is_file()]
        assert content == stored.read_bytes()

        after = children_of(server)
        assert 0 == server.terminate()

    assert not any(Path(f"/proc/{pid}").exists() for pid in after)


def test_settings_that_are_wrong_end_them_all(data_dir):
    """As with one process: what cannot start says so, and is not tried again and again."""
    with serving(data_dir) as other, pytest.raises(AssertionError, match="the server ended with 1"):
        ServerProcess(data_dir, LIGHTERAGE_PROCESSES="2", LIGHTERAGE_PORT=other.url.rpartition(":")[2])


def test_whichever_process_is_asked_tells_of_all(data_dir, token):
    """A balancer, and Prometheus behind it, sees one server; what a killed process counted is not lost."""
    with serving(data_dir, LIGHTERAGE_PROCESSES="2") as server:
        until(lambda: len(children_of(server)) == 2)
        for _ in range(ROUNDS):
            with Connection(server.url, token) as connection:
                path = connection.create(PIECE)
                connection.start_patch(path, 0, PIECE)
                connection.send(bytes(PIECE))
                assert 204 == connection.answer()[0]
        before = children_of(server)
        os.kill(max(before), signal.SIGKILL)
        until(lambda: len(children_of(server)) == 2 and children_of(server) != before)

        def numbers() -> bytes:
            with Connection(server.url, token) as connection:
                return connection.ask("GET", "/metrics")[2]

        told = [numbers() for _ in range(ROUNDS)]

    assert {ROUNDS} == {value(text, "lighterage_requests_total", face="uploads", status="204") for text in told}
