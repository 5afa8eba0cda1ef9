"""A disk that is full: a small file system of its own, on which the real server runs."""

import hashlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.product_server import Connection, ServerProcess, log_in, wait_for_digest

pytestmark = pytest.mark.slow

MIB = 2**20
DISK = 64 * MIB
RESERVED = 8 * MIB  # LIGHTERAGE_FREE_BYTES_MIN: what the records may still take
FILLING = 40 * MIB
SIZE = 32 * MIB
MOUNT = 'mount -t tmpfs -o "size=$0" tmpfs "$LIGHTERAGE_DATA_DIR" && exec "$@"'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server whose data directory is a small disk, which nobody else sees and which goes with the process."""
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False).returncode != 0:
        pytest.skip("needs a kernel that lets us mount: run as root, or allow user namespaces")
    (tmp_path / "data").mkdir()
    command = [*alone, "sh", "-c", MOUNT, str(DISK), sys.executable, "-m", "lighterage", "serve"]
    started = ServerProcess(tmp_path / "data", command=command, LIGHTERAGE_FREE_BYTES_MIN=str(RESERVED))
    yield started
    started.close()


def patch(connection: Connection, path: str, offset: int, content: bytes) -> tuple[int, dict[str, str]]:
    """Send as much as the server takes, and give its answer."""
    connection.start_patch(path, offset, len(content))
    try:
        for start in range(0, len(content), MIB):
            connection.send(content[start : start + MIB])
    except OSError:
        pass  # it has answered, and takes no more
    status, headers, _ = connection.answer()
    connection.http.close()
    return status, headers


def test_upload_waits_for_room(server):
    """507, what was acknowledged stays, and when another upload is dropped this one goes on to its last byte."""
    content = random.Random(4).randbytes(SIZE)
    token = log_in(server.url)
    with Connection(server.url, token) as connection:
        filling = connection.create(FILLING + 1)
        assert patch(connection, filling, 0, bytes(FILLING))[0] == 204
        path = connection.create(SIZE)
        first, headers = patch(connection, path, 0, content)
        stands = connection.offset(path)
        second, _ = patch(connection, path, stands, content[stands:])
        later = connection.offset(path)
        ended, _, _ = connection.ask("DELETE", filling)
        last, _ = patch(connection, path, later, content[later:])
    file = wait_for_digest(server.url, token)

    assert (507, 507, 204, 204) == (first, second, ended, last)
    assert 0 < stands <= later < SIZE
    assert int(headers["retry-after"]) > 0
    assert hashlib.sha256(content).hexdigest() == file["sha256"]
