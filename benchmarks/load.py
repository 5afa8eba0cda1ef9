"""
Load that costs next to nothing of the same cores: requests composed beforehand over kept sockets, and WebSockets that
only note when something came.
"""

import base64
import os
import selectors
import socket
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from benchmarks.client import WrongAnswer

READ_BYTES = 1 << 20
TIMEOUT_SECONDS = 60.0
_LENGTH = b"content-length: "
_TEXT = 0x81  # a whole text message
_CLOSE, _PING, _PONG = 0x88, 0x89, 0x8A
_MASK = b"\0\0\0\0"  # masked with zeros: what RFC 6455 asks of clients, without the work


def compose(base: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Write a POST."""
    fields = {"host": urlsplit(base).netloc, "content-length": str(len(body))} | headers
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{head}\r\n".encode() + body


def _connect(base: str) -> socket.socket:
    parts = urlsplit(base)
    connected = socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT_SECONDS)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


class Requests:
    """Sends one request again and again over some sockets at once."""

    def __init__(self, base: str, request: bytes, *, concurrency: int) -> None:
        self._request = request
        self._sockets = [_connect(base) for _ in range(concurrency)]

    def __enter__(self) -> "Requests":
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._sockets:
            one.close()

    def run(self, seconds: float) -> tuple[int, float, bytes]:
        """Ask for so long; gives how many were answered, in which time, and the last answer's body."""
        begin = now = time.perf_counter()
        count, body = 0, b""
        while now - begin < seconds:
            self.send()
            body = self.receive()
            count += len(self._sockets)
            now = time.perf_counter()
        return count, now - begin, body

    def each(self, times: int) -> list[float]:
        """Ask so many times; gives how long each took, in seconds."""
        took = []
        for _ in range(times):
            begin = time.perf_counter()
            self.send()
            self.receive()
            took.append(time.perf_counter() - begin)
        return took

    def send(self, request: bytes | None = None) -> None:
        """Send the request, or another one, over every socket."""
        for one in self._sockets:
            one.sendall(self._request if request is None else request)

    def receive(self) -> bytes:
        """Read the answers; gives the body of the last."""
        body = b""
        for one in self._sockets:
            body = _body(one)
        return body


def _body(connected: socket.socket) -> bytes:
    received = connected.recv(READ_BYTES)
    while b"\r\n\r\n" not in received:
        received += _more(connected)
    head, _, body = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise WrongAnswer(f"{received[:500]!r}")
    lower = head.lower()
    length = int(lower[lower.index(_LENGTH) + len(_LENGTH) :].split(b"\r\n", 1)[0])
    while len(body) < length:
        body += _more(connected)
    return body


def _more(connected: socket.socket) -> bytes:
    more = connected.recv(READ_BYTES)
    if not more:
        raise WrongAnswer("the server closed the connection")
    return more


# ---- WebSockets


@dataclass(slots=True)
class _Watcher:
    socket: socket.socket
    rest: bytes = b""


@dataclass(slots=True)
class Watchers:
    """Many who watch one subscription, each on a WebSocket of its own; as whom is `headers` or what `init` says."""

    base: str
    path: str = "/graphql"
    _selector: selectors.DefaultSelector = field(default_factory=selectors.DefaultSelector)
    _watchers: list[_Watcher] = field(default_factory=list)

    def __enter__(self) -> "Watchers":
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._watchers:
            one.socket.close()
        self._selector.close()

    def __len__(self) -> int:
        return len(self._watchers)

    def add(self, init: bytes, subscribe: bytes) -> None:
        """Connect one more and let it subscribe."""
        watcher = _Watcher(_connect(self.base))
        key = base64.b64encode(os.urandom(16)).decode()
        host = urlsplit(self.base).netloc
        watcher.socket.sendall(
            f"GET {self.path} HTTP/1.1\r\nhost: {host}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n"
            "sec-websocket-protocol: graphql-transport-ws\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in watcher.rest:
            watcher.rest += _more(watcher.socket)
        if not watcher.rest.startswith(b"HTTP/1.1 101"):
            raise WrongAnswer(f"{watcher.rest[:300]!r}")
        watcher.rest = watcher.rest.partition(b"\r\n\r\n")[2]
        watcher.socket.sendall(_frame(init))
        while not _messages(watcher):
            watcher.rest += _more(watcher.socket)
        watcher.socket.sendall(_frame(subscribe))
        self._selector.register(watcher.socket, selectors.EVENT_READ, watcher)
        self._watchers.append(watcher)

    def wait(self, count: int, *, seconds: float = TIMEOUT_SECONDS) -> list[float]:
        """Wait for so many messages; gives when each came, by `time.perf_counter`."""
        came: list[float] = []
        until = time.perf_counter() + seconds
        while len(came) < count:
            ready = self._selector.select(max(0.0, until - time.perf_counter()))
            if not ready:
                raise WrongAnswer(f"{len(came)} of {count} messages came within {seconds:.0f} s")
            for key, _ in ready:
                watcher: _Watcher = key.data
                watcher.rest += _more(watcher.socket)
                now = time.perf_counter()
                came += [now] * len(_messages(watcher))
        return came


def _frame(text: bytes) -> bytes:
    length = len(text)
    if length < 126:
        return bytes([_TEXT, 0x80 | length]) + _MASK + text
    return bytes([_TEXT, 0x80 | 126]) + length.to_bytes(2, "big") + _MASK + text


def _messages(watcher: _Watcher) -> list[bytes]:
    """Take the whole messages out of what came."""
    found, rest = [], watcher.rest
    while len(rest) >= 2:
        length, start = rest[1] & 0x7F, 2
        if length >= 126:
            start = 4 if length == 126 else 10
            if len(rest) < start:
                break
            length = int.from_bytes(rest[2:start], "big")
        if len(rest) < start + length:
            break
        if rest[0] == _PING:
            watcher.socket.sendall(bytes([_PONG, 0x80 | length]) + _MASK + rest[start : start + length])
        if rest[0] == _TEXT:
            found.append(rest[start : start + length])
        elif rest[0] == _CLOSE:
            raise WrongAnswer(f"the server closed the socket: {rest[start : start + length]!r}")
        rest = rest[start + length :]
    watcher.rest = rest
    return found
