"""
The image itself, run as a container: read-only, as nobody, and nothing acknowledged is lost when it is stopped.

`.ci/image` builds it; LIGHTERAGE_TEST_IMAGE_STORE says where.
"""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.product_server import EMAIL, PASSWORD, Connection, log_in

STORE = os.environ.get("LIGHTERAGE_TEST_IMAGE_STORE", "")
IMAGE = "localhost/lighterage"
START_SECONDS_MAX = 30
MIB = 2**20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not STORE, reason="needs an image: .ci/image, then LIGHTERAGE_TEST_IMAGE_STORE=.tools/images"),
]


def podman(*arguments: str) -> str:
    program = shutil.which("podman")
    assert program is not None
    command = [program, "--root", STORE, "--storage-driver", "vfs", "--runtime", "runc", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert 0 == done.returncode, done.stderr
    return done.stdout


class Container:
    """A container on a volume of its own, with the flags of the README."""

    def __init__(self, volume: Path) -> None:
        self.name = f"lighterage-test-{uuid.uuid4().hex[:8]}"
        self._volume = volume
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def create(self) -> None:
        environment = {
            "LIGHTERAGE_PORT": str(self.port),
            "LIGHTERAGE_HOST": "127.0.0.1",
            "LIGHTERAGE_ADMIN_EMAIL": EMAIL,
            "LIGHTERAGE_ADMIN_PASSWORD": PASSWORD,
        }
        podman(
            *("create", "--name", self.name, "--network", "host"),
            # The health check is run by hand below: podman leaves it to systemd, which need not be there.
            *("--no-healthcheck", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"),
            *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--volume", f"{self._volume}:/data"),
            *(part for name, value in environment.items() for part in ("--env", f"{name}={value}")),
            IMAGE,
        )

    def start(self) -> None:
        """Start it, again too, and wait until it has."""
        podman("start", self.name)
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/startupz", timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(podman("logs", self.name))

    def run(self, *command: str) -> str:
        return podman("exec", self.name, *command)

    def stop(self) -> None:
        podman("stop", "--time", "25", self.name)

    def remove(self) -> None:
        podman("rm", "--force", "--ignore", self.name)


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """One for all tests: to copy the image takes longer than they do."""
    volume = tmp_path_factory.mktemp("volume")
    os.chown(volume, 10001, 10001)
    for above in list(volume.parents)[:3]:  # nobody must get there
        above.chmod(0o755)
    made = Container(volume)
    try:
        made.create()
        made.start()
        yield made
    finally:
        made.remove()


def test_image_says_how_it_is_run_R004_18_R002_31_R002_6_R003_12():
    """Nobody's number, a health check, one volume, one port, and the server itself as process 1."""
    (found,) = json.loads(podman("image", "inspect", IMAGE))
    config = found["Config"]

    assert "10001:10001" == config["User"]
    assert ["/data"] == list(config["Volumes"])
    assert ["8000/tcp"] == list(config["ExposedPorts"])
    assert ["python", "-m", "lighterage", "serve"] == config["Cmd"]
    assert not config.get("Entrypoint")
    assert "readyz" in json.dumps(found.get("HealthCheck") or found.get("Healthcheck"))


def test_it_runs_read_only_as_nobody_R004_18_R002_7(container):
    """Its commands are on the path; what the health check runs succeeds; it can write to its volume alone."""
    assert "10001" == container.run("id", "-u").strip()
    assert "made foo (active)" in container.run("lighterage", "user", "foo", "a-good-password", "1")
    assert "3." in container.run("python", "-V")
    (found,) = json.loads(podman("image", "inspect", IMAGE))
    check = (found.get("HealthCheck") or found.get("Healthcheck"))["Test"]
    container.run(*check[1:])
    with pytest.raises(AssertionError, match="Read-only"):
        container.run("python", "-c", "open('/app/x', 'w')")
    assert "Python" in container.run("python", "-c", "import sys; print('Python', sys.flags.dont_write_bytecode)")


@pytest.mark.parametrize("path", ["/", "/graphiql", "/swagger"])
def test_pages_are_built_in_R002_11_R001_3(container, path):
    """They come from the image, not from another origin."""
    with urllib.request.urlopen(f"{container.url}{path}") as page:
        assert 200 == page.status
        assert b"<script" in page.read()


def test_files_lie_in_a_directory_of_the_container_R002_26(container):
    """In the volume, by the user's address and the file's name."""
    with Connection(container.url, log_in(container.url)) as connection:
        path = connection.create(5)
        connection.start_patch(path, 0, 5)
        connection.send(b"hello")
        assert 204 == connection.answer()[0]

    assert container.run("ls", "/data/files", f"/data/files/{EMAIL}").split()


def test_a_stop_keeps_what_came_of_a_body_R004_18_R002_27(container):
    """SIGTERM in the middle of a PATCH: the bytes that came are there when it is started again, on the same volume."""
    content = os.urandom(4 * MIB)
    token = log_in(container.url)
    with Connection(container.url, token) as sending:
        path = sending.create(2 * len(content))
        sending.start_patch(path, 0, 2 * len(content))
        sending.send(content)
        with Connection(container.url, token) as asking:
            deadline = time.monotonic() + 20
            while asking.offset(path) < len(content):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        began = time.monotonic()
        container.stop()
        assert time.monotonic() - began < 15

    container.start()

    with Connection(container.url, log_in(container.url)) as connection:
        assert len(content) == connection.offset(path)
        connection.start_patch(path, len(content), len(content))
        connection.send(content)
        assert 204 == connection.answer()[0]


def test_it_fits_half_a_gibibyte_R003_9(container):
    """A t3a.micro has one; 64 MiB come in one PATCH meanwhile."""
    token = log_in(container.url)
    with Connection(container.url, token) as connection:
        path = connection.create(64 * MIB)
        connection.start_patch(path, 0, 64 * MIB)
        for _ in range(64):
            connection.send(bytes(MIB))
        assert 204 == connection.answer()[0]
    pid = int(podman("inspect", "--format", "{{.State.Pid}}", container.name))
    held = 0
    for each in [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]:
        lines = Path(f"/proc/{each}/status").read_text().splitlines()
        held += next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

    assert held < 512 * 1024
