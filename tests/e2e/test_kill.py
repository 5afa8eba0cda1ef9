"""The real server, killed and ended in the middle of uploads, and watched while it takes a large one."""

import hashlib
import random
import threading
import time
from pathlib import Path

import pytest
from tusclient.client import TusClient

from tests.support.product_server import (
    Connection,
    ServerProcess,
    serving,
    sha256_of,
    wait_until_staged,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MIB = 2**20
KILLS = 10
SIZE = 160 * MIB
LARGE = 4 * 1024 * MIB
GROWTH_MAX = 32 * MIB


def write_random(path: Path, size: int, *, seed: int) -> str:
    """Write a file and give its SHA-256."""
    digest, source = hashlib.sha256(), random.Random(seed)
    with path.open("wb") as stream:
        for _ in range(0, size, MIB):
            piece = source.randbytes(MIB)
            stream.write(piece)
            digest.update(piece)
    return digest.hexdigest()


def test_upload_survives_kill_nine_ten_times(tmp_path, data_dir, token):
    """kill -9 at ten random moments of one upload, a restart each time: the offset never falls, the bytes are right."""
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    digest = write_random(tmp_path / "source.bin", SIZE, seed=seed)
    moments = sorted(chance.randrange(MIB, SIZE - MIB) for _ in range(KILLS))
    path, acknowledged, server = "", 0, ServerProcess(data_dir)
    try:
        with Connection(server.url, token) as connection:
            path = connection.create(SIZE)
        for moment in moments:
            acknowledged = _send_until_killed(server, token, path, tmp_path / "source.bin", moment, acknowledged)
            server = ServerProcess(data_dir)
        _resume(server, token, path, tmp_path / "source.bin", acknowledged)
    finally:
        server.close()

    assert digest == sha256_of(data_dir), f"seed {seed}"


def _send_until_killed(
    server: ServerProcess, token: str, path: str, source: Path, moment: int, acknowledged: int
) -> int:
    """Go on from where the server stands, kill it when so much was sent; give what it had acknowledged by then."""
    with Connection(server.url, token) as connection, source.open("rb") as stream:
        offset = connection.offset(path)
        assert offset >= acknowledged, "an acknowledged offset never decreases"
        stream.seek(offset)
        connection.start_patch(path, offset, SIZE - offset)
        killer = threading.Timer(random.random() * 0.02, server.process.kill)
        try:
            while stream.tell() < moment:
                connection.send(stream.read(min(256 * 1024, max(1, moment - stream.tell()))))
            with Connection(server.url, token) as other:
                offset = other.offset(path)
            killer.start()
            while piece := stream.read(256 * 1024):
                connection.send(piece)
        except OSError:
            pass  # the server is gone, as was to be
        killer.join()
        server.kill()
    return offset


def _resume(server: ServerProcess, token: str, path: str, source: Path, acknowledged: int) -> None:
    """Let a client of the world send the rest."""
    client = TusClient(server.url, headers={"Authorization": f"Bearer {token}"})
    with source.open("rb") as stream:
        uploader = client.uploader(file_stream=stream, url=server.url + path, chunk_size=16 * MIB)
        assert uploader.offset >= acknowledged
        uploader.upload()
        assert uploader.offset == SIZE


def test_sigterm_keeps_the_bytes_received(data_dir, token):
    """Asked to end, the server first records what came of every running request, and ends soon with 0."""
    content = random.Random(1).randbytes(3 * MIB)
    with serving(data_dir) as server, Connection(server.url, token) as connection:
        path = connection.create(2 * len(content))
        connection.start_patch(path, 0, 2 * len(content))
        connection.send(content)
        wait_until_staged(data_dir, len(content))
        began = time.monotonic()
        code = server.terminate()
        seconds = time.monotonic() - began
    with serving(data_dir) as server, Connection(server.url, token) as connection:
        offset = connection.offset(path)
        connection.start_patch(path, offset, 2 * len(content) - offset)
        connection.send((content * 2)[offset:])
        status, _, _ = connection.answer()

    assert (0, len(content), 204) == (code, offset, status)
    assert seconds < 5
    assert hashlib.sha256(content * 2).hexdigest() == sha256_of(data_dir)


def test_memory_stays_flat_during_a_large_upload(data_dir, token):
    """4 GiB in one request: what passes is not kept."""
    piece = random.Random(2).randbytes(MIB)
    with serving(data_dir) as server, Connection(server.url, token) as connection:
        small = connection.create(8 * MIB)
        connection.start_patch(small, 0, 8 * MIB)
        connection.send(piece * 8)
        assert connection.answer()[0] == 204
        idle = server.memory_bytes()
        path = connection.create(LARGE)
        connection.start_patch(path, 0, LARGE)
        peak = idle
        for number in range(LARGE // MIB):
            connection.send(piece)
            if number % 16 == 0:
                peak = max(peak, server.memory_bytes())
        status, headers, _ = connection.answer()
        peak = max(peak, server.memory_bytes())
        (stored,) = [one for one in data_dir.rglob("*") if one.is_file() and one.stat().st_size == LARGE]
        stored.unlink()

    assert (204, str(LARGE)) == (status, headers["upload-offset"])
    assert peak - idle <= GROWTH_MAX, f"{(peak - idle) / MIB:.1f} MiB"


def test_reset_keeps_what_the_server_had_read(data_dir, token):
    """An orderly close and a reset in mid-body: nothing that was recorded is lost, and the next request goes on."""
    content = random.Random(3).randbytes(2 * MIB)
    with serving(data_dir) as server:
        with Connection(server.url, token) as connection:
            path = connection.create(len(content))
            connection.start_patch(path, 0, len(content))
            connection.send(content[:MIB])
        with Connection(server.url, token) as connection:
            first = _settled_offset(connection, path, MIB)
            connection.start_patch(path, first, len(content) - first)
            connection.send(content[first : first + 300_000])
            wait_until_staged(data_dir, first + 300_000)
            assert connection.http.sock is not None
            connection.http.sock.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER 0: close resets
        with Connection(server.url, token) as connection:
            second = _settled_offset(connection, path, first + 300_000)
            connection.start_patch(path, second, len(content) - second)
            connection.send(content[second:])
            status, _, _ = connection.answer()

    assert (first, second, status) == (MIB, MIB + 300_000, 204)
    assert hashlib.sha256(content).hexdigest() == sha256_of(data_dir)


def _settled_offset(connection: Connection, path: str, wanted: int) -> int:
    """Ask until the offset is as wanted, a second at most: the kernel hands the end of a connection on in its time."""
    deadline = time.monotonic() + 1
    while (offset := connection.offset(path)) < wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    return offset


def test_port_zero_prints_the_address_it_took(data_dir, token):
    """LIGHTERAGE_PORT=0, as scripts use it; the process answers there and ends without a trace of an error."""
    with serving(data_dir) as server:
        with Connection(server.url, token) as connection:
            status, _, _ = connection.ask("GET", "/readyz")
        code = server.terminate()
    log = (data_dir.parent / "server.log").read_text()

    assert (status, code) == (200, 0)
    assert "Traceback" not in log
