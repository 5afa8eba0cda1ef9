"""
Files under the numbers that they have in their tenant: `/api/upload` and `/api/files`, for clients that count in whole
numbers and file everything under a resource of theirs. The same files as under `/api/v1/files`.
"""

from typing import Annotated, Protocol

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import NotFound
from domain.file import File
from domain.ids import FileId
from domain.principal import Principal
from rest.callers import principal_of
from rest.contents import CONDITIONS, CONTENT_ANSWERS, CONTENT_FAULTS, answer_content
from rest.documents import (
    EXAMPLE_NUMBERED,
    EXAMPLE_NUMBERED_LIST,
    NumberedFile,
    NumberedList,
    json_response,
    numbered_of,
)
from rest.files import UPLOAD_FAULTS, Files, Filters, Page, PageSize, numbered_links, one_of
from rest.incoming import Receiver, form_content
from rest.operations import Answer, Given, Operation, json_answer
from rest.parsing import read_query
from services.files import Content, FileOrder, FileOrderField, FileQuery

NUMBER_MAX = 2**63 - 1
_GROUP = "Files by number"


class NumberedFiles(Files, Protocol):
    async def get_numbered(self, principal: Principal, number: int) -> File: ...
    async def content(self, principal: Principal, file_id: FileId) -> Content: ...


class Paging(Given):
    page: Page = None
    page_size: PageSize = None


class NumberedQuery(Filters, Paging):
    pass


class DownloadQuery(Given):
    download: Annotated[bool, Field(description="Of no effect: files are always handed over as downloads.")] = True


def numbered_operations(files: NumberedFiles, receiver: Receiver) -> list[Operation]:
    """Make the operations."""

    async def _page(request: Request, query: FileQuery, paging: Paging) -> Response:
        page = await files.list_numbered(
            principal_of(request), query, page=paging.page or 1, page_size=paging.page_size
        )
        following, previous = numbered_links(request, page)
        answer: NumberedList = {
            "count": page.count,
            "next": following,
            "previous": previous,
            "results": [numbered_of(file) for file in page.files],
        }
        return json_response(answer)

    async def _named(request: Request) -> File:
        principal, number = principal_of(request), request.path_params["number"]
        return await files.get_numbered(principal, min(number, NUMBER_MAX))

    async def post(request: Request) -> Response:
        return await receiver.receive(request, _created)

    async def list_all(request: Request) -> Response:
        given = read_query(request, NumberedQuery)
        return await _page(request, given.query(order=_OLDEST_FIRST), given)

    async def list_of_resource(request: Request) -> Response:
        resource, resource_id = request.path_params["resource"], request.path_params["resource_id"]
        if resource_id == "content":
            raise NotFound("file")  # here bytes are; what stands before is no number
        wanted = FileQuery(
            resource_type=resource,
            resource_ids=(resource_id,),
            order=_OLDEST_FIRST,
        )
        return await _page(request, wanted, read_query(request, Paging))

    async def get(request: Request) -> Response:
        return json_response(numbered_of(await _named(request)))

    async def content(request: Request) -> Response:
        file = await _named(request)
        return await answer_content(request, await files.content(principal_of(request), file.id))

    async def delete(request: Request) -> Response:
        file = await _named(request)
        one_of(await files.delete(principal_of(request), [file.id]))
        return Response(status_code=204)

    page_answer = json_answer(200, "One page, oldest first.", NumberedList, EXAMPLE_NUMBERED_LIST)
    return [
        Operation(
            "POST",
            "/api/upload",
            "uploadFile",
            "Upload a file, for a resource of yours or for none",
            _GROUP,
            post,
            (json_answer(201, "It is stored.", NumberedFile, EXAMPLE_NUMBERED, Location="Where the file is."),),
            body=(form_content(),),
            faults=UPLOAD_FAULTS,
            aliases=("/api/upload/",),
        ),
        Operation(
            "GET",
            "/api/files",
            "listNumberedFiles",
            "List files",
            _GROUP,
            list_all,
            (page_answer,),
            query=NumberedQuery,
            faults=("not_found",),
        ),
        Operation(
            "GET",
            "/api/files/{number:int}",
            "getNumberedFile",
            "About a file",
            _GROUP,
            get,
            (json_answer(200, "The file.", NumberedFile, EXAMPLE_NUMBERED),),
        ),
        Operation(
            "DELETE",
            "/api/files/{number:int}",
            "deleteNumberedFile",
            "Put a file into the trash",
            _GROUP,
            delete,
            (Answer(204, "It is there."),),
            faults=("conflict",),
        ),
        Operation(
            "GET",
            "/api/files/{number:int}/content",
            "getNumberedContent",
            "The bytes of a file",
            _GROUP,
            content,
            CONTENT_ANSWERS,
            query=DownloadQuery,
            header_fields=CONDITIONS,
            faults=CONTENT_FAULTS,
        ),
        Operation(
            "GET",
            "/api/files/{resource}/{resource_id}",
            "listFilesOfResource",
            "List the files of a resource",
            _GROUP,
            list_of_resource,
            (page_answer,),
            notes="A resource without files has an empty list. One with the id `content` is found"
            " by the filters of `/api/files` alone.",
            query=Paging,
        ),
    ]


_OLDEST_FIRST = FileOrder(FileOrderField.CREATED_AT, descending=False)


def _created(file: File) -> Response:
    return json_response(numbered_of(file), 201, Location=f"/api/files/{file.number}")
