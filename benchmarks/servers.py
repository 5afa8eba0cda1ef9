"""
The servers that are compared: ours and the peers that are there, each started on a free port over an empty directory.

    make bench-peers     # tusd by Go into .tools/bin, @tus/server by npm into benchmarks/peers

A name that ends in `-s3` is that server over a bucket instead of the directory.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import bucket
from benchmarks.bucket import BUCKET, Bucket
from benchmarks.client import Connection, WrongAnswer
from benchmarks.machine import cpu_seconds, free_port

ROOT = Path(__file__).parents[1]
TUSD = ROOT / ".tools" / "bin" / "tusd"
NODE_PEER = ROOT / "benchmarks" / "peers" / "tus-node.mjs"
START_SECONDS_MAX = 20.0
SETTLE_SECONDS = 0.3
SETTLED_CPU_SECONDS = 0.02
EMAIL, PASSWORD = "bench@example.com", "correct-horse-battery-staple"
INTO_S3 = "-s3"


@dataclass(slots=True)
class Running:
    """A started server. `uploads` is the path of its creation endpoint, `files` where its finished files are."""

    name: str
    process: subprocess.Popen[bytes]
    base: str
    uploads: str
    files: Path
    bucket: Bucket | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def connection(self) -> Connection:
        return Connection(self.base, dict(self.headers))

    def pids(self) -> list[int]:
        """Give the server's process and all below it."""
        found = [self.process.pid]
        for pid in found:
            children = Path(f"/proc/{pid}/task").glob("*/children")
            found += [int(child) for path in children for child in path.read_text().split()]
        return found

    def cpu_seconds(self) -> float:
        """User and system time so far, of all processes; an S3 server behind them is not among them."""
        return cpu_seconds(self.pids())

    def forget_rss_peak(self) -> None:
        """Count the peak from here on: hashing the password at log-in takes more than most uploads."""
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def rss_peaks_mib(self) -> list[float]:
        """The largest resident set since then, of the serving process first, then of those below it."""
        statuses = [Path(f"/proc/{pid}/status").read_text() for pid in self.pids()]
        return [int(match[1]) / 1024 for status in statuses if (match := re.search(r"VmHWM:\s+(\d+) kB", status))]

    def download_address(self, address: str, upload_id: str) -> str:
        """Give the address of a finished upload's bytes."""
        if not self.name.startswith("lighterage"):
            return address
        query = "query ($id: ID!) { upload(id: $id) { file { downloadUrl } } }"
        data = graphql(self.base, query, {"id": upload_id}, self.headers)
        return str(data["upload"]["file"]["downloadUrl"])


def graphql(base: str, query: str, variables: dict[str, object], headers: dict[str, str]) -> dict[str, dict]:  # type: ignore[type-arg]
    """Ask our own server."""
    with Connection(base, dict(headers)) as connection:
        body = json.dumps({"query": query, "variables": variables}).encode()
        answer = connection.request("POST", "/graphql", {"content-type": "application/json"}, body=body, expect=200)
    data = json.loads(answer.body).get("data")
    if not data:
        raise WrongAnswer(f"GraphQL: {answer.body[:300]!r}")
    return dict(data)


def available(*, into_s3: bool = False) -> list[str]:
    """Name the servers that can be started here, over directories or over buckets."""
    if into_s3 and not bucket.PROGRAM.exists():
        return []
    names = ["lighterage", "lighterage-2"]
    if not into_s3:
        names += ["lighterage-nofsync", "lighterage-nofsync-2"]
    if TUSD.exists():
        names.append("tusd")
    if (NODE_PEER.parent / "node_modules").exists() and shutil.which("node"):
        names.append("tus-node")
    return [name + INTO_S3 for name in names] if into_s3 else names


@contextmanager
def running(name: str, directory: Path) -> Iterator[Running]:
    """Start a server over an empty directory or bucket, wait until it answers, stop it and remove what it kept."""
    directory.mkdir(parents=True)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory)
        into = stack.enter_context(bucket.serving(directory / "s3")) if name.endswith(INTO_S3) else None
        server = _start(name, directory, into)
        stack.callback(_stop, server)
        _wait(server)
        if name.startswith("lighterage"):
            mutation = "mutation ($i: LogInInput!) { logIn(input: $i) { session { accessToken } } }"
            data = graphql(server.base, mutation, {"i": {"email": EMAIL, "password": PASSWORD}}, {})
            server.headers["authorization"] = f"Bearer {data['logIn']['session']['accessToken']}"
        _settle(server)
        yield server


def _stop(server: Running) -> None:
    server.process.send_signal(signal.SIGTERM)
    try:
        server.process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


def _start(name: str, directory: Path, into: Bucket | None) -> Running:
    port = free_port()
    # What servers put aside goes where their files are, so that all meet the same disk.
    env = os.environ | {"TMPDIR": str(directory)} | (into.environment if into else {})
    if name.startswith("lighterage"):
        command = [sys.executable, "-m", "lighterage", "serve"]
        env |= {
            "LIGHTERAGE_PORT": str(port),
            "LIGHTERAGE_DATA_DIR": str(directory),
            "LIGHTERAGE_ADMIN_EMAIL": EMAIL,
            "LIGHTERAGE_ADMIN_PASSWORD": PASSWORD,
            "LIGHTERAGE_LOG_LEVEL": "warning",
            "LIGHTERAGE_CREATION_RATE": "off",
            "LIGHTERAGE_FSYNC": "0" if "nofsync" in name else "1",
            "LIGHTERAGE_PROCESSES": "2" if "-2" in name else "1",
        }
        if into:
            env |= {"LIGHTERAGE_S3_BUCKET": BUCKET, "LIGHTERAGE_S3_ENDPOINT": into.endpoint}
    elif name.startswith("tusd"):
        place = [f"-s3-bucket={BUCKET}", f"-s3-endpoint={into.endpoint}"] if into else [f"-upload-dir={directory}"]
        command = [str(TUSD), f"-port={port}", "-host=127.0.0.1", *place, "-verbose=false"]
    else:
        place = ["s3", into.endpoint, BUCKET] if into else [str(directory)]
        command = ["node", str(NODE_PEER), str(port), *place]
    process = subprocess.Popen(
        command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    uploads = "/files" if name.startswith("tus-node") else "/files/"
    files = into.files if into else directory
    return Running(name, process, f"http://127.0.0.1:{port}", uploads, files, into)


def _wait(server: Running) -> None:
    until = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < until:
        if server.process.poll() is not None:
            raise WrongAnswer(f"{server.name} ended with {server.process.returncode} at its start")
        if _answers(server):
            return
        time.sleep(0.05)
    raise WrongAnswer(f"{server.name} did not answer within {START_SECONDS_MAX:.0f} s")


def _settle(server: Running) -> None:
    """Wait until it does nothing: a process that is still starting would be counted, and slow the others down."""
    until = time.monotonic() + START_SECONDS_MAX
    before, now = -1.0, server.cpu_seconds()
    while now - before > SETTLED_CPU_SECONDS and time.monotonic() < until:
        time.sleep(SETTLE_SECONDS)
        before, now = now, server.cpu_seconds()


def _answers(server: Running) -> bool:
    try:
        with Connection(server.base) as connection:
            connection.request("OPTIONS", server.uploads, {"tus-resumable": "1.0.0"})
    except (OSError, WrongAnswer):
        return False
    return True
