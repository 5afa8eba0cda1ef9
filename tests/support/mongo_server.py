"""
A MongoDB server for tests: the one that LIGHTERAGE_TEST_MONGO_URL names, else mongo-java-server in memory.

The latter speaks the real wire protocol; `make test-tools` has Maven fetch its jars into `.tools/`.
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
    "needs mongo-java-server: install java and mvn (Debian: openjdk-17-jdk-headless maven), then make test-tools; "
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
    if java is None or not is_there():
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


def is_there() -> bool:
    return _JARS.is_dir()


def fetch() -> None:
    """Get the jars, all of them or none."""
    maven = shutil.which("mvn")
    if maven is None or shutil.which("java") is None:
        raise FileNotFoundError("needs java and mvn")
    _JARS.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_JARS.parent) as temporary:
        fresh = Path(temporary) / "jars"
        command = [maven, "-q", "-B", "-f", str(_HERE / "mongo_pom.xml"), "dependency:copy-dependencies"]
        subprocess.run([*command, f"-DoutputDirectory={fresh}"], check=True, stdout=subprocess.DEVNULL)
        fresh.rename(_JARS)
