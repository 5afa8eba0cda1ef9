"""
A tus client that costs next to nothing: one thread and one kept socket a stream, bodies by sendfile.

On two cores a client that copies its bytes would be what is measured.
"""

import os
import socket
from dataclasses import dataclass, field
from types import TracebackType
from typing import BinaryIO
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 120.0
HEAD_BYTES_MAX = 65536
READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """Header names are lower case. `body` is empty where it was handed to a sink."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


class WrongAnswer(Exception):
    """The server did not do what the benchmark asked for; its figures would mean nothing."""


@dataclass(slots=True)
class Connection:
    """One kept connection to `base`, as `http://127.0.0.1:8000`."""

    base: str
    headers: dict[str, str] = field(default_factory=dict)
    _socket: socket.socket | None = None
    _rest: bytes = b""

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket, self._rest = None, b""

    def request(
        self,
        method: str,
        target: str,
        headers: dict[str, str] | None = None,
        *,
        body: bytes = b"",
        file: BinaryIO | None = None,
        start: int = 0,
        count: int = 0,
        expect: int | None = None,
    ) -> Answer:
        """Send a request whose body is `body`, or `count` bytes of `file` from `start`; read the whole answer."""
        parts = urlsplit(target)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        length = count if file is not None else len(body)
        fields = {"host": urlsplit(self.base).netloc, "content-length": str(length)} | self.headers | (headers or {})
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        connected = self._connected()
        connected.sendall(f"{head}\r\n".encode() + body)
        if file is not None:
            _send_file(connected, file, start, count)
        answer = self._answer(connected, has_body=method != "HEAD")
        if expect is not None and answer.status != expect:
            raise WrongAnswer(f"{method} {path}: {answer.status} instead of {expect}: {answer.body[:300]!r}")
        return answer

    def download(self, target: str, sink: memoryview) -> int:
        """GET into a buffer that is used again and again; gives the number of bytes that came."""
        parts = urlsplit(target)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        fields = {"host": urlsplit(self.base).netloc} | self.headers
        head = f"GET {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        connected = self._connected()
        connected.sendall(f"{head}\r\n".encode())
        answer = self._head(connected)
        if answer.status != 200:
            raise WrongAnswer(f"GET {path}: {answer.status}")
        left = int(answer.headers["content-length"]) - len(self._rest)
        came, self._rest = len(self._rest), b""
        while left > 0:
            count = connected.recv_into(sink[: min(left, len(sink))])
            if count == 0:
                raise WrongAnswer(f"GET {path}: ended {left} bytes early")
            came, left = came + count, left - count
        return came

    def _connected(self) -> socket.socket:
        if self._socket is None:
            parts = urlsplit(self.base)
            self._socket = socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def _head(self, connected: socket.socket) -> Answer:
        received = self._rest
        while b"\r\n\r\n" not in received:
            more = connected.recv(HEAD_BYTES_MAX)
            if not more:
                raise WrongAnswer(f"the server closed the connection: {received[:300]!r}")
            received += more
        head, _, self._rest = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return Answer(int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs})

    def _answer(self, connected: socket.socket, *, has_body: bool) -> Answer:
        answer = self._head(connected)
        length = int(answer.headers.get("content-length", "0")) if has_body and answer.status != 204 else 0
        while len(self._rest) < length:
            more = connected.recv(READ_BYTES)
            if not more:
                raise WrongAnswer("the answer ended early")
            self._rest += more
        body, self._rest = self._rest[:length], self._rest[length:]
        if answer.headers.get("connection", "").lower() == "close" or answer.headers.get("transfer-encoding"):
            self.close()
        return Answer(answer.status, answer.headers, body)


def _send_file(connected: socket.socket, file: BinaryIO, start: int, count: int) -> None:
    connected.settimeout(None)  # sendfile wants a blocking socket
    end = start + count
    while start < end:
        sent = os.sendfile(connected.fileno(), file.fileno(), start, min(end - start, 1 << 30))
        if sent == 0:
            raise WrongAnswer("the file to send ended early")
        start += sent


TUS = {"tus-resumable": "1.0.0"}
BYTES = TUS | {"content-type": "application/offset+octet-stream"}


def create(connection: Connection, path: str, length: int) -> str:
    """Begin an upload; gives its address."""
    answer = connection.request("POST", path, TUS | {"upload-length": str(length)}, expect=201)
    return answer.headers["location"]


def create_with_bytes(connection: Connection, path: str, body: bytes) -> str:
    """Begin an upload and send all of it in the same request."""
    answer = connection.request("POST", path, BYTES | {"upload-length": str(len(body))}, body=body, expect=201)
    if answer.headers.get("upload-offset") != str(len(body)):
        raise WrongAnswer(f"creation with bytes stored {answer.headers.get('upload-offset')} of {len(body)}")
    return answer.headers["location"]


def send(connection: Connection, address: str, file: BinaryIO, *, start: int, length: int, patch_bytes: int) -> None:
    """Send `length` bytes of a file from `start` in PATCHes of at most `patch_bytes`."""
    for offset in range(0, length, patch_bytes):
        count = min(patch_bytes, length - offset)
        headers = BYTES | {"upload-offset": str(offset)}
        answer = connection.request("PATCH", address, headers, file=file, start=start + offset, count=count, expect=204)
        if answer.headers.get("upload-offset") != str(offset + count):
            raise WrongAnswer(f"after {offset + count} bytes the offset is {answer.headers.get('upload-offset')}")
