"""What a client asks before and beside its uploads: which are unfinished, what the limits are, what has happened."""

import asyncio
from asyncio import FIRST_COMPLETED
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Annotated, Any, Protocol

import orjson
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import LighterageError, RateLimited, Unauthenticated
from domain.event import FileEvent
from domain.file import File
from domain.ids import TenantId, uuid_of
from domain.page import PAGE_SIZE_MAX
from domain.principal import Principal
from domain.tenant import Tenant, Usage
from domain.upload import Upload, UploadStatus
from rest.bodies import BODY_BYTES_MAX
from rest.callers import caller_of, client_of, principal_of
from rest.documents import (
    EXAMPLE_LIMITS,
    EXAMPLE_UPLOAD,
    NO_STORE,
    LimitsDocument,
    UploadList,
    document_of,
    json_response,
    tenant_limits_of,
    upload_of,
)
from rest.operations import Access, Answer, Content, Given, Operation, json_answer
from rest.parsing import read_query
from rest.streaming import StreamResponse

KEEP_ALIVE_SECONDS = 15.0  # proxies cut what is silent for a minute
RECHECK_SECONDS = 10.0
STREAMS_MAX = 20  # of one user at once
_RESUMABLE = (UploadStatus.CREATED, UploadStatus.IN_PROGRESS)
_NOTHING = b":\n\n"  # a comment: what a client ignores and a proxy counts as life


class Uploads(Protocol):
    @property
    def length_max(self) -> int: ...
    async def list_own(self, principal: Principal, *, statuses: Sequence[UploadStatus], limit: int) -> list[Upload]: ...
    def url_of(self, upload: Upload) -> str: ...


class Tenants(Protocol):
    async def get(self, principal: Principal) -> Tenant: ...
    async def usage(self, principal: Principal, tenant_id: TenantId) -> Usage: ...


class Events(Protocol):
    def events(
        self, principal: Principal, *, after: str | None
    ) -> AsyncGenerator[tuple[str, FileEvent, File | None], None]: ...


class Accounts(Protocol):
    async def authenticate(self, token: str) -> Principal: ...


class UploadsQuery(Given):
    limit: Annotated[int, Field(description="At most so many, the newest first.", ge=1, le=PAGE_SIZE_MAX)] = 20


class EventsQuery(Given):
    after: Annotated[
        str | None, Field(description="Id of the last event seen; instead of Last-Event-ID.", max_length=2048)
    ] = None


def transfer_operations(
    uploads: Uploads, tenants: Tenants, events: Events, accounts: Accounts, *, upload_url: str, stopping: asyncio.Event
) -> list[Operation]:
    """Make the operations. `stopping`: set when the process is about to go; then event streams end."""
    open_streams: dict[str, int] = {}

    async def list_uploads(request: Request) -> Response:
        given = read_query(request, UploadsQuery)
        found = await uploads.list_own(principal_of(request), statuses=_RESUMABLE, limit=given.limit)
        answer: UploadList = {"results": [upload_of(one, url=uploads.url_of(one)) for one in found]}
        return json_response(answer)

    async def limits(request: Request) -> Response:
        principal = caller_of(request)
        document: LimitsDocument = {
            "file_size_max": uploads.length_max,
            "json_bytes_max": BODY_BYTES_MAX,
            "page_size_max": PAGE_SIZE_MAX,
            "upload_url": upload_url,
            "tenant": None,
        }
        if principal.tenant_id is not None:
            tenant = await tenants.get(principal)
            usage = await tenants.usage(principal, principal.tenant_id)
            document["tenant"] = dict(tenant_limits_of(tenant.limits, usage))
        return json_response(document)

    async def watch(request: Request) -> Response:
        principal, given = principal_of(request), read_query(request, EventsQuery)
        after = request.headers.get("last-event-id") or given.after
        token = request.headers.get("authorization", "").partition(" ")[2].strip()
        caller = principal.user_id or client_of(request)

        async def counted() -> AsyncGenerator[bytes | Mapping[str, str], None]:
            if open_streams.get(caller, 0) >= STREAMS_MAX:
                raise RateLimited(retry_after_seconds=int(KEEP_ALIVE_SECONDS))
            open_streams[caller] = open_streams.get(caller, 0) + 1
            try:
                ending = asyncio.ensure_future(_ended(accounts, principal, token, stopping))
                async with aclosing(_frames(events.events(principal, after=after), ending)) as frames:
                    async for frame in frames:
                        yield frame
            finally:
                open_streams[caller] -= 1
                if open_streams[caller] == 0:
                    del open_streams[caller]

        headers = {**NO_STORE, "content-type": "text/event-stream", "x-accel-buffering": "no"}
        return StreamResponse(counted(), headers)

    return [
        Operation(
            "GET",
            "/api/v1/uploads",
            "listUploads",
            "Your unfinished uploads, which any device may continue",
            "Uploads",
            list_uploads,
            (json_answer(200, "Newest first.", UploadList, {"results": [EXAMPLE_UPLOAD]}),),
            query=UploadsQuery,
        ),
        Operation(
            "GET",
            "/api/v1/limits",
            "getLimits",
            "What is taken: sizes, types, quotas",
            "Service",
            limits,
            (json_answer(200, "With the tenant's own, for whoever is logged in.", LimitsDocument, EXAMPLE_LIMITS),),
            access=Access.OPTIONAL,
        ),
        Operation(
            "GET",
            "/api/v1/events",
            "watchEvents",
            "What happens to files, as it happens",
            "Files",
            watch,
            (
                Answer(
                    200,
                    "Server-sent events, without an end.",
                    (
                        Content(
                            "text/event-stream",
                            {"type": "string"},
                            {"created": 'id: eyJ…\nevent: file.created\ndata: {"action":"created","file":{}}\n\n'},
                        ),
                    ),
                ),
            ),
            notes="After a cut, send the last `id` as Last-Event-ID: what happened since comes first.",
            query=EventsQuery,
            header_fields={"Last-Event-ID": "Id of the last event seen."},
            faults=("cursor_invalid", "cursor_too_old", "rate_limited"),
        ),
    ]


async def _frames(
    events: AsyncGenerator[tuple[str, FileEvent, File | None], None], ending: asyncio.Future[None]
) -> AsyncGenerator[bytes, None]:
    """Yield whole events, and signs of life between them, until `ending` is done; closes both."""
    step: asyncio.Future[Any] = asyncio.ensure_future(anext(events, None))
    try:
        has_begun = False
        while not ending.done():
            # What is wrong with the cursor is known at the first step: only then the stream is promised.
            patience = KEEP_ALIVE_SECONDS if has_begun else 0.05
            await asyncio.wait({step, ending}, timeout=patience, return_when=FIRST_COMPLETED)
            if step.done():
                found = step.result()
                if found is None:
                    return
                yield _frame(*found)
                step = asyncio.ensure_future(anext(events, None))
            elif not ending.done():
                yield _NOTHING
            has_begun = True
    finally:
        for task in (step, ending):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
        await events.aclose()


async def _ended(accounts: Accounts, principal: Principal, token: str, stopping: asyncio.Event) -> None:
    """Wait until a stream has to end: the server stops, or its token stands for other rights than before."""
    while not stopping.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(RECHECK_SECONDS):
                await stopping.wait()
        if stopping.is_set() or not token:
            continue
        try:
            if await accounts.authenticate(token) != principal:
                return
        except Unauthenticated:
            return
        except LighterageError:
            continue  # the records do not answer just now: that says nothing against the token


def _frame(cursor: str, event: FileEvent, file: File | None) -> bytes:
    data = {
        "action": event.action.value,
        "at": event.at,
        "file_id": str(uuid_of(event.file_id)),
        "file": None if file is None else document_of(file),
    }
    return b"id: %b\nevent: file.%b\ndata: %b\n\n" % (
        cursor.encode(),
        event.action.value.encode(),
        orjson.dumps(data, option=orjson.OPT_UTC_Z),
    )
