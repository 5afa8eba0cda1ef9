"""Files over REST: list, upload, read about, change, delete, restore, and the links that lead to their bytes."""

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any, Protocol
from urllib.parse import urlencode

from pydantic import Field, model_validator
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import InvalidValue, LighterageError, NotFound
from domain.file import File, FileStatus, Visibility, parse_metadata, parse_name
from domain.ids import FileId
from domain.page import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX
from domain.principal import Principal
from rest.callers import principal_of
from rest.contents import parse_file_id
from rest.documents import (
    EXAMPLE_FILE,
    EXAMPLE_LIST,
    FileDocument,
    FileList,
    FileUrl,
    document_of,
    json_response,
)
from rest.incoming import RAW_CONTENT, FileFields, Receiver, form_content, resource_of
from rest.operations import Access, Answer, Given, GivenJson, Operation, json_answer, json_body
from rest.parsing import Moment, Size, read_model, read_query
from services.files import (
    UNCHANGED,
    FileChanges,
    FileOrder,
    FileOrderField,
    FilePage,
    FileQuery,
    NumberedPage,
    Unchanged,
)

URL_SECONDS_DEFAULT = 3600
_GROUP = "Files"
UPLOAD_FAULTS = (
    "content_type_not_allowed",
    "checksum_mismatch",
    "quota_exceeded",
    "rate_limited",
    "conflict",
    "offset_mismatch",
    "upload_locked",
    "upload_expired",
    "length_mismatch",
    "store_full",
)
"""What may be in the way of a file that comes in one request."""

_TYPES: dict[str, dict[str, Any]] = {
    "csv": {"content_type_eq": "text/csv"},
    "json": {"content_type_in": ("application/json", "application/x-ndjson")},
    "parquet": {"content_type_eq": "application/vnd.apache.parquet"},
    "pdf": {"content_type_eq": "application/pdf"},
    "image": {"content_type_prefix": "image/"},
    "text": {"content_type_prefix": "text/"},
    "audio": {"content_type_prefix": "audio/"},
    "video": {"content_type_prefix": "video/"},
}
"""Short names of media types in `type`; whole ones are taken too, and `image/*`."""


class Files(Protocol):
    async def list_files(
        self, principal: Principal, query: FileQuery, *, first: int | None = None, after: str | None = None
    ) -> FilePage: ...
    async def list_numbered(
        self, principal: Principal, query: FileQuery, *, page: int, page_size: int | None = None
    ) -> NumberedPage: ...
    async def get(self, principal: Principal, file_id: FileId) -> File: ...
    async def update(
        self, principal: Principal, file_id: FileId, changes: FileChanges, *, if_version: int | None
    ) -> File: ...
    async def delete(self, principal: Principal, file_ids: Sequence[FileId]) -> list[File | LighterageError]: ...
    async def purge(self, principal: Principal, file_ids: Sequence[FileId]) -> list[File | LighterageError]: ...
    async def restore(self, principal: Principal, file_ids: Sequence[FileId]) -> list[File | LighterageError]: ...
    async def download_url(self, principal: Principal, file: File, *, ttl_seconds: int, inline: bool) -> str | None: ...


class Sorting(Enum):
    """The field that a list is ordered by, with `-` the other way round."""

    CREATED = "created_at"
    CREATED_DOWN = "-created_at"
    UPDATED = "updated_at"
    UPDATED_DOWN = "-updated_at"
    NAME = "name"
    NAME_DOWN = "-name"
    SIZE = "size"
    SIZE_DOWN = "-size"

    @property
    def order(self) -> FileOrder:
        name = self.value.removeprefix("-")
        field = FileOrderField.NAME if name == "name" else FileOrderField(name)
        return FileOrder(field, descending=self.value.startswith("-"))


Page = Annotated[int | None, Field(description="Number of the page, from 1 on.", ge=1, le=1_000_000)]
PageSize = Annotated[int | None, Field(description="Files on a page.", ge=1, le=PAGE_SIZE_MAX)]


class Filters(Given):
    """Which files are wanted: all conditions hold together."""

    search: Annotated[str | None, Field(description="In the name, in any letter case.", max_length=256)] = None
    name: Annotated[str | None, Field(description="The whole name.", max_length=1024)] = None
    type: Annotated[
        str | None, Field(description="`csv`, `image`, … or a media type, or `image/*`.", max_length=128)
    ] = None
    resource: Annotated[str | None, Field(max_length=128)] = None
    resource_id: Annotated[str | None, Field(max_length=128)] = None
    is_public: bool | None = None
    size_min: Annotated[Size | None, Field(description="Bytes at least.")] = None
    size_max: Annotated[Size | None, Field(description="Bytes at most.")] = None
    created_after: Annotated[Moment | None, Field(description="At this time or later.")] = None
    created_before: Moment | None = None
    expires_after: Annotated[Moment | None, Field(description="At this time or later.")] = None
    expires_before: Moment | None = None

    def query(self, *, deleted: bool = False, order: FileOrder | None = None, **more: Any) -> FileQuery:
        """Put what is wanted into the words of the service."""
        visibilities = None
        if self.is_public is not None:
            visibilities = tuple(one for one in Visibility if (one is Visibility.PUBLIC) == self.is_public)
        return FileQuery(
            search=self.search,
            name_eq=self.name,
            resource_type=self.resource,
            resource_ids=None if self.resource_id is None else (self.resource_id,),
            visibilities=visibilities,
            size_min=self.size_min,
            size_max=self.size_max,
            created_from=self.created_after,
            created_before=self.created_before,
            expires_from=self.expires_after,
            expires_before=self.expires_before,
            deleted=deleted,
            order=order or FileOrder(),
            **(_content_types(self.type) | more),
        )


def _content_types(wanted: str | None) -> dict[str, Any]:
    if wanted is None:
        return {}
    if wanted.endswith("/*"):
        return {"content_type_prefix": wanted[:-1].lower()}
    return _TYPES.get(wanted.lower(), {"content_type_eq": wanted.lower()})


class ListQuery(Filters):
    status: FileStatus | None = None
    visibility: Visibility | None = None
    sha256: Annotated[str | None, Field(description="Of the whole content.", max_length=64)] = None
    deleted: Annotated[bool, Field(description="Those in the trash.")] = False
    order: Annotated[Sorting, Field(description="By which field; with `-` the other way round.")] = Sorting.CREATED_DOWN
    page: Page = None
    page_size: PageSize = None
    cursor: Annotated[str | None, Field(description="From `next`; instead of `page`.", max_length=2048)] = None
    limit: Annotated[int | None, Field(description="Files at most, with cursors.", ge=1, le=PAGE_SIZE_MAX)] = None

    @model_validator(mode="after")
    def _one_way(self) -> "ListQuery":
        if (self.page or self.page_size) and (self.cursor or self.limit):
            raise ValueError("page and page_size go together, and so do cursor and limit")
        return self

    def file_query(self) -> FileQuery:
        more: dict[str, Any] = {"sha256": self.sha256.lower() if self.sha256 is not None else None}
        if self.status is not None:
            more["statuses"] = (self.status,)
        query = self.query(deleted=self.deleted, order=self.order.order, **more)
        if self.visibility is None:
            return query
        if query.visibilities is not None and self.visibility not in query.visibilities:
            raise InvalidValue("visibility and is_public contradict each other", path=("visibility",))
        return FileQuery(**{**_fields(query), "visibilities": (self.visibility,)})


def _fields(query: FileQuery) -> dict[str, Any]:
    return {name: getattr(query, name) for name in FileQuery.__dataclass_fields__}


class FileQueryString(Given):
    deleted: Annotated[bool, Field(description="Also one in the trash.")] = False


class DeleteQuery(Given):
    purge: Annotated[bool, Field(description="For good, and not into the trash; for admins.")] = False


class ChangeBody(GivenJson):
    """What is to be different; null takes away what may be absent."""

    name: str | None = None
    visibility: Visibility | None = None
    is_public: bool | None = None
    resource: str | None = None
    resource_id: str | None = None
    metadata: dict[str, str] | None = None
    expires_at: Moment | None = None
    version: Annotated[int | None, Field(description="Only if the file is still at this version.", ge=0)] = None

    def changes(self) -> FileChanges:
        given = self.model_fields_set
        for name in ("name", "visibility", "is_public", "metadata"):
            if name in given and getattr(self, name) is None:
                raise InvalidValue(f"{name} cannot be null", path=(name,), reason="required")
        visibility: Visibility | Unchanged = self.visibility or UNCHANGED
        if self.is_public is not None and self.visibility is None:
            visibility = Visibility.PUBLIC if self.is_public else Visibility.PRIVATE
        has_resource = bool(given & {"resource", "resource_id"})
        return FileChanges(
            name=parse_name(self.name) if self.name is not None else UNCHANGED,
            visibility=visibility,
            resource=resource_of(self.resource, self.resource_id) if has_resource else UNCHANGED,
            metadata=parse_metadata(list(self.metadata.items())) if self.metadata is not None else UNCHANGED,
            expires_at=self.expires_at if "expires_at" in given else UNCHANGED,
        )


class UrlQuery(Given):
    ttl: Annotated[int, Field(description="Seconds that it is good for.", ge=1, le=604_800)] = URL_SECONDS_DEFAULT
    inline: Annotated[bool, Field(description="To be shown rather than saved, where that is safe.")] = False


def file_operations(files: Files, receiver: Receiver) -> list[Operation]:
    """Make the operations of files but for their bytes."""

    async def list_files(request: Request) -> Response:
        principal, given = principal_of(request), read_query(request, ListQuery)
        if given.page is not None or given.page_size is not None:
            numbered = await files.list_numbered(
                principal, given.file_query(), page=given.page or 1, page_size=given.page_size
            )
            return json_response(_numbered(request, numbered))
        limit = given.limit or PAGE_SIZE_DEFAULT
        found = await files.list_files(principal, given.file_query(), first=limit, after=given.cursor)
        return json_response(_listed(request, found))

    async def post(request: Request) -> Response:
        return await receiver.receive(request, created, takes_raw=True)

    async def get(request: Request) -> Response:
        given = read_query(request, FileQueryString)
        file = await files.get(principal_of(request), parse_file_id(request.path_params["id"]))
        if file.deleted_at is not None and not given.deleted:
            raise NotFound("file")
        return json_response(document_of(file), ETag=f'"{file.revision}"')

    async def change(request: Request) -> Response:
        principal, file_id = principal_of(request), parse_file_id(request.path_params["id"])
        given = await read_model(request, ChangeBody)
        file = await files.update(principal, file_id, given.changes(), if_version=given.version)
        return json_response(document_of(file), ETag=f'"{file.revision}"')

    async def delete(request: Request) -> Response:
        principal, given = principal_of(request), read_query(request, DeleteQuery)
        act = files.purge if given.purge else files.delete
        one_of(await act(principal, [parse_file_id(request.path_params["id"])]))
        return Response(status_code=204)

    async def restore(request: Request) -> Response:
        file_id = parse_file_id(request.path_params["id"])
        return json_response(document_of(one_of(await files.restore(principal_of(request), [file_id]))))

    async def url(request: Request) -> Response:
        given, principal = read_query(request, UrlQuery), principal_of(request)
        file = await files.get(principal, parse_file_id(request.path_params["id"]))
        made = await files.download_url(principal, file, ttl_seconds=given.ttl, inline=given.inline)
        if made is None:
            file.require_ready()
            raise NotFound("file")
        answer: FileUrl = {"url": made, "expires_in": given.ttl}
        return json_response(answer)

    file_answer = json_answer(200, "The file.", FileDocument, EXAMPLE_FILE)
    return [
        Operation(
            "GET",
            "/api/v1/files",
            "listFiles",
            "List files",
            _GROUP,
            list_files,
            (json_answer(200, "One page.", FileList, EXAMPLE_LIST),),
            notes="In pages by number (`page`, `page_size`), or by cursors (`cursor`, `limit`), which are quicker.",
            query=ListQuery,
            faults=("cursor_invalid", "not_found"),
        ),
        Operation(
            "POST",
            "/api/v1/files",
            "createFile",
            "Upload a file in one request",
            _GROUP,
            post,
            (json_answer(201, "It is stored.", FileDocument, EXAMPLE_FILE, Location="Where the file is."),),
            notes="As a form with the file in the part `file`, or as the bytes themselves under any other media type,"
            " then with what is said of the file in the query string. Of any size; a transfer that has to survive a"
            " cut belongs to `/files/`, which is resumable.",
            query=FileFields,
            header_fields={"Idempotency-Key": "A second request with the same key gives the same file."},
            body=(form_content(), RAW_CONTENT),
            faults=UPLOAD_FAULTS,
        ),
        Operation(
            "GET", "/api/v1/files/{id}", "getFile", "About a file", _GROUP, get, (file_answer,), query=FileQueryString
        ),
        Operation(
            "PATCH",
            "/api/v1/files/{id}",
            "changeFile",
            "Change what is said of a file",
            _GROUP,
            change,
            (file_answer,),
            body=json_body(ChangeBody, usual={"name": "sales.csv", "visibility": "tenant"}),
            faults=("conflict",),
        ),
        Operation(
            "DELETE",
            "/api/v1/files/{id}",
            "deleteFile",
            "Put a file into the trash, or remove it for good",
            _GROUP,
            delete,
            (Answer(204, "Done."),),
            query=DeleteQuery,
            faults=("conflict",),
        ),
        Operation(
            "POST",
            "/api/v1/files/{id}/restore",
            "restoreFile",
            "Take a file out of the trash",
            _GROUP,
            restore,
            (file_answer,),
            faults=("conflict",),
        ),
        Operation(
            "GET",
            "/api/v1/files/{id}/url",
            "getFileUrl",
            "Make a link that lets whoever has it download the file for a time",
            _GROUP,
            url,
            (
                json_answer(
                    200,
                    "The link.",
                    FileUrl,
                    {"url": "https://files.example.org/api/v1/files/file_01…/content?token=eyJ…", "expires_in": 3600},
                ),
            ),
            access=Access.LOG_IN,
            query=UrlQuery,
            faults=("file_not_ready", "not_processed"),
        ),
    ]


def created(file: File) -> Response:
    document = document_of(file)
    return json_response(document, 201, Location=f"/api/v1/files/{document['id']}")


def one_of(outcomes: list[File | LighterageError]) -> File:
    """Give the one file that something was done to, or raise why it was not."""
    (outcome,) = outcomes
    if isinstance(outcome, LighterageError):
        raise outcome
    return outcome


def link(request: Request, **changed: str | int) -> str:
    """Give the address of this request with other parameters."""
    query = {**request.query_params, **{name: str(value) for name, value in changed.items()}}
    root: str = request.scope.get("root_path", "")
    base = request.scope.get("lighterage.public_url") or f"{request.url.scheme}://{request.url.netloc}{root}"
    return f"{base}{request.scope['path'].removeprefix(root)}?{urlencode(query)}"


def numbered_links(request: Request, page: NumberedPage) -> tuple[str | None, str | None]:
    """Give the addresses of the page behind and the page before this one."""
    return (
        link(request, page=page.number + 1) if page.has_next else None,
        link(request, page=page.number - 1) if page.number > 1 else None,
    )


def _numbered(request: Request, page: NumberedPage) -> FileList:
    following, previous = numbered_links(request, page)
    return {
        "count": page.count,
        "next": following,
        "previous": previous,
        "results": [document_of(file) for file in page.files],
    }


def _listed(request: Request, found: FilePage) -> FileList:
    items = found.page.items
    following = link(request, cursor=found.cursor_of(items[-1])) if found.page.has_next and items else None
    return {"count": None, "next": following, "previous": None, "results": [document_of(file) for file in items]}
