"""
What a proxy in front of a server breaks, found out from outside, with the lines that put it right.

Every check asks over a plain socket, since HTTP libraries hide what matters here: when bytes come, and which. A server
without a proxy passes all of them.
"""

import base64
import json
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 10.0
EARLY_SECONDS = 5.0  # in which an answer comes that waits for nothing
BODY_BYTES = 100 * 2**30  # promised, never sent
HEAD_BYTES = 12 * 2**10  # what a long Upload-Metadata or Upload-Concat comes to
ANSWER_BYTES_MAX = 2**20
WEBSOCKET_VERSION = "13"
PROXIES = ("nginx", "Caddy", "Traefik", "ALB")


class State(Enum):
    GOOD = "good"
    BAD = "bad"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `fixes`: what to write where, by proxy."""

    check: str
    state: State
    said: str
    fixes: Mapping[str, str] = field(default_factory=dict)


class Unreachable(Exception):
    """Nothing answers there, or nothing of ours. The message is for whoever called."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def is_ours(self) -> bool:
        """The server's own answers carry an id of the request; a proxy's do not."""
        return "x-request-id" in self.headers


class Server:
    """One server, by its address; each request has a connection of its own."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Unreachable(f"{url!r} is no address; write https://files.example.org")
        self.scheme, self.host = parts.scheme, parts.hostname
        self.port = parts.port or (443 if self.scheme == "https" else 80)
        self.prefix = parts.path.rstrip("/")
        self.netloc = parts.netloc.rpartition("@")[2]

    @property
    def root(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.prefix}"

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        wait_seconds: float = ANSWER_SECONDS,
        body_wanted: bool = True,
    ) -> Answer | None:
        """Send a head and these bytes of its body, and give the answer; None where none comes in time."""
        named = {"Host": self.netloc, "User-Agent": "lighterage-doctor", "Connection": "close", **(headers or {})}
        lines = [f"{method} {self.prefix}{path} HTTP/1.1", *(f"{name}: {text}" for name, text in named.items())]
        began = time.monotonic()
        with self._connect() as connection:
            try:
                connection.settimeout(wait_seconds)
                connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            except OSError:
                pass  # it may have answered and closed already
            return _read(connection, until=began + wait_seconds, began=began, body_wanted=body_wanted)

    def _connect(self) -> socket.socket:
        try:
            connection = socket.create_connection((self.host, self.port), timeout=CONNECT_SECONDS)
            if self.scheme == "https":
                return ssl.create_default_context().wrap_socket(connection, server_hostname=self.host)
        except ssl.SSLError as error:
            raise Unreachable(f"{self.root}: TLS fails: {error.reason or error}") from error
        except OSError as error:
            raise Unreachable(f"{self.root} does not answer: {error.strerror or error}") from error
        return connection


def _read(connection: socket.socket, *, until: float, began: float, body_wanted: bool) -> Answer | None:
    received = b""
    head = None
    try:
        while len(received) < ANSWER_BYTES_MAX:
            connection.settimeout(max(0.01, until - time.monotonic()))
            piece = connection.recv(65_536)
            received += piece
            if head is None and b"\r\n\r\n" in received:
                head = received.partition(b"\r\n\r\n")[0]
                if head.startswith(b"HTTP/1.1 100"):
                    received, head = received.partition(b"\r\n\r\n")[2], None
                    continue
            if not piece or (head is not None and (not body_wanted or head.startswith(b"HTTP/1.1 101"))):
                break
    except OSError:
        pass  # time is over, or the connection was cut: what came tells
    if b"\r\n\r\n" not in received:
        return None
    text, _, body = received.partition(b"\r\n\r\n")
    first, *lines = text.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        return None
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(words[1]), headers, _unchunked(body, headers), time.monotonic() - began)


def _unchunked(body: bytes, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return body
    content = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        try:
            length = int(size.split(b";")[0], 16)
        except ValueError:
            break
        content, body = content + body[:length], body[length + 2 :]
        if length == 0:
            break
    return content


# ---- checks


def examine(url: str, token: str | None = None) -> list[Finding]:
    """
    Ask a server what its proxies leave of a request.

    Args:
        token: An access token; some checks need one.

    Raises:
        Unreachable: There is no Lighterage.
    """
    server = Server(url)
    alive = server.ask("GET", "/healthz")
    if alive is None or alive.status != 200 or b'"ok"' not in alive.body:
        told = "nothing in time" if alive is None else f"status {alive.status}"
        raise Unreachable(f"{server.root}/healthz answered {told}: there is no Lighterage, or no way to it")
    checks: tuple[Callable[[Server, str | None], Finding], ...] = (
        check_address,
        check_methods,
        check_fields,
        check_head_size,
        check_body_size,
        check_request_buffering,
        check_websocket,
        check_streaming,
        check_range,
    )
    return [check(server, token) for check in checks]


def check_address(server: Server, _token: str | None) -> Finding:
    """Scheme and host: the links that clients are given must lead back to where they asked."""
    question = json.dumps({"query": "{ serverInfo { tusUrl } }"}).encode()
    head = {"Content-Type": "application/json", "Content-Length": str(len(question))}
    answer = server.ask("POST", "/graphql", head, question)
    told = _dig(answer, "data", "serverInfo", "tusUrl") or _dig(server.ask("GET", "/api/v1/limits"), "upload_url")
    if not isinstance(told, str):
        return Finding("address", State.SKIPPED, "the server tells no address of its own")
    if told.startswith("/") or told.rstrip("/") == f"{server.root}/files":
        return Finding("address", State.GOOD, f"links lead to {server.root}")
    said = f"links lead to {told.removesuffix('files/')}, but you asked at {server.root}/"
    return Finding("address", State.BAD, said, _fix_address(server))


def check_methods(server: Server, _token: str | None) -> Finding:
    """What tus and the IETF's draft need beside GET and POST."""
    path = f"/files/upload_{'0' * 26}"
    tus = {"Tus-Resumable": "1.0.0", "Content-Length": "0", "Upload-Offset": "0"}
    lost = []
    for method in ("HEAD", "PATCH", "DELETE", "OPTIONS"):
        answer = server.ask(method, path, tus)
        if answer is None or not answer.is_ours:
            lost.append(f"{method} ({'no answer' if answer is None else answer.status})")
    if lost:
        return Finding("methods", State.BAD, f"these do not come through: {', '.join(lost)}", _FIX_METHODS)
    return Finding("methods", State.GOOD, "HEAD, PATCH, DELETE and OPTIONS come through")


def check_fields(server: Server, _token: str | None) -> Finding:
    """Fields that clients of uploads read must come back."""
    answer = server.ask("OPTIONS", "/files/", {"Tus-Resumable": "1.0.0"})
    if answer is None or not answer.is_ours:
        return Finding("fields", State.SKIPPED, "OPTIONS does not come through: see methods")
    wanted = ("tus-version", "tus-extension", "tus-resumable")
    missing = [name for name in wanted if name not in answer.headers]
    if missing:
        return Finding("fields", State.BAD, f"these fields of answers are lost: {', '.join(missing)}", _FIX_METHODS)
    return Finding("fields", State.GOOD, "the fields of uploads come back")


def check_head_size(server: Server, _token: str | None) -> Finding:
    """Upload-Metadata and Upload-Concat may be long."""
    answer = server.ask("GET", "/healthz", {"Upload-Metadata": "note " + "A" * HEAD_BYTES})
    if answer is None or not answer.is_ours:
        told = "no answer" if answer is None else str(answer.status)
        return Finding("head", State.BAD, f"a request head of {HEAD_BYTES} bytes is refused: {told}", _FIX_HEAD)
    return Finding("head", State.GOOD, f"a request head of {HEAD_BYTES} bytes comes through")


def check_body_size(server: Server, _token: str | None) -> Finding:
    """A proxy that limits bodies says so before the server is asked."""
    answer = server.ask("POST", "/files/", _creation(BODY_BYTES), wait_seconds=EARLY_SECONDS, body_wanted=False)
    if answer is not None and answer.status == 413 and not answer.is_ours:
        return Finding("body", State.BAD, "a large body is refused by the proxy (413)", _FIX_BODY)
    if answer is not None and not answer.is_ours:
        return Finding("body", State.BAD, f"a large body is answered {answer.status} by the proxy", _FIX_BODY)
    if answer is None:
        return Finding("body", State.SKIPPED, "the proxy answers nothing before it has the whole body: see buffering")
    return Finding("body", State.GOOD, f"a body of {BODY_BYTES // 2**30} GiB would be let through")


def check_request_buffering(server: Server, _token: str | None) -> Finding:
    """The server must see bytes as they come: else nothing is kept of a body that breaks off."""
    # It asks who this is before it reads a byte, so an answer to half a body says that the request has arrived.
    answer = server.ask("POST", "/files/", _creation(2**20), b"x" * 1024, wait_seconds=EARLY_SECONDS, body_wanted=False)
    if answer is None:
        said = "the proxy keeps a body until it is whole: a transfer that breaks off starts from 0 again"
        return Finding("buffering", State.BAD, said, _FIX_REQUEST_BUFFERING)
    if not answer.is_ours:
        return Finding("buffering", State.BAD, f"the proxy answers {answer.status} itself", _FIX_REQUEST_BUFFERING)
    return Finding("buffering", State.GOOD, "a body reaches the server while it is sent")


def check_websocket(server: Server, _token: str | None) -> Finding:
    """GraphQL's subscriptions."""
    head = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": WEBSOCKET_VERSION,
        "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
        "Sec-WebSocket-Protocol": "graphql-transport-ws",
        "Origin": f"{server.scheme}://{server.netloc}",
    }
    answer = server.ask("GET", "/graphql", head, body_wanted=False)
    if answer is not None and answer.status == 101:
        return Finding("websocket", State.GOOD, "WebSockets come through")
    if answer is not None and answer.status == 404 and answer.is_ours:
        return Finding("websocket", State.SKIPPED, "GraphQL is switched off on this server")
    told = "no answer" if answer is None else str(answer.status)
    said = f"WebSockets do not come through ({told}): live progress and events do not work over them"
    return Finding("websocket", State.BAD, said, _FIX_WEBSOCKET)


def check_streaming(server: Server, token: str | None) -> Finding:
    """Events must come when they happen, and not when a buffer is full."""
    if token is None:
        return Finding("streaming", State.SKIPPED, "needs --token")
    head = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    answer = server.ask("GET", "/api/v1/events", head, wait_seconds=EARLY_SECONDS, body_wanted=False)
    if answer is None:
        said = "the stream of events is held back: the proxy buffers answers"
        return Finding("streaming", State.BAD, said, _FIX_STREAMING)
    if answer.status != 200:
        return Finding("streaming", State.SKIPPED, f"events were answered {answer.status}: is the token good?")
    return Finding("streaming", State.GOOD, "events come as they happen")


def check_range(server: Server, token: str | None) -> Finding:
    """Part of a file, for players and for downloads that go on."""
    if token is None:
        return Finding("range", State.SKIPPED, "needs --token")
    head = {"Authorization": f"Bearer {token}"}
    listed = _dig(server.ask("GET", "/api/v1/files?page_size=20", head), "results")
    ids = [
        one["id"]
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict) and one.get("status") == "ready" and one.get("size")
    ]
    if not ids:
        return Finding("range", State.SKIPPED, "needs a file that is not empty: upload one")
    answer = server.ask("GET", f"/api/v1/files/{ids[0]}/content", {**head, "Range": "bytes=0-0"})
    if answer is None or answer.status != 206 or len(answer.body) != 1:
        told = "nothing" if answer is None else f"{answer.status} and {len(answer.body)} bytes"
        return Finding("range", State.BAD, f"the first byte of a file was asked for, and {told} came", _FIX_RANGE)
    return Finding("range", State.GOOD, "ranges of files come through")


def _creation(length: int) -> dict[str, str]:
    return {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": str(length),
        "Content-Length": str(length),
        "Content-Type": "application/offset+octet-stream",
    }


def _dig(answer: Answer | None, *names: str) -> object:
    """Take a value out of a JSON answer; None where it is not there."""
    try:
        found: object = json.loads(answer.body) if answer is not None and answer.status == 200 else None
    except ValueError:
        return None
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found


# ---- what to write where


def _fix_address(server: Server) -> dict[str, str]:
    ours = (
        f"Set LIGHTERAGE_PUBLIC_URL={server.root} for the server, or LIGHTERAGE_TRUSTED_PROXIES to the proxy's address"
    )
    return {
        "nginx": f"{ours} and: proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme; "
        "proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $http_host;",
        "Caddy": f"{ours}; Caddy sends these fields by itself.",
        "Traefik": f"{ours}; Traefik sends these fields; behind another proxy set forwardedHeaders.trustedIPs.",
        "ALB": f"{ours}; an ALB sends X-Forwarded-Proto; set routing.http.preserve_host_header.enabled=true.",
    }


_FIX_METHODS = {
    "nginx": "Take limit_except and any `if ($request_method …)` out of the location, and proxy_hide_header for Tus-*.",
    "Caddy": "Take `method` matchers and `header_down -…` out of the site's block.",
    "Traefik": "Take Method() out of the router's rule; a headers middleware must not empty Tus-* or Upload-*.",
    "ALB": "An ALB lets every method through; look at AWS WAF's rules, and at CloudFront's AllowedMethods: all seven.",
}
_FIX_HEAD = {
    "nginx": "large_client_header_buffers 4 64k;",
    "Caddy": "servers { max_header_size 64KB } in the global options.",
    "Traefik": "--entryPoints.web.http.maxHeaderBytes=65536",
    "ALB": "An ALB takes 16 KB a line and 64 KB in all, which cannot be changed: keep Upload-Metadata shorter.",
}
_FIX_BODY = {
    "nginx": "client_max_body_size 0;",
    "Caddy": "Take request_body { max_size … } out of the site's block.",
    "Traefik": "Take the buffering middleware's maxRequestBodyBytes out.",
    "ALB": "An ALB has no limit for instances and containers; a Lambda target takes 1 MB, an API Gateway 10 MB: use "
    "tus with chunks below that, or another target. Look at AWS WAF's body rules.",
}
_FIX_REQUEST_BUFFERING = {
    "nginx": "proxy_request_buffering off; proxy_http_version 1.1;",
    "Caddy": "Take request_buffers out of reverse_proxy.",
    "Traefik": "Take the buffering middleware out.",
    "ALB": "An ALB passes bodies on as they come; look at what else is in the way, as CloudFront or API Gateway.",
}
_FIX_WEBSOCKET = {
    "nginx": 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; '
    "proxy_read_timeout 1h; for /graphql",
    "Caddy": "reverse_proxy passes WebSockets by itself; take header_up for Connection and Upgrade out.",
    "Traefik": "Traefik passes WebSockets by itself; a headers middleware must not change Connection or Upgrade.",
    "ALB": "An ALB passes WebSockets over HTTP/1.1 target groups; raise idle_timeout.timeout_seconds.",
}
_FIX_STREAMING = {
    "nginx": "proxy_buffering off; for /api/v1/events and /graphql",
    "Caddy": "flush_interval -1 in reverse_proxy.",
    "Traefik": "loadBalancer.responseForwarding.flushInterval=1ms for the service; no buffering middleware.",
    "ALB": "An ALB streams; a Lambda target or an API Gateway does not.",
}
_FIX_RANGE = {
    "nginx": "Take proxy_set_header Range and proxy_cache without slice out; gzip off; for /api/v1/files",
    "Caddy": "Take header_up -Range and encode out for /api/v1/files.",
    "Traefik": "Take the compress middleware out for /api/v1/files.",
    "ALB": "An ALB passes Range; let CloudFront forward it (it does by default) and not compress.",
}
