"""The real server, in a process of its own, on a free port."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from tests.support.sources import ROOT

PASSWORD = "a-password-for-tests"
START_SECONDS = 30
STOP_SECONDS = 30


@dataclass
class RunningServer:
    """
    A server that takes requests.

    Attributes:
        greeting: What it printed up to that moment.
        lines: What it printed in all.
    """

    url: str
    process: subprocess.Popen[str]
    greeting: str
    lines: list[str] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """End it as an operator would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(STOP_SECONDS)

    def memory_kib(self, field: str = "VmRSS") -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        match = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
        assert match is not None
        return int(match[1])


@contextmanager
def running_server(
    data_dir: Path,
    *,
    password: str | None = PASSWORD,
    command: Sequence[str] = (sys.executable, "-m", "lighterage", "serve"),
    start_seconds: float = START_SECONDS,
    **settings: str,
) -> Iterator[RunningServer]:
    """
    Start the server and wait until it takes requests; stops it at the end.

    Args:
        settings: By the names of the variables without their prefix, lower case: `mongo_url="…"`.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LIGHTERAGE_", "AWS_"))}
    environment |= {"LIGHTERAGE_DATA_DIR": str(data_dir), "LIGHTERAGE_PORT": "0", "PYTHONUNBUFFERED": "1"}
    if password is not None:
        environment["LIGHTERAGE_ADMIN_PASSWORD"] = password
    environment |= {f"LIGHTERAGE_{name.upper()}": value for name, value in settings.items()}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    greeting = _Greeting(process)
    try:
        yield greeting.wait(start_seconds)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)
    finally:
        process.kill()
        process.wait()
        greeting.close()


class _Greeting(Thread):
    """Reads what the server prints, all along, so that it never waits for a full pipe."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._lines: list[str] = []
        self._url: str | None = None
        self._settled = Event()  # greeted, or gone
        self._is_greeted = False
        self.start()

    def run(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)
            match = re.search(r"takes uploads at (http://\S+)/files/", line)
            self._url = match[1] if match else self._url
            if self._url is not None and "-d '{" in line:  # the greeting's last line
                self._is_greeted = True
                self._settled.set()
        self._settled.set()

    def wait(self, seconds: float) -> RunningServer:
        self._settled.wait(seconds)
        printed = "".join(self._lines)
        assert self._is_greeted, f"the server did not start within {seconds} s:\n{printed}"
        assert self._url is not None
        return RunningServer(self._url, self._process, printed, self._lines)

    def close(self) -> None:
        self.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
