"""Share links over REST, for those who make them: their guests come by `rest/shares.py`."""

from datetime import datetime
from typing import Annotated, Protocol

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from domain.file import File
from domain.ids import FileId, ShareLinkId
from domain.page import PAGE_SIZE_MAX
from domain.principal import Principal
from domain.share import ShareLink, ShareLinkKind
from rest.callers import client_of, principal_of
from rest.contents import parse_file_id
from rest.documents import json_response
from rest.files import Files, link
from rest.operations import Answer, Given, GivenJson, Operation, json_answer, json_body
from rest.parsing import Moment, read_model, read_query
from services.shares import NewShareLink, SharePage

_GROUP = "Share links"
_EXAMPLE = {
    "id": "link_01kakc0f8sfxv8q7c3s3b2v4mn",
    "kind": "download",
    "url": "https://files.example.org/s/01kakc0f8sfxv8q7c3s3b2v4mnXb2…",
    "has_password": False,
    "use_count": 0,
    "max_uses": 10,
    "expires_at": "2026-12-24T18:00:00Z",
    "revoked_at": None,
    "created_at": "2026-11-21T12:00:00Z",
}


class LinkDocument(TypedDict):
    """A share link. Whoever has `url` may do what it is for."""

    id: str
    kind: str
    url: str
    has_password: bool
    use_count: int
    max_uses: int | None
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


class LinkList(TypedDict):
    next: str | None
    results: list[LinkDocument]


class Shares(Protocol):
    async def create(self, principal: Principal, new: NewShareLink, *, client: str) -> ShareLink: ...
    async def revoke(self, principal: Principal, link_id: ShareLinkId, *, client: str) -> ShareLink: ...
    async def list_of_file(self, principal: Principal, file: File, *, first: int, after: str | None) -> SharePage: ...
    async def list_of_tenant(self, principal: Principal, *, first: int, after: str | None) -> SharePage: ...
    def url_of(self, link: ShareLink) -> str: ...


class LinkBody(GivenJson):
    expires_at: Moment | None = None
    max_uses: Annotated[int | None, Field(description="Downloads, or files that come in.")] = None
    password: str | None = None


class LinksQuery(Given):
    cursor: Annotated[str | None, Field(description="From `next`.", max_length=2048)] = None
    limit: Annotated[int, Field(description="Links at most.", ge=1, le=PAGE_SIZE_MAX)] = 50


def link_operations(shares: Shares, files: Files) -> list[Operation]:
    """Make the operations."""

    async def _create(request: Request, kind: ShareLinkKind, file_id: FileId | None) -> Response:
        principal, given = principal_of(request), await read_model(request, LinkBody)
        new = NewShareLink(kind, file_id, expires_at=given.expires_at, max_uses=given.max_uses, password=given.password)
        made = await shares.create(principal, new, client=client_of(request))
        return json_response(_document(shares, made), 201)

    async def share(request: Request) -> Response:
        return await _create(request, ShareLinkKind.DOWNLOAD, parse_file_id(request.path_params["id"]))

    async def ask_for_files(request: Request) -> Response:
        return await _create(request, ShareLinkKind.UPLOAD, None)

    async def list_of_file(request: Request) -> Response:
        principal, given = principal_of(request), read_query(request, LinksQuery)
        file = await files.get(principal, parse_file_id(request.path_params["id"]))
        found = await shares.list_of_file(principal, file, first=given.limit, after=given.cursor)
        return json_response(_list(request, shares, found))

    async def list_all(request: Request) -> Response:
        given = read_query(request, LinksQuery)
        found = await shares.list_of_tenant(principal_of(request), first=given.limit, after=given.cursor)
        return json_response(_list(request, shares, found))

    async def revoke(request: Request) -> Response:
        link_id = ShareLinkId(request.path_params["link"])
        await shares.revoke(principal_of(request), link_id, client=client_of(request))
        return Response(status_code=204)

    made = json_answer(201, "The link. Its address is the right itself.", LinkDocument, _EXAMPLE)
    listed = json_answer(200, "Newest first.", LinkList, {"next": None, "results": [_EXAMPLE]})
    body = json_body(LinkBody, usual={"expires_at": "2026-12-24T18:00:00Z", "max_uses": 10})
    return [
        Operation(
            "POST",
            "/api/v1/files/{id}/shares",
            "shareFile",
            "Make a link by which guests may download a file",
            _GROUP,
            share,
            (made,),
            body=body,
            faults=("file_deleted",),
        ),
        Operation(
            "GET",
            "/api/v1/files/{id}/shares",
            "listSharesOfFile",
            "The links to a file",
            _GROUP,
            list_of_file,
            (listed,),
            query=LinksQuery,
            faults=("cursor_invalid",),
        ),
        Operation(
            "POST",
            "/api/v1/shares",
            "requestFiles",
            "Make a link by which guests may upload files to you",
            _GROUP,
            ask_for_files,
            (made,),
            body=body,
        ),
        Operation(
            "GET",
            "/api/v1/shares",
            "listShares",
            "Your links",
            _GROUP,
            list_all,
            (listed,),
            query=LinksQuery,
            faults=("cursor_invalid",),
        ),
        Operation(
            "DELETE",
            "/api/v1/shares/{link}",
            "revokeShare",
            "End a link at once",
            _GROUP,
            revoke,
            (Answer(204, "It leads nowhere any more."),),
            faults=("conflict",),
        ),
    ]


def _document(shares: Shares, one: ShareLink) -> LinkDocument:
    return {
        "id": one.id,
        "kind": one.kind.value,
        "url": shares.url_of(one),
        "has_password": one.password_hash is not None,
        "use_count": one.use_count,
        "max_uses": one.max_uses,
        "expires_at": one.expires_at,
        "revoked_at": one.revoked_at,
        "created_at": one.created_at,
    }


def _list(request: Request, shares: Shares, found: SharePage) -> LinkList:
    items = found.page.items
    following = link(request, cursor=found.cursor_of(items[-1])) if found.page.has_next and items else None
    return {"next": following, "results": [_document(shares, one) for one in items]}
