"""
Maps: files that are processed before anybody may read them, and then may be read by whoever knows their id.

The same files as under `/api/v1/files`, of the collection `maps`.
"""

from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from domain.errors import NotFound
from domain.file import File, Visibility
from domain.ids import FileId
from domain.principal import Principal
from rest.callers import principal_of
from rest.contents import (
    CONDITIONS,
    CONTENT_ANSWERS,
    CONTENT_FAULTS,
    TokenQuery,
    answer_content,
    of_file,
    parse_file_id,
)
from rest.documents import EXAMPLE_MAP, MapDocument, json_response, map_of
from rest.files import UPLOAD_FAULTS, ChangeBody, Files, one_of
from rest.incoming import FileFields, Receiver, form_content
from rest.operations import Access, Answer, Operation, json_answer, json_body
from rest.parsing import read_model
from services.files import Content

COLLECTION = "maps"
_GROUP = "Maps"


class MapFiles(Files, Protocol):
    async def content(self, principal: Principal, file_id: FileId) -> Content: ...
    async def content_by_token(self, token: str, file_id: FileId) -> Content: ...


def map_operations(files: MapFiles, receiver: Receiver) -> list[Operation]:
    """Make the operations."""

    async def post(request: Request) -> Response:
        return await receiver.receive(request, _created, describe=_as_map)

    async def get(request: Request) -> Response:
        content = await of_file(request, files.content, files.content_by_token)
        _require_map(content.file)
        return await answer_content(request, content)

    async def change(request: Request) -> Response:
        principal, file = principal_of(request), await _named(request)
        given = await read_model(request, ChangeBody)
        changed = await files.update(principal, file.id, given.changes(), if_version=given.version)
        return json_response(map_of(changed))

    async def delete(request: Request) -> Response:
        file = await _named(request)
        one_of(await files.delete(principal_of(request), [file.id]))
        return Response(status_code=204)

    async def _named(request: Request) -> File:
        file = await files.get(principal_of(request), parse_file_id(request.path_params["id"]))
        _require_map(file)
        if file.deleted_at is not None:
            raise NotFound("file")
        return file

    return [
        Operation(
            "POST",
            "/api/v1/maps",
            "uploadMap",
            "Upload a map",
            _GROUP,
            post,
            (
                json_answer(
                    201, "It waits to be processed.", MapDocument, EXAMPLE_MAP, Location="Where the map will be."
                ),
            ),
            body=(form_content(),),
            faults=UPLOAD_FAULTS,
        ),
        Operation(
            "GET",
            "/api/v1/maps/{id}",
            "getMap",
            "Download a map",
            _GROUP,
            get,
            CONTENT_ANSWERS,
            access=Access.OPTIONAL,
            notes="For whoever knows its id, once it is processed; until then it is 409 `not_processed`.",
            query=TokenQuery,
            header_fields=CONDITIONS,
            faults=CONTENT_FAULTS,
        ),
        Operation(
            "PATCH",
            "/api/v1/maps/{id}",
            "changeMap",
            "Change what is said of a map",
            _GROUP,
            change,
            (json_answer(200, "The map.", MapDocument, EXAMPLE_MAP),),
            notes="For whoever uploaded it.",
            body=json_body(ChangeBody, usual={"name": "harbour.txt"}),
            faults=("conflict",),
        ),
        Operation(
            "DELETE",
            "/api/v1/maps/{id}",
            "deleteMap",
            "Put a map into the trash",
            _GROUP,
            delete,
            (Answer(204, "It is there."),),
            faults=("conflict",),
        ),
    ]


def _as_map(fields: FileFields) -> FileFields:
    is_said = fields.visibility is not None or fields.is_public is not None
    more = {} if is_said else {"visibility": Visibility.LINK}
    return fields.model_copy(update={"collection": COLLECTION, **more})


def _require_map(file: File) -> None:
    if file.collection != COLLECTION:
        raise NotFound("file")


def _created(file: File) -> Response:
    document = map_of(file)
    return json_response(document, 201, Location=f"/api/v1/maps/{document['id']}")
