"""The real server with the real clamd: what is infected is read by nobody, what is clean is there."""

import asyncio
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from lighterage.client import upload
from tests.support import clamd
from tests.support.product_server import ROOT, ServerProcess, environment_of, new_token

pytestmark = pytest.mark.slow

SECONDS_MAX = 30


def ask(url: str, token: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def settled(url: str, token: str) -> str:
    """Give the status of a file once it is no longer processed."""
    until = time.monotonic() + SECONDS_MAX
    while (status := json.loads(ask(url, token)[1])["status"]) == "processing" and time.monotonic() < until:
        time.sleep(0.05)
    return str(status)


def test_files_are_scanned_before_they_can_be_read(tmp_path: Path) -> None:
    contents = {
        "clean": (b"nothing bad", "ready", 200),
        "infected": (b"xx" + clamd.PATTERN + b"yy", "quarantined", 409),
        "huge": (b"x" * (clamd.STREAM_BYTES_MAX + 2**20), "failed", 409),
    }
    token = asyncio.run(new_token(tmp_path / "data"))
    (tmp_path / "clamd").mkdir()
    with clamd.running(tmp_path / "clamd") as place:
        settings = {"LIGHTERAGE_PROCESSING": "*=scan!", "LIGHTERAGE_CLAMD": place, "LIGHTERAGE_QUERY_WORKERS": "0"}
        server = ServerProcess(tmp_path / "data", **settings)
        try:
            for name, (content, status, answer) in contents.items():
                (tmp_path / name).write_bytes(content)
                file_id = upload(server.url, token, tmp_path / name, chunk_bytes=2**22)
                address = f"{server.url}/api/v1/files/{file_id}"

                assert (name, status) == (name, settled(address, token))
                code, body = ask(f"{address}/content", token)
                assert (name, answer) == (name, code)
                assert (body == content) is (answer == 200)
        finally:
            server.terminate()


def test_worker_beside_the_server_does_the_jobs_and_ends_when_told(tmp_path: Path) -> None:
    """`lighterage worker` on the same records: with LIGHTERAGE_WORKER_JOBS=0 nobody else would."""
    token = asyncio.run(new_token(tmp_path / "data"))
    settings = {
        "LIGHTERAGE_PROCESSING": "*=digest!",
        "LIGHTERAGE_WORKER_JOBS": "0",
        "LIGHTERAGE_QUERY_WORKERS": "0",
    }
    server = ServerProcess(tmp_path / "data", **settings)
    command = [sys.executable, "-m", "lighterage", "worker"]
    environment = environment_of(tmp_path / "data") | settings
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as worker:
        try:
            assert worker.stdout is not None
            assert worker.stdout.readline().startswith("working on digest")
            (tmp_path / "a").write_bytes(b"hello")
            file_id = upload(server.url, token, tmp_path / "a", chunk_bytes=2**20)
            assert "ready" == settled(f"{server.url}/api/v1/files/{file_id}", token)
        finally:
            worker.send_signal(signal.SIGTERM)
            code = worker.wait(SECONDS_MAX)
            server.terminate()

    assert 0 == code
