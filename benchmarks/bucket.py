"""
The S3 server that is written into: versitygw over an empty directory, a process of its own beside the measured one.

    make bench-peers     # by Go into .tools/bin
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.client import WrongAnswer
from benchmarks.machine import cpu_seconds, free_port, is_listening

PROGRAM = Path(__file__).parents[1] / ".tools" / "bin" / "versitygw"
ACCESS_KEY, SECRET_KEY, REGION = "bench", "a-secret-for-benchmarks", "us-east-1"
BUCKET = "bench"
START_SECONDS_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """An empty bucket, which is the folder `files`: a finished object is a file there."""

    process: subprocess.Popen[bytes]
    endpoint: str
    files: Path

    def cpu_seconds(self) -> float:
        """User and system time of the S3 server so far."""
        return cpu_seconds([self.process.pid])

    @property
    def environment(self) -> dict[str, str]:
        """What clients of S3 read their keys from."""
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION}


@contextmanager
def serving(directory: Path) -> Iterator[Bucket]:
    """Serve an empty bucket from the directory."""
    files = directory / BUCKET
    files.mkdir(parents=True)
    port = free_port()
    keys = ["--access", ACCESS_KEY, "--secret", SECRET_KEY, "--region", REGION]
    command = [str(PROGRAM), "--port", f"127.0.0.1:{port}", *keys, "--quiet", "--keep-alive", "posix", str(directory)]
    with subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + START_SECONDS_MAX
            while not is_listening(port):
                if process.poll() is not None or time.monotonic() > until:
                    raise WrongAnswer("the S3 server did not start")
                time.sleep(0.02)
            yield Bucket(process, f"http://127.0.0.1:{port}", files)
        finally:
            process.kill()
