"""The manifest of a file over REST: the SHA-256 of each of its pieces, as JSON that is sent while it is computed."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.ids import FileId
from domain.principal import Principal
from rest.files import of_file
from rest.ranges import is_not_modified
from rest.streaming import StreamResponse
from services.manifests import PieceDigests


class Manifests(Protocol):
    async def manifest(self, principal: Principal, file_id: FileId) -> PieceDigests: ...
    async def manifest_by_token(self, token: str, file_id: FileId) -> PieceDigests: ...


def manifest_routes(manifests: Manifests) -> list[Route]:
    async def manifest(request: Request) -> Response:
        return _answer(request, await of_file(request, manifests.manifest, manifests.manifest_by_token))

    return [Route("/api/v1/files/{id}/manifest", manifest, methods=["GET", "HEAD"])]


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
