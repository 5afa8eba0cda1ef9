"""
The manifest of a file: computed when it is first asked for, piece by piece while it is being sent, then kept.

Hashing costs as much as storing, and most files' manifests are never asked for; so uploads do not pay for it.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from domain.errors import Conflict
from domain.file import File
from domain.ids import FileId
from domain.manifest import DIGEST_BYTES, MANIFESTS, Manifest, piece_bytes_of
from domain.principal import Principal
from domain.records import Records
from services.files import Content, FileService

RUNNING_MAX = 2  # files hashed at once; each keeps a thread busy
INLINE_BYTES_MAX = 2**16  # below this a hop to a thread costs more than the hash


class ManifestService:
    def __init__(self, *, records: Records, files: FileService) -> None:
        self._manifests = records.collection(MANIFESTS)
        self._files = files
        self._running = asyncio.Semaphore(RUNNING_MAX)

    async def manifest(self, principal: Principal, file_id: FileId) -> "PieceDigests":
        """Give a file's manifest to who may read the file."""
        return await self._open(await self._files.content(principal, file_id))

    async def manifest_by_token(self, token: str, file_id: FileId) -> "PieceDigests":
        """The same to who holds a download link."""
        return await self._open(await self._files.content_by_token(token, file_id))

    async def _open(self, content: Content) -> "PieceDigests":
        file = content.file
        return PieceDigests(file, await self._known(file), self._compute(content))

    async def _known(self, file: File) -> bytes | None:
        if file.size == 0:
            return b""
        if file.sha256 is not None and file.size <= piece_bytes_of(file.size):
            return bytes.fromhex(file.sha256)
        found = (await self._manifests.get_many(file.tenant_id, [file.id])).get(file.id)
        return found.digests if found is not None and found.etag == file.etag else None

    async def _compute(self, content: Content) -> AsyncGenerator[bytes, None]:
        """Yield the digest of each piece as soon as it is known, and keep them all once they are."""
        file, digests = content.file, b""
        piece_bytes = piece_bytes_of(file.size)
        async with self._running:
            for start in range(0, file.size, piece_bytes):
                digest = await self._digest_of(content, start, min(start + piece_bytes, file.size))
                digests += digest
                yield digest
        with suppress(Conflict):  # somebody else was as far at the same time
            await self._manifests.add(Manifest(file.id, file.tenant_id, file.etag, digests))

    async def _digest_of(self, content: Content, start: int, end: int) -> bytes:
        digest = hashlib.sha256()
        async with aclosing(content.read(start, end)) as chunks:
            async for chunk in chunks:
                if len(chunk) > INLINE_BYTES_MAX:
                    await asyncio.to_thread(digest.update, chunk)
                else:
                    digest.update(chunk)
        return digest.digest()


class PieceDigests:
    """
    The manifest of one file.

    Attributes:
        piece_bytes: Size of every piece but the last.
        count: How many pieces there are; none in a file without bytes.
    """

    def __init__(self, file: File, known: bytes | None, computed: AsyncGenerator[bytes, None]) -> None:
        self.file = file
        self.piece_bytes = piece_bytes_of(file.size)
        self.count = -(-file.size // self.piece_bytes)
        self._known = known
        self._computed = computed

    async def digests(self) -> AsyncGenerator[bytes, None]:
        """Yield the SHA-256 of each piece, in order; the caller closes."""
        if self._known is None:
            async with aclosing(self._computed) as computed:
                async for digest in computed:
                    yield digest
            return
        for start in range(0, len(self._known), DIGEST_BYTES):
            yield self._known[start : start + DIGEST_BYTES]
