"""The real server as a process of its own, to be killed, and a client that speaks to it over sockets."""

import hashlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from domain.ids import UserId
from lighterage.assembly import open_product
from lighterage.settings import Settings

ROOT = Path(__file__).parent.parent.parent
EMAIL, PASSWORD = "admin@example.org", "correct horse battery"
START_SECONDS = 30
STOP_SECONDS = 30
DIGEST_SECONDS_MAX = 120
_LAST_LINE = "-d '{"
_GREETING = re.compile(r"takes uploads at (http://\S+)/files/")


SERVE = (sys.executable, "-m", "lighterage", "serve")


class ServerProcess:
    """
    `python -m lighterage serve` on a directory, or whatever command starts it; empty settings count as not set.

    Attributes:
        url: Where it said it is.
        greeting: All that it printed until it took requests.
    """

    def __init__(self, data_dir: Path, *, command: Sequence[str] = SERVE, **environ: str) -> None:
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        self._log = (data_dir.parent / "server.log").open("ab")
        self.greeting = ""
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment_of(data_dir) | environ,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.url = self._wait_for_url()

    def _wait_for_url(self) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.greeting += line
            if _LAST_LINE in line and (found := _GREETING.search(self.greeting)):
                return found[1]
        code = self.process.wait(STOP_SECONDS)
        self.close()
        raise AssertionError(f"the server ended with {code}")

    def kill(self) -> None:
        """End it as a loss of power would, but for what the kernel has."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """Ask it to end, and give its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(STOP_SECONDS)
        self.close()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()

    def memory_bytes(self, field: str = "VmRSS") -> int:
        """Give what the process holds now, or at most so far (`VmHWM`)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024


def environment_of(data_dir: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LIGHTERAGE_", "AWS_", "COV"))}
    return kept | {
        "LIGHTERAGE_PORT": "0",
        "LIGHTERAGE_DATA_DIR": str(data_dir),
        "LIGHTERAGE_ADMIN_EMAIL": EMAIL,
        "LIGHTERAGE_ADMIN_PASSWORD": PASSWORD,
        "LIGHTERAGE_QUERY_WORKERS": "0",
        "LIGHTERAGE_FREE_BYTES_MIN": "0",
        "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def serving(data_dir: Path, **environ: str) -> Generator[ServerProcess, None, None]:
    server = ServerProcess(data_dir, **environ)
    try:
        yield server
    finally:
        server.close()


async def new_token(data_dir: Path) -> str:
    """Make the administrator and log in, by the services themselves: no server runs on the directory yet."""
    settings = Settings(data_dir=data_dir, query_workers=0, access_token_minutes=600)
    async with open_product(settings) as product:
        accounts = product.services.accounts
        saved = await accounts.ensure_user(EMAIL, PASSWORD, tenant_name="Main")
        assert UserId(saved.user.id)
        return (await accounts.log_in(EMAIL, PASSWORD, client="test")).access_token


def ask(url: str, query: str, token: str | None = None, **variables: object) -> dict[str, Any]:
    """Ask by GraphQL, and give the data."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    body = json.dumps({"query": query, "variables": variables}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/graphql", body, headers)) as answer:
        answered: dict[str, Any] = json.load(answer)
    assert "errors" not in answered, answered
    return answered["data"]  # type: ignore[no-any-return]


def log_in(url: str) -> str:
    """Give an access token of the administrator."""
    mutation = "mutation ($input: LogInInput!) { logIn(input: $input) { session { accessToken } } }"
    data = ask(url, mutation, input={"email": EMAIL, "password": PASSWORD})
    return str(data["logIn"]["session"]["accessToken"])


def wait_for_digest(url: str, token: str) -> dict[str, Any]:
    """Give the one file once its digest is known: what one process did not see whole is hashed in the background."""
    query = "{ files(first: 2) { nodes { id name size sha256 downloadUrl } } }"
    deadline = time.monotonic() + DIGEST_SECONDS_MAX
    while time.monotonic() < deadline:
        (file,) = ask(url, query, token)["files"]["nodes"]
        if file["sha256"] is not None:
            return dict(file)
        time.sleep(0.25)
    raise AssertionError("the digest did not come")


def sha256_of(data_dir: Path) -> str:
    """Hash the one finished file that the directory holds."""
    (stored,) = [path for path in (data_dir / "files" / "admin@example.org").rglob("*") if path.is_file()]
    with stored.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def wait_until_staged(data_dir: Path, size: int) -> None:
    """Wait until the server wrote so many bytes; they are not recorded yet."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        staged = [path for path in (data_dir / "files" / ".staging").rglob("*") if path.is_file()]
        if sum(path.stat().st_size for path in staged) >= size:
            return
        time.sleep(0.01)
    raise AssertionError("the bytes did not arrive")


class Connection:
    """One connection to the server, on which a request's body can be sent piece by piece."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self.http = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.http.close()

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Send a whole request; header names have `_` for `-`."""
        self.http.request(method, path, body, self._fields(headers))
        return self.answer()

    def create(self, length: int) -> str:
        status, headers, content = self.ask("POST", "/files/", Upload_Length=str(length))
        assert status == 201, content
        return headers["location"]

    def offset(self, path: str) -> int:
        status, headers, _ = self.ask("HEAD", path)
        assert status == 200
        return int(headers["upload-offset"])

    def start_patch(self, path: str, offset: int, length: int) -> None:
        """Send the head of a PATCH; the body goes through `send`."""
        self.http.putrequest("PATCH", path)
        fields = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
        for name, value in (self._headers | fields | {"Content-Length": str(length)}).items():
            self.http.putheader(name, value)
        self.http.endheaders()

    def send(self, content: bytes) -> None:
        self.http.send(content)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        with self.http.getresponse() as response:
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()

    def _fields(self, headers: dict[str, str]) -> dict[str, str]:
        return self._headers | {name.replace("_", "-"): value for name, value in headers.items()}
