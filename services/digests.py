"""
SHA-256 of whole files, computed while the bytes pass, in threads: where the client declared it, or it costs nothing.

Hashing is as much work as storing. A hash's state does not survive its process. What was not seen from the first byte
to the last has no live digest; services/maintenance.py then reads the finished file again.
"""

import asyncio
import hashlib
from collections import OrderedDict
from contextlib import aclosing

from domain.blob import BlobKey, BlobStore

BATCH_BYTES = 2**20  # one hop to a thread for this many bytes; hashlib lets go of the interpreter meanwhile
INLINE_BYTES_MAX = 2**16  # below this a hop costs more than the hash
WAITING_BYTES_MAX = 32 * 2**20  # of all that is kept and not hashed yet, up to a batch for each upload
LIVE_BYTES_MAX = 2**20  # files up to here are hashed anyhow: in less time than a second look at them would take
LIVE_MAX = 10_000  # uploads whose state is kept; the longest untouched is forgotten first


class LiveDigest:
    """
    The SHA-256 of an upload's bytes from the first up to `offset`.

    Args:
        bytes_max: Of a file whose digest is worth having; None where it is needed in any case.
    """

    def __init__(self, bytes_max: int | None = None) -> None:
        self.offset = 0
        self._bytes_max = bytes_max
        self._hash = hashlib.sha256()
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._running: asyncio.Future[None] | None = None

    async def update(self, chunk: bytes) -> None:
        """Take the next bytes; waits only while a whole earlier batch is still being hashed."""
        self._batch.append(chunk)
        self._batch_bytes += len(chunk)
        self.offset += len(chunk)
        if self._batch_bytes >= BATCH_BYTES:
            await self._settle()
            batch, self._batch, self._batch_bytes = self._batch, [], 0
            self._running = asyncio.get_running_loop().run_in_executor(None, self._hash_all, batch)

    @property
    def waiting_bytes(self) -> int:
        """Bytes that are held until there is a batch of them."""
        return self._batch_bytes

    @property
    def is_needed(self) -> bool:
        return self._bytes_max is None or self.offset <= self._bytes_max

    async def hexdigest(self) -> str:
        await self._settle()
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if sum(map(len, batch)) > INLINE_BYTES_MAX:
            await asyncio.to_thread(self._hash_all, batch)
        else:
            self._hash_all(batch)
        return self._hash.hexdigest()

    async def _settle(self) -> None:
        if self._running is not None:
            await self._running
            self._running = None

    def _hash_all(self, batch: list[bytes]) -> None:
        for chunk in batch:
            self._hash.update(chunk)


class LiveDigests:
    """The live digests of this process, a bounded number of them."""

    def __init__(self, *, live_max: int = LIVE_MAX) -> None:
        self._live: OrderedDict[str, LiveDigest] = OrderedDict()
        self._live_max = live_max
        self._waiting_bytes = 0

    def take(self, upload_id: str, *, offset: int, bytes_max: int | None = None) -> LiveDigest | None:
        """
        Take out the digest that stands at `offset`; a new one at the beginning; None where bytes were missed.

        It is not kept here while it is fed: only `give_back` promises that what it saw was also stored.
        """
        live = self._pop(upload_id)
        if offset == 0:
            return LiveDigest(bytes_max)
        return live if live is not None and live.offset == offset else None

    def give_back(self, upload_id: str, digest: LiveDigest) -> None:
        self.forget(upload_id)
        self._live[upload_id] = digest
        self._waiting_bytes += digest.waiting_bytes
        while len(self._live) > self._live_max or self._waiting_bytes > WAITING_BYTES_MAX:
            self.forget(next(iter(self._live)))

    def forget(self, upload_id: str) -> None:
        self._pop(upload_id)

    def _pop(self, upload_id: str) -> LiveDigest | None:
        live = self._live.pop(upload_id, None)
        if live is not None:
            self._waiting_bytes -= live.waiting_bytes
        return live


async def digest_of(blobs: BlobStore, key: BlobKey) -> str:
    """Read a blob from beginning to end; gives its SHA-256, hex."""
    digest = LiveDigest()
    async with aclosing(blobs.open(key)) as chunks:
        async for chunk in chunks:
            await digest.update(chunk)
    return await digest.hexdigest()
