"""
A connection breaks in the middle of a PATCH, in every way that it can; the client is back at once, and goes on.

`benchmarks/takeover.py` measures the same beside other servers.
"""

import hashlib
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.network import Break, Network
from tests.support.product_server import Connection, ServerProcess, serving, sha256_of, wait_until_staged

pytestmark = pytest.mark.slow

MIB = 2**20
SENT = 3 * MIB + 123
TAKEOVER_SECONDS_MAX = 1.0


@pytest.fixture
def server(data_dir: Path, token: str) -> Iterator[ServerProcess]:
    with serving(data_dir) as started:
        yield started


@pytest.mark.parametrize("how", Break, ids=lambda how: how.name)
def test_next_request_takes_over_within_a_second(server, data_dir, token, how):
    """HEAD tells of every byte that had come, and the PATCH behind it is taken, though the old one may never end."""
    content = random.Random(5).randbytes(2 * SENT)
    with Network(server.url) as network, Connection(network.url, token) as old:
        path = old.create(len(content))
        old.start_patch(path, 0, len(content))
        old.send(content[:SENT])
        wait_until_staged(data_dir, SENT)
        network.break_all(how)
        began = time.monotonic()
        with Connection(server.url, token) as new:
            offset = new.offset(path)
            new.start_patch(path, offset, MIB)
            new.send(content[offset : offset + MIB])
            status, _, problem = new.answer()
            seconds = time.monotonic() - began
            new.start_patch(path, offset + MIB, len(content) - offset - MIB)
            new.send(content[offset + MIB :])
            last, _, _ = new.answer()

    assert (SENT, 204, 204) == (offset, status, last), problem
    assert seconds < TAKEOVER_SECONDS_MAX
    assert hashlib.sha256(content).hexdigest() == sha256_of(data_dir)


def test_process_takes_over_from_a_silent_request_of_another(server, data_dir, token):
    """Two processes on one directory: what hangs in the one does not lock the upload for the other."""
    content = random.Random(6).randbytes(2 * SENT)
    with serving(data_dir) as other, Network(server.url) as network, Connection(network.url, token) as old:
        path = old.create(len(content))
        old.start_patch(path, 0, len(content))
        old.send(content[:SENT])
        wait_until_staged(data_dir, SENT)
        network.break_all(Break.SILENCE)
        began = time.monotonic()
        with Connection(other.url, token) as new:
            new.start_patch(path, 0, len(content))
            status, headers, _ = new.answer()
            offset = int(headers["upload-offset"])
        with Connection(other.url, token) as new:
            new.start_patch(path, offset, len(content) - offset)
            new.send(content[offset:])
            last, _, _ = new.answer()
        seconds = time.monotonic() - began

    assert (409, SENT, 204) == (status, offset, last)
    assert seconds < TAKEOVER_SECONDS_MAX
    assert hashlib.sha256(content).hexdigest() == sha256_of(data_dir)
