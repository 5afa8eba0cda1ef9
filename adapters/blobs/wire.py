"""
Signed requests with bodies, straight onto a socket.

Threads send them: `send` lets go of the interpreter, also under TLS, and costs a fifth of what botocore's way does.
Nothing here retries, but on a connection that the server had closed while it was idle.
"""

import hashlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from adapters.blobs.parts import Part
from adapters.blobs.signing import EMPTY_SHA256, UNSIGNED, Credentials, encode, encode_query, sign
from domain.clock import Clock

CONNECT_SECONDS_MAX = 5.0  # nothing can stop a thread that connects
GATHERED_MAX = 256  # chunks of one call; Linux takes 1,024
ANSWER_BYTES_MAX = 64 * 2**10


@dataclass(frozen=True, slots=True)
class Answer:
    """What S3 said. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Aborted(Exception):
    """The transfer was stopped by us."""


class Transfer:
    """One request on its way; `abort` may be called from any thread, before, in the midst and after it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None
        self.is_aborted = False

    def begin(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if self.is_aborted:
                raise Aborted
            self._connection = connection

    def end(self) -> None:
        with self._lock:
            self._connection = None

    def abort(self) -> None:
        with self._lock:
            self.is_aborted = True
            if self._connection is not None and self._connection.sock is not None:
                try:
                    self._connection.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return  # it was not connected any more


def _send_gathered(sock: socket.socket, chunks: list[bytes]) -> None:
    """Send many chunks with few calls: each of them has to get the interpreter back from the event loop."""
    first = 0
    while first < len(chunks):
        sent = sock.sendmsg(chunks[first : first + GATHERED_MAX])
        while first < len(chunks) and sent >= len(chunks[first]):
            sent -= len(chunks[first])
            first += 1
        if sent:
            chunks[first] = memoryview(chunks[first])[sent:]  # type: ignore[call-overload]


class Wire:
    """
    Connections to one endpoint, kept open; as many as there are threads that call `put` at once.

    Args:
        url: Scheme, host and, with path style, the bucket: what comes before the key.
        credentials: Asked before every request, since they may be short-lived.
        signs_payload: Whether the body's SHA-256 is signed; without TLS nothing else vouches for the bytes.
    """

    def __init__(
        self,
        url: str,
        *,
        region: str,
        credentials: Callable[[], Credentials],
        clock: Clock,
        signs_payload: bool,
        timeout_seconds: float,
    ) -> None:
        parts = urlsplit(url)
        self._is_secure = parts.scheme == "https"
        self._host, self._port, self._netloc = parts.hostname or "", parts.port, parts.netloc
        self._path = parts.path.rstrip("/")
        self._region, self._credentials, self._clock = region, credentials, clock
        self._signs_payload, self._timeout_seconds = signs_payload, timeout_seconds
        self._idle: list[http.client.HTTPConnection] = []
        self._context = ssl.create_default_context() if self._is_secure else None

    def put(
        self, key: str, part: Part | None, *, query: Mapping[str, str], headers: Mapping[str, str], transfer: Transfer
    ) -> Answer:
        """
        Send a part, blocking.

        Raises:
            OSError, http.client.HTTPException: No answer came.
            Aborted: `transfer` was told to.
        """
        path, text = f"{self._path}/{encode(key, safe='/')}", encode_query(query)
        signed = sign(
            "PUT",
            path,
            text,
            {"host": self._netloc, **headers},
            payload_sha256=self._digest(part),
            credentials=self._credentials(),
            region=self._region,
            now=self._clock.now(),
        )
        signed["content-length"] = str(part.size if part else 0)
        target = f"{path}?{text}" if text else path
        while True:
            connection, is_fresh = self._take()
            try:
                return self._exchange(connection, target, signed, part, transfer)
            except (http.client.RemoteDisconnected, ConnectionError):
                # A server may close what is idle at the very moment we use it again.
                if is_fresh or transfer.is_aborted:
                    raise

    def _take(self) -> tuple[http.client.HTTPConnection, bool]:
        """Give an idle connection, or a fresh one (True)."""
        try:
            return self._idle.pop(), False
        except IndexError:
            return self._connect(), True

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        target: str,
        headers: Mapping[str, str],
        part: Part | None,
        transfer: Transfer,
    ) -> Answer:
        is_kept = False
        try:
            transfer.begin(connection)
            connection.putrequest("PUT", target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            try:
                self._send(connection.sock, part)
                was_sent = True
            except ConnectionError:
                # It may have answered before it read everything, and closed.
                was_sent = False
            response = connection.getresponse()
            body = response.read(ANSWER_BYTES_MAX)
            is_kept = was_sent and response.isclosed() and not response.will_close
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
        except (OSError, http.client.HTTPException):
            if transfer.is_aborted:
                raise Aborted from None
            raise
        finally:
            transfer.end()
            if is_kept:
                self._idle.append(connection)
            else:
                connection.close()

    def _send(self, sock: socket.socket, part: Part | None) -> None:
        if part is None:
            return
        if self._is_secure:
            for chunk in part.chunks():
                sock.sendall(chunk)
        elif part.file is None:
            _send_gathered(sock, list(part.chunks()))
        else:
            part.file.seek(0)  # where sendfile cannot do it, Python reads on from where the last write ended
            if sock.sendfile(part.file, 0, part.size) != part.size:
                raise OSError("the spooled part is shorter than it was")

    def _digest(self, part: Part | None) -> str:
        if part is None:
            return EMPTY_SHA256
        if not self._signs_payload:
            return UNSIGNED
        digest = hashlib.sha256()
        for chunk in part.chunks():
            digest.update(chunk)
        return digest.hexdigest()

    def _connect(self) -> http.client.HTTPConnection:
        connect_seconds = min(self._timeout_seconds, CONNECT_SECONDS_MAX)
        if self._context is not None:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                self._host, self._port, timeout=connect_seconds, context=self._context
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=connect_seconds)
        connection.connect()
        if connection.sock is not None:
            connection.sock.settimeout(self._timeout_seconds)
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def close(self) -> None:
        """Close what is idle; nothing must be on its way any more."""
        while self._idle:
            self._idle.pop().close()
