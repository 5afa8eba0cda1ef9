"""
A MongoDB server for tests: the one that LIGHTERAGE_TEST_MONGO_URL names, else mongo-java-server in memory.

The latter speaks the real wire protocol; its jars are fetched by Maven into `.tools/` once.
"""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_JARS = _HERE.parent.parent / ".tools" / "mongo-java-server-1.47"
_ADVICE = (
    "mongo-java-server needs java and mvn (Debian: apt install openjdk-17-jdk-headless maven), "
    "or set LIGHTERAGE_TEST_MONGO_URL to a real server"
)


def fresh_name() -> str:
    """Make up the name of a database that nobody else uses."""
    return f"lighterage_test_{secrets.token_hex(6)}"


@contextmanager
def running() -> Iterator[str]:
    """Yield the URL of a server; skip the test where there can be none, unless this is CI."""
    if url := os.environ.get("LIGHTERAGE_TEST_MONGO_URL"):
        yield url
        return
    java = shutil.which("java")
    if java is None or not _fetch():
        if os.environ.get("CI"):
            pytest.fail(_ADVICE)
        pytest.skip(_ADVICE)
    with started(java) as (_, port):
        yield f"mongodb://127.0.0.1:{port}/"


@contextmanager
def started(java: str = "java") -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a server of our own for the time of a `with`; gives its process and port."""
    # Quick to start rather than quick for long; it ends by itself when our end of its input closes.
    flags = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m", "-cp", f"{_JARS}/*"]
    process = subprocess.Popen(
        [java, *flags, str(_HERE / "mongo_server.java")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process:
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def _fetch() -> bool:
    """Get the jars, if they are not there; tell whether they are now."""
    if _JARS.is_dir():
        return True
    maven = shutil.which("mvn")
    if maven is None:
        return False
    _JARS.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_JARS.parent) as temporary:
        fresh = Path(temporary) / "jars"
        command = [maven, "-q", "-B", "-f", str(_HERE / "mongo_pom.xml"), "dependency:copy-dependencies"]
        done = subprocess.run([*command, f"-DoutputDirectory={fresh}"], check=False, stdout=subprocess.DEVNULL)
        if done.returncode != 0:
            return False
        # Another test process may have been first.
        if not _JARS.exists():
            fresh.rename(_JARS)
    return True
