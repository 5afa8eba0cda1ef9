"""clamd, ClamAV's daemon, of Debian's package `clamav-daemon`: with one signature of ours, on a socket."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = "clamd"
PATTERN = b"lighterage-test-signature"
NAME = "Lighterage.Test"
STREAM_BYTES_MAX = 2**20
START_SECONDS_MAX = 30


def find() -> str | None:
    return shutil.which(PROGRAM) or shutil.which(PROGRAM, path="/usr/sbin")


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run it while the block lasts; gives the path of its socket."""
    program = find()
    if program is None:
        pytest.skip("clamd is not there: apt-get install clamav-daemon")
    database = folder / "database"
    database.mkdir(parents=True)
    # clamav.net, "Body-based Signature Content Format": name, any type of file, any offset, bytes in hex.
    (database / "test.ndb").write_text(f"{NAME}:0:*:{PATTERN.hex()}\n")
    place = folder / "socket"
    config = folder / "clamd.conf"
    config.write_text(
        f"LocalSocket {place}\nDatabaseDirectory {database}\nForeground yes\n"
        f"StreamMaxLength {STREAM_BYTES_MAX}\nTemporaryDirectory {folder}\nLogFile {folder / 'log'}\n"
    )
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen([program, "--config-file", config], stdout=output, stderr=output)
    try:
        _wait_for(place, process, folder)
        yield str(place)
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_for(place: Path, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    until = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < until and process.poll() is None:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(place))
            except OSError:
                time.sleep(0.02)
                continue
            return
    raise RuntimeError(f"clamd did not start: {(folder / 'output').read_text()}")
