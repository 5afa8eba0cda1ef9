"""nginx of Debian's package, in front of a server, as its operator set it up."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

START_SECONDS_MAX = 10


def find() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


@contextmanager
def running(
    folder: Path, upstream: str, location: str, *, server: str = "large_client_header_buffers 4 64k;"
) -> Iterator[str]:
    """Run it while the block lasts, with these lines in its only server and location; gives its address."""
    program = find()
    if program is None:
        pytest.skip("nginx is not there: apt-get install nginx-light")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "nginx.conf"
    temporary = "\n".join(
        f"  {name}_temp_path {folder / name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config.write_text(
        f"pid {folder / 'pid'};\ndaemon off;\nmaster_process off;\nerror_log {folder / 'error'};\n"
        f"events {{}}\nhttp {{\n  access_log off;\n{temporary}\n"
        f"  server {{\n    listen 127.0.0.1:{port}; {server}\n"
        f"    location / {{\n      proxy_pass {upstream};\n      {location}\n    }}\n  }}\n}}\n"
    )
    process = subprocess.Popen([program, "-p", folder, "-e", folder / "error", "-c", config])
    try:
        _wait_for(port, process, folder)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    until = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"nginx did not start: {(folder / 'error').read_text()}")
