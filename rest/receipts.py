"""Receipts over REST."""

from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from domain.file import File
from domain.ids import FileId
from domain.principal import Principal
from rest.callers import principal_of
from rest.contents import parse_file_id
from rest.operations import Answer, Content, Operation


class Receipts(Protocol):
    async def receipt(self, principal: Principal, file_id: FileId) -> tuple[File, str]: ...


def receipt_operation(receipts: Receipts) -> Operation:
    async def receipt(request: Request) -> Response:
        file, text = await receipts.receipt(principal_of(request), parse_file_id(request.path_params["id"]))
        headers = {
            "cache-control": "private, no-cache",
            "content-disposition": f'attachment; filename="{file.id}.receipt"',
            "x-content-type-options": "nosniff",
        }
        return Response(text + "\n", 200, headers, "application/jose")

    return Operation(
        "GET",
        "/api/v1/files/{id}/receipt",
        "getReceipt",
        "A signed statement of a file's name, size, SHA-256 and time",
        "Files",
        receipt,
        (
            Answer(
                200,
                "A JWS in compact form, signed with a key of `/.well-known/jwks.json`.",
                (Content("application/jose", {"type": "string"}, {"usual": "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOi….c2ln…"}),),
            ),
        ),
        notes="`lighterage verify FILE RECEIPT --keys JWKS` checks it without the server.",
        faults=("not_found", "file_not_ready", "permission_denied"),
    )
