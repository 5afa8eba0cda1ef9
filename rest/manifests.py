"""The manifest of a file over REST: the SHA-256 of each of its pieces, as JSON that is sent while it is computed."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response

from domain.ids import FileId
from domain.principal import Principal
from rest.contents import TokenQuery, of_file
from rest.operations import Access, Operation, json_answer
from rest.ranges import is_not_modified
from rest.streaming import StreamResponse
from services.manifests import PieceDigests


class Manifests(Protocol):
    async def manifest(self, principal: Principal, file_id: FileId) -> PieceDigests: ...
    async def manifest_by_token(self, token: str, file_id: FileId) -> PieceDigests: ...


def manifest_operation(manifests: Manifests) -> Operation:
    """Make the operation of a file's manifest."""

    async def manifest(request: Request) -> Response:
        return _answer(request, await of_file(request, manifests.manifest, manifests.manifest_by_token))

    example = {
        "file": "file_01kakc0f8sfxv8q7c3s3b2v4mn",
        "size": 10,
        "etag": "4b1f0c7e2a9d4d1c",
        "sha256": None,
        "algorithm": "sha-256",
        "piece_size": 67108864,
        "piece_count": 1,
        "pieces": ["84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"],
    }
    return Operation(
        "GET",
        "/api/v1/files/{id}/manifest",
        "getManifest",
        "The SHA-256 of each piece of a file",
        "Files",
        manifest,
        (json_answer(200, "Sent while it is computed.", {"type": "object"}, example, ETag="Of the manifest."),),
        access=Access.OPTIONAL,
        query=TokenQuery,
        faults=("file_not_ready", "not_processed", "permission_denied"),
    )


def _answer(request: Request, found: PieceDigests) -> Response:
    # The bytes of a file never change, and so neither does this.
    etag = f'"{found.file.etag}.manifest"'
    headers = {
        "etag": etag,
        "cache-control": "private, no-cache",
        "x-content-type-options": "nosniff",
        "content-type": "application/json",
    }
    if is_not_modified(request.headers.get("if-none-match"), etag=etag):
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        return Response(headers=headers)
    return StreamResponse(_document(found), headers)


async def _document(found: PieceDigests) -> AsyncGenerator[bytes | Mapping[str, str], None]:
    file = found.file
    facts = {
        "file": file.id,
        "size": file.size,
        "etag": file.etag,
        "sha256": file.sha256,
        "algorithm": "sha-256",
        "piece_size": found.piece_bytes,
        "piece_count": found.count,
    }
    before = orjson.dumps(facts)[:-1] + b',"pieces":['
    async with aclosing(found.digests()) as digests:
        async for digest in digests:
            yield before + b'"' + digest.hex().encode() + b'"'
            before = b","
    yield (b"" if before == b"," else before) + b"]}"
