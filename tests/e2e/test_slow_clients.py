"""A thousand slow clients at once on the real server: each gets on, nobody is in another's way, memory is a formula."""

import asyncio
import hashlib
import random
import resource
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.digests import BATCH_BYTES
from tests.support.product_server import ServerProcess, new_token, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CLIENTS = 1000
SIZE = 128 * 1024
PIECES = 8
# docs/performance.md says so: uvicorn's buffer and the request's own objects, and what waits to be hashed.
BYTES_OF_A_CLIENT_MAX = 128 * 1024 + min(SIZE, BATCH_BYTES)
HEAD_SECONDS_MAX = 1.0
FILES_OPEN = 4096


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def many_files_open():
    """A thousand sockets here, as many there, and as many files: more than some systems allow at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < FILES_OPEN:
        pytest.skip(f"needs {FILES_OPEN} open files: ulimit -Hn {FILES_OPEN}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES_OPEN), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    token: str

    @classmethod
    async def connect(cls, server: ServerProcess, token: str) -> "Client":
        port = int(server.url.rpartition(":")[2])
        return cls(*await asyncio.open_connection("127.0.0.1", port), token)

    async def start(self, method: str, path: str, **fields: object) -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: test", f"Authorization: Bearer {self.token}"]
        lines += ["Tus-Resumable: 1.0.0", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str]]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(": ") for line in head[1:])
        return int(head[0].split(" ")[1]), {name.lower(): value for name, _, value in pairs}

    async def begin(self) -> str:
        """Create an upload, and send the head of its one PATCH."""
        await self.start("POST", "/files/", Upload_Length=SIZE, Content_Length=0)
        status, headers = await self.answer()
        assert status == 201
        kind = "application/offset+octet-stream"
        path = headers["location"]
        await self.start("PATCH", path, Upload_Offset=0, Content_Length=SIZE, Content_Type=kind)
        return path

    async def send(self, piece: bytes) -> None:
        self.writer.write(piece)
        await self.writer.drain()


async def test_thousand_slow_clients_at_once(tmp_path):
    """All are in the midst of their bodies; somebody else is answered meanwhile, and in the end every byte is there."""
    data_dir = tmp_path / "data"
    token = await new_token(data_dir)
    content = random.Random(1).randbytes(SIZE)
    pieces = [content[start : start + SIZE // PIECES] for start in range(0, SIZE, SIZE // PIECES)]
    with serving(data_dir, LIGHTERAGE_FSYNC="false") as server:
        other = await Client.connect(server, token)
        asked = await other.begin()
        for piece in pieces:
            await other.send(piece)
        assert (await other.answer())[0] == 204
        idle = server.memory_bytes()

        clients = [await Client.connect(server, token) for _ in range(CLIENTS)]
        await asyncio.gather(*(client.begin() for client in clients))
        peak, slowest = idle, 0.0
        for piece in pieces[:-1]:
            await asyncio.gather(*(client.send(piece) for client in clients))
            slowest = max(slowest, await seconds_of_a_head(server, token, asked))
            peak = max(peak, server.memory_bytes())
        await asyncio.gather(*(client.send(pieces[-1]) for client in clients))
        answers = await asyncio.gather(*(client.answer() for client in clients))
        peak = max(peak, server.memory_bytes("VmHWM"))
        for client in (other, *clients):
            client.writer.close()
            await client.writer.wait_closed()
    print(f"{(peak - idle) // CLIENTS} bytes of memory a client, slowest HEAD {1000 * slowest:.0f} ms")

    assert [(204, str(SIZE))] * CLIENTS == [(status, headers["upload-offset"]) for status, headers in answers]
    assert peak - idle <= CLIENTS * BYTES_OF_A_CLIENT_MAX
    assert slowest < HEAD_SECONDS_MAX
    assert {hashlib.sha256(content).hexdigest(): CLIENTS + 1} == stored(data_dir)


async def seconds_of_a_head(server: ServerProcess, token: str, path: str) -> float:
    """Ask on a new connection, as a progress bar elsewhere would."""
    began = asyncio.get_running_loop().time()
    other = await Client.connect(server, token)
    await other.start("HEAD", path)
    status, _ = await other.answer()
    other.writer.close()
    await other.writer.wait_closed()
    assert status == 200
    return asyncio.get_running_loop().time() - began


def stored(data_dir: Path) -> dict[str, int]:
    """Count the finished files by their SHA-256."""
    found: dict[str, int] = {}
    for path in (data_dir / "files" / "admin@example.org").rglob("*"):
        if path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[digest] = found.get(digest, 0) + 1
    return found
