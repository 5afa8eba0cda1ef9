"""The real server on each database and each store: killed in mid-upload, started again, and nothing is lost."""

import hashlib
import urllib.request
from contextlib import suppress

import pytest
from tusclient.client import TusClient

from tests.support.product_server import Connection, ServerProcess, ask, log_in, wait_for_digest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MIB = 2**20
SIZE = 30 * MIB
CHUNK = 7 * MIB  # no multiple of S3's smallest part, so that tails are stored and replaced
KILLS = 2


def test_killed_server_goes_on_where_it_stood_R003_34(tmp_path, database, store):
    """kill -9 twice in one upload; then the file is listed, has its digest, is downloaded and queried."""
    content = b"number,half\n" + b"".join(b"%d,%d\n" % (n, n // 2) for n in range(2_400_000))[: SIZE - 12]
    content = content[: content.rindex(b"\n") + 1]
    environ = {"LIGHTERAGE_QUERY_WORKERS": "1"} | database | store
    token = ""
    path, offset = "", 0
    for _ in range(KILLS):
        server = ServerProcess(tmp_path / "data", **environ)
        token = token or log_in(server.url)
        path = path or created(server.url, token, len(content))
        assert offset <= stands(server.url, token, path)
        offset = send_and_kill(server, token, path, content)
    server = ServerProcess(tmp_path / "data", **environ)
    try:
        (tmp_path / "content").write_bytes(content)
        client = TusClient(server.url, headers={"Authorization": f"Bearer {token}"})
        with (tmp_path / "content").open("rb") as stream:
            uploader = client.uploader(file_stream=stream, url=server.url + path, chunk_size=CHUNK)
            assert offset <= uploader.offset
            uploader.upload()
        file = wait_for_digest(server.url, token)
        with urllib.request.urlopen(file["downloadUrl"]) as answer:
            received = hashlib.file_digest(answer, "sha256").hexdigest()
        rows = ask(server.url, SELECT, token, file=file["id"])["select"]["rows"]
    finally:
        server.terminate()

    assert hashlib.sha256(content).hexdigest() == file["sha256"] == received
    assert [["4242", "2121"]] == rows


SELECT = """query ($file: ID!) { select(input: {fileId: $file,
  sql: "SELECT s.number, s.half FROM S3Object s WHERE CAST(s.number AS INT) = 4242"}) { rows } }"""


def created(url: str, token: str, length: int) -> str:
    with Connection(url, token) as connection:
        return connection.create(length)


def stands(url: str, token: str, path: str) -> int:
    with Connection(url, token) as connection:
        return connection.offset(path)


def send_and_kill(server: ServerProcess, token: str, path: str, content: bytes) -> int:
    """Send two chunks and half of a third, and kill; give the offset that was acknowledged."""
    with Connection(server.url, token) as connection:
        offset = connection.offset(path)
        for _ in range(2):
            chunk = content[offset : offset + CHUNK]
            connection.start_patch(path, offset, len(chunk))
            with suppress(ConnectionError):  # a refusal; the answer says why
                connection.send(chunk)
            status, _, problem = connection.answer()
            assert 204 == status, problem
            offset += len(chunk)
        connection.start_patch(path, offset, min(CHUNK, len(content) - offset))
        connection.send(content[offset : offset + CHUNK // 2])
        server.kill()
    return offset
