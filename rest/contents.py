"""The bytes of files over REST: whole, in ranges, with their digests, under their own names."""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, Protocol, TypeVar
from urllib.parse import quote
from uuid import UUID

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from domain.errors import NotFound
from domain.file import File
from domain.ids import FileId, id_of_uuid
from domain.principal import Principal
from rest.callers import caller_of
from rest.digests import format_sha256, wants_sha256
from rest.operations import Access, Answer, Content, Given, Operation
from rest.ranges import ByteRange, is_not_modified, parse_range
from rest.streaming import disconnected
from services.files import Content as FileContent

# What a browser may show on this origin. Everything else is handed over as a download: a page or a drawing with
# scripts in it would run with the rights of whoever looks at it.
_SHOWN = re.compile(r"(image/(png|jpeg|gif|webp|avif|bmp)|audio/.+|video/.+|text/plain|text/csv|application/pdf)")
CONTENT_DIGEST_BYTES_MAX = 2**20  # of a range whose digest is asked for; larger ones have the file's manifest
T = TypeVar("T")

_SANDBOX = "default-src 'none'; sandbox"


class Files(Protocol):
    async def content(self, principal: Principal, file_id: FileId) -> FileContent: ...
    async def content_by_token(self, token: str, file_id: FileId) -> FileContent: ...


class ContentResponse(Response):
    """Sends a range of a file, and stops reading it when the client goes away."""

    def __init__(self, content: FileContent, span: ByteRange, headers: dict[str, str], *, is_head: bool) -> None:
        super().__init__(status_code=206 if span.is_partial else 200, headers=headers)
        del self.headers["content-length"]
        self.headers["content-length"] = str(span.end - span.start)
        self._content = content
        self._span = span
        self._is_head = is_head

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        if self._is_head or self._span.end == self._span.start:
            await send(start)
        else:
            gone = asyncio.ensure_future(disconnected(receive))
            try:
                await self._send_chunks(start, send, gone)
            finally:
                gone.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _send_chunks(self, start: Message, send: Send, gone: asyncio.Future[None]) -> None:
        async with aclosing(self._content.read(self._span.start, self._span.end)) as chunks:
            # Only when the first bytes are there it is promised that there are any: until then a fault can be told.
            chunk: bytes | None = await anext(chunks)
            await send(start)
            while chunk is not None and not gone.done():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = await anext(chunks, None)


class TokenQuery(Given):
    token: Annotated[str | None, Field(description="The right that a download link carries.", max_length=4096)] = None


CONDITIONS = {
    "Range": "Bytes that are wanted, as `bytes=0-499`.",
    "If-Range": "Only if the file is still this one; else all of it.",
    "If-None-Match": "ETags that the client has.",
    "Want-Content-Digest": "Also digest what is sent.",
}
"""Header fields that a request for bytes may have."""

CONTENT_ANSWERS = (
    Answer(
        200,
        "All bytes.",
        (Content("*/*", {"type": "string", "format": "binary"}),),
        {
            "ETag": "Strong; the same bytes have the same.",
            "Content-Disposition": "The original name.",
            "Repr-Digest": "SHA-256 of the whole file, once it is known.",
            "Accept-Ranges": "Always `bytes`.",
        },
    ),
    Answer(
        206,
        "The bytes of the range.",
        (Content("*/*", {"type": "string", "format": "binary"}),),
        {"Content-Range": "Which they are."},
    ),
    Answer(304, "The client has them."),
    Answer(
        307,
        "They come straight from the store, where `LIGHTERAGE_DOWNLOADS` says so.",
        headers={"Location": "For a few minutes."},
    ),
)
CONTENT_FAULTS = (
    "unauthenticated",
    "not_found",
    "file_not_ready",
    "not_processed",
    "range_not_satisfiable",
    "permission_denied",
)


def content_operation(files: Files) -> Operation:
    """Make the operation of a file's bytes."""

    async def content(request: Request) -> Response:
        return await answer_content(request, await of_file(request, files.content, files.content_by_token))

    return Operation(
        "GET",
        "/api/v1/files/{id}/content",
        "getFileContent",
        "The bytes of a file",
        "Files",
        content,
        CONTENT_ANSWERS,
        access=Access.OPTIONAL,
        notes="Files with the visibility `link` or `public` need no log-in. HEAD works too.",
        query=TokenQuery,
        header_fields=CONDITIONS,
        faults=CONTENT_FAULTS,
    )


async def of_file(
    request: Request,
    as_caller: Callable[[Principal, FileId], Awaitable[T]],
    by_token: Callable[[str, FileId], Awaitable[T]],
) -> T:
    """Ask for something of the file in the path: by the right in the link where it has one, else as whoever asks."""
    file_id = parse_file_id(request.path_params["id"])
    token = request.query_params.get("token")
    if token is not None:
        return await by_token(token, file_id)
    return await as_caller(caller_of(request), file_id)


def parse_file_id(text: str) -> FileId:
    """Read an id in either form, `file_…` or UUID; whatever has neither names nothing."""
    if text.startswith("file_"):
        return FileId(text)
    try:
        return FileId(id_of_uuid("file", UUID(text)))
    except ValueError as error:
        raise NotFound("file") from error


async def answer_content(request: Request, content: FileContent) -> Response:
    file = content.file
    etag = f'"{file.etag}"'
    headers = {
        "etag": etag,
        "accept-ranges": "bytes",
        "last-modified": file.created_at.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "cache-control": "private, no-cache",
        "x-content-type-options": "nosniff",
        "content-security-policy": _SANDBOX,
        "cross-origin-resource-policy": "cross-origin",
        "content-type": file.content_type,
        "content-disposition": disposition(file, inline=content.inline),
    }
    if file.sha256 is not None and wants_sha256(request.headers.get("want-repr-digest"), by_default=True):
        # RFC 9530: of the whole representation, also on a partial answer.
        headers["repr-digest"] = format_sha256(bytes.fromhex(file.sha256))
    if is_not_modified(request.headers.get("if-none-match"), etag=etag):
        return Response(status_code=304, headers=headers)
    if request.method == "GET" and (address := await content.link(disposition=headers["content-disposition"])):
        # The right to the bytes is in this address, so nobody may keep it.
        return Response(status_code=307, headers={"location": address, "cache-control": "no-store"})
    # 14.2: "A server MUST ignore a Range header field received with a request method [...] for which range handling is
    # not defined. For this specification, GET is the only method for which range handling is defined."
    wanted = request.headers.get("range") if request.method == "GET" else None
    span = parse_range(wanted, if_range=request.headers.get("if-range"), etag=etag, size=file.size)
    if span.is_partial:
        headers["content-range"] = f"bytes {span.start}-{span.end - 1}/{file.size}"
    if request.method == "GET" and wants_sha256(request.headers.get("want-content-digest"), by_default=False):
        if file.sha256 is not None and not span.is_partial:
            headers["content-digest"] = format_sha256(bytes.fromhex(file.sha256))
        elif span.end - span.start <= CONTENT_DIGEST_BYTES_MAX:
            return await _digested(content, span, headers)
    return ContentResponse(content, span, headers, is_head=request.method == "HEAD")


async def _digested(content: FileContent, span: ByteRange, headers: dict[str, str]) -> Response:
    """Answer with bytes whose digest goes before them: few enough to be held meanwhile."""
    body = b""
    if span.end > span.start:
        async with aclosing(content.read(span.start, span.end)) as chunks:
            body = b"".join([chunk async for chunk in chunks])
    headers["content-digest"] = format_sha256(hashlib.sha256(body).digest())
    return Response(body, status_code=206 if span.is_partial else 200, headers=headers)


def disposition(file: File, *, inline: bool) -> str:
    """
    Write Content-Disposition with the original name (RFC 6266, 5987).

    `filename` is for clients that know nothing better: ASCII, without what they stumble over.
    """
    kind = "inline" if inline and _SHOWN.fullmatch(file.content_type) else "attachment"
    plain = re.sub(r'[^\x20-\x7e]|["\\%/]', "_", file.name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}"
