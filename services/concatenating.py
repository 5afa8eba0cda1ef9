"""
Uploads made of others (tus 1.0, concatenation): partial uploads come side by side, the final one joins them.

A partial upload that has all its bytes waits; it is in no list of files. The store copies its bytes behind those of the
ones before, so a terabyte never passes through here. Joining may be cut off anywhere and begun again: the partial
uploads go only after the file is recorded.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from domain.blob import BlobStore, CopyingBlobStore
from domain.errors import InvalidValue, LighterageError, NotFound
from domain.ids import UploadId
from domain.lock import LockManager
from domain.page import PAGE_SIZE_MAX, Order, PageRequest, equals
from domain.records import Records
from domain.upload import UPLOADS, Concatenation, Upload, UploadStatus
from services.finishing import Finisher

LOCK_PATIENCE_SECONDS = 5.0
ANSWER_SECONDS = 1.0  # small files are joined before the request that asks for it is answered

Drop = Callable[[Upload, UploadStatus], Awaitable[None]]

logger = logging.getLogger(__name__)


class Concatenator:
    def __init__(
        self,
        *,
        records: Records,
        blobs: BlobStore,
        copying: CopyingBlobStore,
        locks: LockManager,
        finisher: Finisher,
    ) -> None:
        self._uploads = records.collection(UPLOADS)
        self._blobs = blobs
        self._copying = copying
        self._locks = locks
        self._finisher = finisher
        self._tasks: set[asyncio.Task[None]] = set()

    async def members_of(self, tenant_id: str, user_id: str | None, members: tuple[UploadId, ...]) -> list[Upload]:
        """
        Give the members of a final upload, held to the rules.

        Raises:
            InvalidValue: One is named twice, is not there, is not the caller's, or is no partial upload.
        """
        if len(set(members)) != len(members):
            raise InvalidValue("a partial upload is named twice", path=("Upload-Concat",), reason="taken")
        found = await self._uploads.get_many(tenant_id, members)
        for member_id in members:
            member = found.get(member_id)
            is_usable = member is not None and member.user_id == user_id and not member.status.is_gone
            if member is None or not is_usable or member.concatenation is not Concatenation.PARTIAL:
                raise InvalidValue(f"there is no partial upload {member_id}", path=("Upload-Concat",))
        return [found[member_id] for member_id in members]

    async def join_soon(self, final: Upload, drop: Drop) -> Upload:
        """Join in the background; a moment is waited for the end, and the upload given as it is then."""
        task = asyncio.create_task(self._try(final, drop))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait({task}, timeout=ANSWER_SECONDS)
        return await self._uploads.get(final.tenant_id, final.id)

    async def join_waiting(self, partial: Upload, drop: Drop) -> None:
        """A partial upload has all its bytes: join those final ones that only waited for it."""
        where = [
            equals("user_id", partial.user_id),
            equals("concatenation", Concatenation.FINAL),
            equals("status", UploadStatus.CREATED),
        ]
        order = Order("created_at", descending=True)
        waiting = await self._uploads.list(partial.tenant_id, where, order=order, page=PageRequest(limit=PAGE_SIZE_MAX))
        for final in waiting.items:
            if partial.id in final.members:
                await self.join_soon(final, drop)

    async def join(self, final: Upload, drop: Drop) -> Upload:
        """
        Make the file of a final upload, if all its members have come; else leave it as it is.

        Raises:
            NotFound: A member is gone. The final upload is over then.
        """
        holding = self._locks.hold(final.id, on_contention=_ignore, patience_seconds=LOCK_PATIENCE_SECONDS)
        async with holding:
            final = await self._uploads.get(final.tenant_id, final.id)
            if not final.status.is_open:
                return final
            found = await self._uploads.get_many(final.tenant_id, final.members)
            members = [found[member_id] for member_id in final.members if member_id in found]
            if len(members) < len(final.members) or any(member.status.is_gone for member in members):
                await drop(final, UploadStatus.FAILED)
                raise NotFound("partial upload")
            if not all(member.is_whole for member in members):
                return final
            completed = await self._finisher.finish(await self._assembled(final, members), sha256=None, unsaved=True)
        for member in members:
            await drop(member, UploadStatus.ABORTED)
        return completed

    async def _assembled(self, final: Upload, members: list[Upload]) -> Upload:
        for member in members:
            await self._blobs.complete(member.writer)
        keys = [member.writer.key for member in members if member.offset]
        writer = await self._copying.concatenate(final.writer, keys)
        length = sum(member.offset for member in members)
        return replace(final, length=length, writer=replace(writer, length=length), status=UploadStatus.ASSEMBLING)

    async def _try(self, final: Upload, drop: Drop) -> None:
        try:
            await self.join(final, drop)
        except LighterageError as error:
            # The upload stays as it is, or is over; maintenance tries again what can still be done.
            logger.warning("an upload could not be joined yet: %s", error.message)

    async def close(self) -> None:
        """Wait for what is being joined; a request that is cut off here is begun again by maintenance."""
        for task in list(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def members_key(members: tuple[UploadId, ...]) -> str:
    """Name a list of members, so that a client that asks twice for their final upload gets one."""
    return "concat " + hashlib.sha256(" ".join(members).encode()).hexdigest()


def _ignore() -> None:
    """Joining is not broken off for a newcomer: there is nothing that it could add."""
