"""
The upload face over ASGI: requests in, calls of the upload service, answers out.

The fast path of the product: no framework object is made for a request. Rules of the protocols are in upload.protocol.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol

from domain.clock import Clock
from domain.errors import ChecksumMismatch, LighterageError, Unauthenticated, UploadComplete
from domain.ids import UploadId
from domain.principal import GUEST, Principal
from domain.upload import (
    AppendBytes,
    Body,
    BodyEnd,
    Command,
    CreateUpload,
    GetOptions,
    GetStatus,
    TerminateUpload,
    Upload,
)
from upload.body import PIPED_BYTES_MIN, BodyPipe, BodyReader, Message, Receive
from upload.protocol import cors, rufh, tus1
from upload.protocol.config import Config
from upload.protocol.errors import BodyCut, InternalFault, RequestIdle, RequestStopped
from upload.protocol.message import Answer, Field, Headers, RequestHead, parse_body_length

Scope = dict[str, Any]  # ASGI's own shape
Send = Callable[[Message], Awaitable[None]]

DRAIN_BYTES_MAX = 256 * 1024  # read and thrown away after a refusal, so that a client still sending sees the answer

_ENDS: dict[BodyEnd, type[LighterageError]] = {
    BodyEnd.CUT: BodyCut,
    BodyEnd.STOPPED: RequestStopped,
    BodyEnd.IDLE: RequestIdle,
}

logger = logging.getLogger(__name__)


class Uploads(Protocol):
    """The part of services.uploads.UploadService that is called here. Every method raises LighterageErrors only."""

    @property
    def length_max(self) -> int: ...

    async def create(self, principal: Principal, command: CreateUpload, body: Body | None) -> Upload: ...
    async def append(self, principal: Principal, command: AppendBytes, body: Body) -> Upload: ...
    async def status(self, principal: Principal, upload_id: UploadId) -> Upload: ...
    async def settle(self, principal: Principal, upload_id: UploadId) -> Upload: ...
    async def terminate(self, principal: Principal, upload_id: UploadId) -> None: ...


class Dialect(Protocol):
    """What a protocol's module holds."""

    def parse(self, head: RequestHead, config: Config) -> Command: ...
    def format_created(
        self,
        upload: Upload,
        command: CreateUpload,
        head: RequestHead,
        config: Config,
        *,
        fault: LighterageError | None = None,
    ) -> Answer: ...
    def format_appended(self, upload: Upload, command: AppendBytes, head: RequestHead, config: Config) -> Answer: ...
    def format_status(self, upload: Upload, head: RequestHead, config: Config) -> Answer: ...
    def format_terminated(self, head: RequestHead) -> Answer: ...
    def format_error(
        self, error: LighterageError, head: RequestHead, config: Config, *, offset: int | None = None
    ) -> Answer: ...


class UploadEndpoint:
    """
    An ASGI application, mounted at `config.base_path`.

    It expects of the scope, all optional: `lighterage.principal`, a Principal (else a guest);
    `lighterage.authentication_error`, a LighterageError to refuse the request with; `lighterage.request_id`;
    `lighterage.pipe`, which makes a BodyPipe for the request, or None where there can be none.

    Where the scope has the extension `http.response.informational`, the server can send a message of that type, with
    `status` and `headers`, before the response; then new uploads of the IETF draft are announced with 104.
    """

    def __init__(self, service: Uploads, config: Config | None = None, *, clock: Clock | None = None) -> None:
        """
        Args:
            clock: For the lifetimes that the IETF draft announces; without one, none are.
        """
        self._service = service
        self._config = replace(config or Config(), length_max=service.length_max)
        self._clock = clock
        self._receiving: set[BodyReader] = set()
        self._received = 0

    @property
    def in_flight(self) -> int:
        """How many bodies are being received now."""
        return len(self._receiving)

    @property
    def received_bytes(self) -> int:
        """How many bytes of bodies came so far, those of requests under way included."""
        return self._received + sum(body.received for body in self._receiving)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close"})  # refuses the handshake
            return
        head = self._head(scope, Headers(scope["headers"]))
        body = BodyReader(
            receive,
            length=head.body_length,
            idle_timeout_seconds=self._config.idle_timeout_seconds,
            header_lines=scope["headers"],
            algorithms=self._config.checksum_algorithms,
            rate_min_bytes_per_second=self._config.rate_min_bytes_per_second,
            pipe=_pipe(scope, head.body_length),
        )
        if body.ended_by is None:
            self._receiving.add(body)
        try:
            answer = await self._answer(scope, head, body, send)
            if body.is_connected:
                await self._send(answer, scope, head, body, send)
        finally:
            body.close()
            self._receiving.discard(body)
            self._received += body.received

    def _head(self, scope: Scope, fields: Headers) -> RequestHead:
        config = self._config
        public_url = scope.get("lighterage.public_url") or config.public_url
        root, path = scope.get("root_path", ""), scope["path"]
        if root and path.startswith(root):
            path = path[len(root) :]
        if path.startswith(config.base_path):
            location_path, tail = root + config.base_path, path[len(config.base_path) :]
        elif path == config.base_path[:-1]:
            location_path, tail = root + config.base_path, ""
        else:  # mounted by a router, which moved our path into the root's
            location_path, tail = root + "/", path.lstrip("/")
        return RequestHead(
            method=scope["method"],
            path_tail=tail,
            headers=fields,
            location_path=location_path,
            location_prefix=public_url.rstrip("/") + config.base_path if public_url else location_path,
            body_length=parse_body_length(fields, http_version=scope.get("http_version", "1.1")),
            request_id=scope.get("lighterage.request_id"),
            received_at=self._clock.now() if self._clock is not None else None,
        )

    def _dialect(self, head: RequestHead) -> Dialect:
        return rufh if self._config.rufh_enabled and rufh.claims(head) else tus1

    async def _answer(self, scope: Scope, head: RequestHead, body: BodyReader, send: Send) -> Answer:
        dialect = self._dialect(head)
        try:
            principal = _authenticate(scope)
            match dialect.parse(head, self._config):
                case AppendBytes() as command:
                    return await self._append(principal, command, head, body, dialect)
                case CreateUpload() as command:
                    return await self._create(principal, command, head, body, dialect, scope, send)
                case GetStatus(upload_id, settles):
                    ask = self._service.settle if settles else self._service.status
                    upload = await ask(principal, upload_id)
                    return dialect.format_status(upload, head, self._config)
                case TerminateUpload(upload_id):
                    await self._service.terminate(principal, upload_id)
                    return dialect.format_terminated(head)
                case GetOptions():
                    return self._options()
        except ChecksumMismatch as error:
            # Of a body that ended early the checksum says nothing; the client must hear why it ended.
            return dialect.format_error(_early_end(body) or error, head, self._config)
        except LighterageError as error:
            return dialect.format_error(error, head, self._config)
        except Exception:
            logger.exception("an upload request failed")
            return dialect.format_error(InternalFault(), head, self._config)

    async def _append(
        self, principal: Principal, command: AppendBytes, head: RequestHead, body: BodyReader, dialect: Dialect
    ) -> Answer:
        try:
            upload = await self._service.append(principal, command, body)
        except UploadComplete:
            if command.is_last is False or command.body_length != 0:
                raise
            # The answer to the last bytes was lost, or those before had reached the end: nothing is left to do.
            upload = await self._service.status(principal, command.upload_id)
        fault = _early_end(body)
        if fault is not None:
            return dialect.format_error(fault, head, self._config, offset=upload.offset)
        return dialect.format_appended(upload, command, head, self._config)

    async def _create(
        self,
        principal: Principal,
        command: CreateUpload,
        head: RequestHead,
        body: BodyReader,
        dialect: Dialect,
        scope: Scope,
        send: Send,
    ) -> Answer:
        if not command.has_body:
            upload = await self._service.create(principal, command, None)
        elif dialect is rufh and "http.response.informational" in (scope.get("extensions") or ()):
            upload = await self._create_announced(principal, command, head, body, send)
        else:
            upload = await self._service.create(principal, command, body)
        fault = _early_end(body) if command.has_body else None
        return dialect.format_created(upload, command, head, self._config, fault=fault)

    async def _create_announced(
        self, principal: Principal, command: CreateUpload, head: RequestHead, body: BodyReader, send: Send
    ) -> Upload:
        """Create first and read the body after, so that a client that is cut off knows where to go on."""
        empty = replace(command, has_body=False, body_length=0, is_last=False, checksum=None)
        upload = await self._service.create(principal, empty, None)
        interim = rufh.format_interim(upload, head, self._config)
        if interim is not None:
            message = {"type": "http.response.informational", "status": interim.status, "headers": [*interim.headers]}
            await send(message)
        append = AppendBytes(
            upload.id, 0, body_length=command.body_length, is_last=command.is_last, checksum=command.checksum
        )
        return await self._service.append(principal, append, body)

    def _options(self) -> Answer:
        """Both protocols have their say: a client that asks does not tell which one it speaks."""
        fields = tus1.format_options(self._config).headers
        if self._config.rufh_enabled:
            fields += rufh.format_options(self._config).headers
        return Answer(204, fields)

    async def _send(self, answer: Answer, scope: Scope, head: RequestHead, body: BodyReader, send: Send) -> None:
        origin = head.headers.find(b"origin")
        fields: list[Field] = [*answer.headers, *tus1.COMMON_FIELDS, *cors.fields_for(origin, self._config)]
        if scope["method"] == "OPTIONS":
            fields += cors.preflight_fields_for(origin, self._config)
        content = b"" if scope["method"] == "HEAD" else answer.body
        if answer.status != 204 and scope["method"] != "HEAD":
            fields.append((b"content-length", str(len(content)).encode()))
        is_expecting = b"expect" in head.headers and body.received == 0
        closes = _closes(body, is_expecting=is_expecting)
        if closes:
            fields.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": fields})
        if closes and body.ended_by is None and not is_expecting:
            # Closing on a client that is still sending would reset the connection, and the answer with it.
            await send({"type": "http.response.body", "body": content, "more_body": True})
            content = b""
            await body.drain(DRAIN_BYTES_MAX, timeout_seconds=self._config.linger_seconds)
        await send({"type": "http.response.body", "body": content})


def _pipe(scope: Scope, length: int | None) -> BodyPipe | None:
    open_pipe: Callable[[], BodyPipe | None] | None = scope.get("lighterage.pipe")
    return open_pipe() if open_pipe is not None and length is not None and length >= PIPED_BYTES_MIN else None


def _authenticate(scope: Scope) -> Principal:
    """Give who is asking, or raise; what the server can do is told to anyone."""
    principal: Principal = scope.get("lighterage.principal", GUEST)
    if scope["method"] == "OPTIONS":
        return principal
    error: LighterageError | None = scope.get("lighterage.authentication_error")
    if error is not None:
        raise error
    if principal.is_guest and principal.upload_id is None and principal.link_id is None:
        raise Unauthenticated("uploading needs a log-in")
    return principal


def _early_end(body: BodyReader) -> LighterageError | None:
    """Say why a body ended before its time, if it did."""
    kind = None if body.ended_by is None else _ENDS.get(body.ended_by)
    return None if kind is None else kind()


def _closes(body: BodyReader, *, is_expecting: bool) -> bool:
    """
    Tell whether the connection must close: what is left of the body would be in the way of the next request.

    A client that still waits for 100 Continue may never send its body, and its next request would be taken for that.
    """
    if body.ended_by is BodyEnd.COMPLETE:
        return False
    return (
        is_expecting
        or body.ended_by is not None
        or body.length is None
        or body.length - body.received > DRAIN_BYTES_MAX
    )
