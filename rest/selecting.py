"""
S3's SelectObjectContent as clients of S3 call it: `POST /{bucket}/{key}?select&select-type=2`, signed with an API key.

The bucket is the tenant's slug, or `lighterage`; the key is a file's key or id. Faults are S3's XML before the first
record, and messages of the stream after it.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Protocol
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from domain.errors import LighterageError, NotFound, SqlInvalid
from domain.ids import FileId
from domain.principal import Principal
from domain.tenant import Tenant
from rest import eventstream
from rest.bodies import read_body
from rest.contents import parse_file_id
from rest.selectxml import error_document, parse_request
from rest.streaming import StreamResponse
from services.queries import End, Progress, Stats
from services.reading import OutputFormat, Select
from services.signing import Signed, SignedHead

BUCKET_OF_EVERYBODY = "lighterage"
QUIET_SECONDS = 1.0  # after which a stream without records is told to be alive
CONTENT_TYPE = "application/vnd.amazon.eventstream"

ANSWERS: Mapping[str, tuple[str, int]] = {
    "checksum_mismatch": ("BadDigest", 400),
    "clock_skewed": ("RequestTimeTooSkewed", 403),
    "file_not_ready": ("InvalidObjectState", 403),
    "not_processed": ("InvalidObjectState", 403),
    "invalid_value": ("InvalidArgument", 400),
    "length_exceeded": ("MaxMessageLengthExceeded", 400),
    "not_found": ("NoSuchKey", 404),
    "permission_denied": ("AccessDenied", 403),
    "query_limit_exceeded": ("QueryLimitExceeded", 400),
    "rate_limited": ("SlowDown", 503),
    "signature_invalid": ("SignatureDoesNotMatch", 403),
    "store_unavailable": ("ServiceUnavailable", 503),
    "token_expired": ("ExpiredToken", 400),
    "token_invalid": ("InvalidAccessKeyId", 403),
    "unauthenticated": ("AccessDenied", 403),
}
"""Our codes in S3's words; what is not here does not happen at this door, and would be InternalError."""


class Queries(Protocol):
    def select_text(
        self, principal: Principal, file_id: FileId, query: Select, output: OutputFormat, *, key: str | None = None
    ) -> AsyncGenerator[bytes | Progress | End, None]: ...


class Tenants(Protocol):
    async def get(self, principal: Principal, *, slug: str | None = None) -> Tenant: ...


class Signatures(Protocol):
    async def authenticate(self, head: SignedHead) -> Signed: ...


class SelectRoute(Route):
    """The route of the call: to every other request its paths do not exist."""

    def __init__(self, queries: Queries, tenants: Tenants, signatures: Signatures) -> None:
        super().__init__("/{bucket}/{key:path}", SelectCall(queries, tenants, signatures), methods=["POST"])

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or scope["method"] != "POST" or not is_select(scope["query_string"]):
            return Match.NONE, {}
        return super().matches(scope)


def is_select(query_string: bytes) -> bool:
    """Tell whether a request is SelectObjectContent."""
    if b"select" not in query_string:
        return False
    return dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)).keys() >= {"select", "select-type"}


class SelectCall:
    """Answers the call."""

    def __init__(self, queries: Queries, tenants: Tenants, signatures: Signatures) -> None:
        self._queries = queries
        self._tenants = tenants
        self._signatures = signatures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        request_id = str(scope.get("lighterage.request_id", ""))
        try:
            response = await self._answer(request, request_id)
            await response(scope, receive, send)
        except LighterageError as error:
            # Only before the first byte of the answer: after it a fault is part of the stream.
            code, status = answer_of(error)
            document = error_document(code, error.message, resource=request.url.path, request_id=request_id)
            headers = {"x-amz-request-id": request_id, "cache-control": "no-store"}
            await Response(document, status, headers, "application/xml")(scope, receive, send)

    async def _answer(self, request: Request, request_id: str) -> Response:
        signed = await self._signatures.authenticate(_head(request))
        bucket = request.path_params["bucket"]
        await self._tenants.get(signed.principal, slug=None if bucket == BUCKET_OF_EVERYBODY else bucket)
        file_id, key = _file_named(request.path_params["key"])
        body = await read_body(request)
        signed.check_body(body)
        asked = parse_request(body)
        events = self._queries.select_text(signed.principal, file_id, asked.select, asked.output, key=key)
        messages = _messages(events, wants_progress=asked.wants_progress)
        return StreamResponse(messages, {"content-type": CONTENT_TYPE, "x-amz-request-id": request_id})


def answer_of(error: LighterageError) -> tuple[str, int]:
    """Give S3's code and status for a fault."""
    if isinstance(error, SqlInvalid):
        return error.sql_code, 400
    if isinstance(error, NotFound) and error.kind == "tenant":
        return "NoSuchBucket", 404
    return ANSWERS.get(error.code, ("InternalError", 500))


def _head(request: Request) -> SignedHead:
    scope = request.scope
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return SignedHead(request.method, path, scope["query_string"].decode("latin-1"), headers)


def _file_named(key: str) -> tuple[FileId, str | None]:
    """Give the id of a file that is named by its id, or by its key, of which the id is a part."""
    parts = key.split("/")
    if len(parts) == 1:
        return parse_file_id(key), None
    if len(parts) != 3:
        raise NotFound("file")
    return parse_file_id(parts[1]), key


async def _messages(
    events: AsyncGenerator[bytes | Progress | End, None], *, wants_progress: bool
) -> AsyncGenerator[bytes, None]:
    clock = asyncio.get_running_loop().time
    has_begun, told = False, clock()
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, bytes):
                    for start in range(0, len(event), eventstream.PAYLOAD_BYTES_MAX):
                        yield eventstream.records(memoryview(event)[start : start + eventstream.PAYLOAD_BYTES_MAX])
                elif isinstance(event, End):
                    yield eventstream.statistics(**_counts(event.stats)) + eventstream.end()
                elif wants_progress:
                    yield eventstream.progress(**_counts(event.stats))
                elif clock() - told < QUIET_SECONDS:
                    continue
                else:
                    yield eventstream.continuation()
                has_begun, told = True, clock()
    except LighterageError as error:
        if not has_begun:
            raise
        yield eventstream.error(answer_of(error)[0], error.message)


def _counts(stats: Stats) -> dict[str, int]:
    return {
        "scanned_bytes": stats.bytes_scanned,
        "processed_bytes": stats.bytes_processed,
        "returned_bytes": stats.bytes_returned,
    }
