"""
How long a client is kept out after its connection broke in mid-body: from HEAD until the next PATCH is accepted.

    python -m benchmarks.takeover            # medians of 7, beside the peers that are there (make bench-peers)
"""

import argparse
import socket
import statistics
import struct
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.client import BYTES, TUS, WrongAnswer, create
from benchmarks.servers import Running, available, running

MIB = 2**20
LENGTH = 8 * MIB
SENT = 3 * MIB
NEXT = 64 * 1024  # a body that is soon over: what is measured is the wait in front of it
HOWS = ("close", "reset", "silence")
SETTLE_SECONDS = 0.3  # for the server to have taken what was sent; a reset throws away what it had not
PATIENCE_SECONDS = 60.0
ASK_SECONDS = 0.005


def broken_patch(server: Running, address: str, how: str) -> socket.socket:
    """Send a part of a PATCH, and break its connection; the socket is to be closed by the caller."""
    connection = server.connection()
    fields = {"host": "bench", "content-length": str(LENGTH), "upload-offset": "0"} | BYTES | server.headers
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    connected = connection._connected()
    connected.sendall(f"PATCH {urlsplit(address).path} HTTP/1.1\r\n{head}\r\n".encode() + bytes(SENT))
    time.sleep(SETTLE_SECONDS)
    if how == "reset":
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if how != "silence":
        connected.close()
    return connected


def takeover(server: Running, how: str) -> tuple[float, int]:
    """Give the seconds until a PATCH behind the broken one is answered with 204, and how many bytes were lost."""
    with server.connection() as creating:
        address = create(creating, server.uploads, LENGTH)
    broken = broken_patch(server, address, how)
    began = time.perf_counter()
    while time.perf_counter() - began < PATIENCE_SECONDS:
        with server.connection() as connection:
            status = connection.request("HEAD", address, TUS)
            if status.status == 200:
                offset = int(status.headers["upload-offset"])
                fields = BYTES | {"upload-offset": str(offset)}
                if connection.request("PATCH", address, fields, body=bytes(NEXT)).status == 204:
                    seconds = time.perf_counter() - began
                    broken.close()
                    return seconds, SENT - offset
        time.sleep(ASK_SECONDS)
    raise WrongAnswer(f"{server.name}: nobody was let in for {PATIENCE_SECONDS:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--servers", nargs="*", default=None)
    arguments = parser.parse_args()
    names = arguments.servers or [name for name in available() if name != "lighterage-nofsync"]
    print("| server | how it broke | median ms | slowest ms | bytes lost at most |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as top:
        for name in names:
            with running(name, Path(top) / name) as server:
                for how in HOWS:
                    found = [takeover(server, how) for _ in range(arguments.rounds)]
                    ms = [1000 * seconds for seconds, _ in found]
                    lost = max(bytes_lost for _, bytes_lost in found)
                    print(f"| {name} | {how} | {statistics.median(ms):.0f} | {max(ms):.0f} | {lost} |", flush=True)


if __name__ == "__main__":
    main()
