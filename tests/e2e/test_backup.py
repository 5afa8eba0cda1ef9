"""The drill: a backup of a running server, its directory lost, and everything there again."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading

import pytest

from tests.support.product_server import (
    Connection,
    ask,
    environment_of,
    log_in,
    serving,
)
from tests.support.sources import ROOT

pytestmark = pytest.mark.slow

MIB = 2**20
QUERY = "{ files(first: 50) { nodes { name size downloadUrl } } }"


def lighterage(data_dir, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lighterage", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment_of(data_dir), capture_output=True, text=True, check=False, timeout=60
    )


def upload(url: str, token: str, content: bytes) -> None:
    with Connection(url, token) as connection:
        path = connection.create(len(content))
        connection.start_patch(path, 0, len(content))
        connection.send(content)
        assert 204 == connection.answer()[0]


def digests(url: str, token: str) -> set[str]:
    """Download every file that is listed, and give what they are."""
    found = set()
    for file in ask(url, QUERY, token)["files"]["nodes"]:
        with Connection(url, "") as connection:
            connection.http.request("GET", "/" + file["downloadUrl"].split("/", 3)[3])
            status, _, content = connection.answer()
        assert (200, file["size"]) == (status, len(content))
        found.add(hashlib.sha256(content).hexdigest())
    return found


def test_drill_R004_29(data_dir, tmp_path):
    """Users, tokens, files, and an unfinished upload that goes on where the backup saw it, while others still came."""
    contents = [os.urandom(size) for size in (1, 16 * 1024, 3 * MIB)]
    half = os.urandom(2 * MIB)
    stop = threading.Event()
    with serving(data_dir) as server:
        token = log_in(server.url)
        for content in contents:
            upload(server.url, token, content)
        with Connection(server.url, token) as connection:
            path = connection.create(len(half))
            connection.start_patch(path, 0, MIB)
            connection.send(half[:MIB])
            assert 204 == connection.answer()[0]

        def keep_on() -> None:
            for _ in range(40):  # with what else there is they fit on one page of a list
                if stop.wait(0.05):
                    return
                upload(server.url, token, os.urandom(4096))

        busy = threading.Thread(target=keep_on)
        busy.start()
        first = lighterage(data_dir, "backup", str(tmp_path / "backup"))
        again = lighterage(data_dir, "backup", str(tmp_path / "backup"))
        stop.set()
        busy.join()
    assert (0, 0) == (first.returncode, again.returncode), first.stderr + again.stderr
    assert "had 0 already" in first.stdout
    assert "had 0 already" not in again.stdout

    shutil.rmtree(data_dir)
    restored = lighterage(data_dir, "restore", str(tmp_path / "backup"))

    assert 0 == restored.returncode, restored.stdout + restored.stderr
    assert "every file that the records name is whole" in restored.stdout
    with serving(data_dir) as server:
        assert {hashlib.sha256(content).hexdigest() for content in contents} <= digests(server.url, token)
        with Connection(server.url, log_in(server.url)) as connection:
            assert MIB == connection.offset(path)
            connection.start_patch(path, MIB, MIB)
            connection.send(half[MIB:])
            assert 204 == connection.answer()[0]
        assert hashlib.sha256(half).hexdigest() in digests(server.url, token)


def test_restore_overwrites_nothing_and_says_what_is_missing(data_dir, tmp_path):
    """A directory that is in use is left alone; a backup with a hole is told, file by file."""
    with serving(data_dir) as server:
        token = log_in(server.url)
        upload(server.url, token, b"some bytes")
    assert 0 == lighterage(data_dir, "backup", str(tmp_path / "backup")).returncode

    refused = lighterage(data_dir, "restore", str(tmp_path / "backup"))
    assert 1 == refused.returncode
    assert "not empty" in refused.stderr

    (stored,) = [path for path in (tmp_path / "backup" / "files" / "admin@example.org").rglob("*") if path.is_file()]
    stored.unlink()
    holed = lighterage(tmp_path / "elsewhere", "restore", str(tmp_path / "backup"))
    assert 1 == holed.returncode
    assert "not whole: " in holed.stdout
    assert "1 files are not whole" in holed.stderr


def test_backup_is_for_the_data_directory_alone(data_dir, tmp_path):
    """MongoDB and S3 have means of their own, and half a backup is none."""
    environ = environment_of(data_dir) | {"LIGHTERAGE_MONGO_URL": "mongodb://127.0.0.1:1/"}
    command = [sys.executable, "-m", "lighterage", "backup", str(tmp_path / "backup")]

    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)

    assert 1 == done.returncode
    assert "their own means" in " ".join(done.stderr.split())
