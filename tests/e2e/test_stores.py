"""The real server on each database and each store: killed in mid-upload, started again, and nothing is lost."""

import asyncio
import hashlib
import json
import random
import urllib.request
from collections.abc import Iterator
from contextlib import suppress

import pytest
from tusclient.client import TusClient

from tests.support import mongo_server
from tests.support.product_server import Connection, ServerProcess
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, S3Server, s3_server

__all__ = ["s3_server"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MIB = 2**20
SIZE = 30 * MIB
CHUNK = 7 * MIB  # no multiple of S3's smallest part, so that tails are stored and replaced
KILLS = 2


@pytest.fixture(scope="module")
def mongo_url() -> Iterator[str]:
    with mongo_server.running() as url:
        yield url


@pytest.fixture(params=["sqlite", "mongo"])
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "sqlite":
        return {}
    url = request.getfixturevalue("mongo_url")
    return {"LIGHTERAGE_MONGO_URL": url, "LIGHTERAGE_MONGO_DATABASE": mongo_server.fresh_name()}


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "directory":
        return {}
    server: S3Server = request.getfixturevalue("s3_server")
    return {
        "LIGHTERAGE_S3_ENDPOINT": server.endpoint,
        "AWS_STORAGE_BUCKET_NAME": server.make_bucket(f"bucket-{random.getrandbits(40):x}"),
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "LIGHTERAGE_S3_PART_MIB": "5",
    }


def test_killed_server_goes_on_where_it_stood_R003_34(tmp_path, database, store):
    """kill -9 twice in one upload; then the file is listed, has its digest, is downloaded and queried."""
    content = b"number,half\n" + b"".join(b"%d,%d\n" % (n, n // 2) for n in range(2_400_000))[: SIZE - 12]
    content = content[: content.rindex(b"\n") + 1]
    environ = {"LIGHTERAGE_QUERY_WORKERS": "1"} | database | store
    token = ""
    path, offset = "", 0
    for _ in range(KILLS):
        server = ServerProcess(tmp_path / "data", **environ)
        token = token or ask(server.url, LOG_IN)["logIn"]["session"]["accessToken"]
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
        rows = ask(server.url, SELECT, token, {"file": file["id"]})["select"]["rows"]
    finally:
        server.terminate()

    assert hashlib.sha256(content).hexdigest() == file["sha256"] == received
    assert [["4242", "2121"]] == rows


LOG_IN = """mutation { logIn(input: {email: "admin@example.org", password: "correct horse battery"}) {
  session { accessToken }
} }"""
FILES = "{ files(first: 2) { nodes { id size sha256 downloadUrl } } }"
SELECT = """query ($file: ID!) { select(input: {fileId: $file,
  sql: "SELECT s.number, s.half FROM S3Object s WHERE CAST(s.number AS INT) = 4242"}) { rows } }"""


def ask(url, query, token=None, variables=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    body = json.dumps({"query": query, "variables": variables}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/graphql", body, headers)) as answer:
        answered = json.load(answer)
    assert "errors" not in answered, answered
    return answered["data"]


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


def wait_for_digest(url: str, token: str):
    """Give the one file once its digest is known: what one process did not see whole is hashed in the background."""
    for _ in range(120):
        (file,) = ask(url, FILES, token)["files"]["nodes"]
        if file["sha256"] is not None:
            return file
        asyncio.run(asyncio.sleep(0.25))
    raise AssertionError("the digest did not come")
