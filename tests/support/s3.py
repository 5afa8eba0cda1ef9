"""An S3 server for tests: versitygw, which `make test-tools` builds into `.tools/bin`, started on a free port."""

import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from adapters.blobs.bucket import S3Settings
from adapters.blobs.parts import PART_SIZE_BYTES_MIN
from tests.support import golang

MODULE = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
TOOLS = golang.TOOLS
ACCESS_KEY, SECRET_KEY = "tester", "a-secret-for-tests"
START_SECONDS_MAX = 10


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server. A bucket is a folder of `root`."""

    endpoint: str
    root: Path

    def make_bucket(self, name: str) -> str:
        (self.root / name).mkdir()
        return name

    def objects_in(self, bucket: str) -> set[str]:
        """Name the finished objects and the tails, read off the disk."""
        top = self.root / bucket
        return {
            path.relative_to(top).as_posix()
            for path in top.rglob("*")
            if path.is_file() and not path.relative_to(top).parts[0].startswith(".sgwtmp")
        }


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with serve(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def boto_session() -> boto3.Session:
    """It keeps what it read of boto's service models: the second client costs a tenth of the first."""
    return boto3.Session()


def settings_for(server: S3Server, **changes: Any) -> S3Settings:
    """Settings for a new bucket, with parts as small as S3 takes them, and without waits between tries."""
    settings = S3Settings(
        bucket=server.make_bucket(uuid.uuid4().hex),
        endpoint=server.endpoint,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        prefix="blobs/",
        part_size_bytes=PART_SIZE_BYTES_MIN,
        back_off_seconds=0.001,
    )
    return replace(settings, **changes)


def find() -> Path | None:
    """Give the server's program, if it is there."""
    found = shutil.which("versitygw") or shutil.which("versitygw", path=TOOLS)
    return Path(found) if found else None


def build() -> None:
    """Build the server's program; Go keeps the old one if that fails."""
    golang.build("install", MODULE)


@contextmanager
def serve(root: Path, *, certificate: tuple[Path, Path] | None = None) -> Iterator[S3Server]:
    """Run the server on a folder, with TLS if it gets a certificate and its key; skip where it cannot be had."""
    program = find()
    if program is None:
        message = "needs versitygw: install Go, then make test-tools"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    port = _free_port()
    root.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [
        program,
        "--port",
        f"127.0.0.1:{port}",
        "--access",
        ACCESS_KEY,
        "--secret",
        SECRET_KEY,
        "--quiet",
    ]
    if certificate:
        command += ["--cert", certificate[0], "--key", certificate[1]]
    with subprocess.Popen(
        [*command, "--keep-alive", "posix", root], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=root
    ) as process:
        try:
            _wait_for(port, process)
            yield S3Server(f"{'https' if certificate else 'http'}://127.0.0.1:{port}", root)
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    pytest.fail("versitygw did not start")
