"""
The use cases of a transfer: begin, append, ask, terminate, watch.

Every method authorises first and reads no byte before everything that can be decided without it is decided. What
`append` returns is recorded and durable.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from auth.policy import Action, require
from auth.tokens import TokenService
from domain.blob import BlobStore, BlobWriter, PipingBlobStore
from domain.clock import Clock
from domain.content import is_allowed, parse_media_type, sniff
from domain.errors import (
    Conflict,
    ContentTypeNotAllowed,
    FileDeleted,
    LengthExceeded,
    LighterageError,
    NotFound,
    PermissionDenied,
    QuotaExceeded,
    StoreFull,
    StoreUnavailable,
    UploadExpired,
    UploadLocked,
)
from domain.event import EventBus, UploadMoved
from domain.file import FILES, blob_key
from domain.ids import (
    SYSTEM,
    FileId,
    ShareLinkId,
    TenantId,
    UploadId,
    UserId,
    is_id,
    new_file_id,
    new_upload_id,
    new_version_id,
)
from domain.job import NO_RULES, ProcessingRules, parse_rules
from domain.lock import Hold, LockManager
from domain.metadata import new_upload_of
from domain.page import Order, PageRequest, equals, one_of
from domain.principal import Principal
from domain.records import Add, Increment, Records, Save
from domain.tenant import TENANTS, USAGES, Limits
from domain.upload import (
    UPLOADS,
    AppendBytes,
    Body,
    BodyEnd,
    Concatenation,
    CreateUpload,
    NewUpload,
    Upload,
    UploadStatus,
    check_length,
)
from domain.user import USERS
from services.concatenating import Concatenator, members_key
from services.digests import LIVE_BYTES_MAX, LiveDigest, LiveDigests
from services.finishing import Finisher
from services.guests import Guests
from services.receiving import Receiver
from services.remembering import Remembered
from services.throttling import Throttle
from services.waking import waking

LOCK_PATIENCE_SECONDS = 5.0
FLUSH_PATIENCE_SECONDS = 1.0
PROGRESS_INTERVAL_SECONDS = 0.25  # at most four frames a second
PROGRESS_POLL_SECONDS = 1.0  # how late a change made by another process may be seen
CHUNK_SIZE_BYTES = 64 * 2**20

OnDurable = Callable[[BlobWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class UploadRules:
    """
    What holds for every upload of this server.

    Attributes:
        length_max: Bytes in one file at most.
        lifetime: How long an unfinished upload is kept after its last bytes.
        public_url: Where the tus endpoint is, with its last slash, as clients reach it.
        hashes_all: Hash every file while its bytes pass, and not only where a digest was declared.
    """

    length_max: int
    lifetime: timedelta
    public_url: str
    hashes_all: bool = False
    processing: ProcessingRules = NO_RULES


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer has come: `offset` counts bytes received, which may be ahead of those acknowledged."""

    upload: Upload
    offset: int
    bytes_per_second: int | None
    at: datetime


class _Active:
    """An append that is running in this process."""

    def __init__(self, body: Body, upload: Upload, *, can_pause: bool) -> None:
        self.body = body
        self.offset = upload.offset - body.received
        self.can_pause = can_pause
        self.recorded = asyncio.Event()

    @property
    def received_offset(self) -> int:
        return self.offset + self.body.received


class UploadService:
    """Takes commands of either protocol, and of GraphQL."""

    def __init__(
        self,
        *,
        records: Records,
        blobs: BlobStore,
        bus: EventBus,
        locks: LockManager,
        finisher: Finisher,
        concatenator: Concatenator,
        guests: Guests,
        tokens: TokenService,
        throttle: Throttle,
        clock: Clock,
        rules: UploadRules,
        piping: PipingBlobStore | None = None,
    ) -> None:
        """
        Args:
            piping: The same store as `blobs`, where it takes bytes from a pipe.
        """
        self._records = records
        self._uploads = records.collection(UPLOADS)
        self._blobs = blobs
        self._piping = piping
        self._bus = bus
        self._locks = locks
        self._finisher = finisher
        self._concatenator = concatenator
        self._guests = guests
        self._tokens = tokens
        self._throttle = throttle
        self._clock = clock
        self._rules = rules
        self._active: dict[str, _Active] = {}
        self._digests = LiveDigests()
        self._limits = Remembered(self._read_limits, clock=clock)
        self._folders = Remembered(self._read_folder, clock=clock)
        self._is_stopping = False

    @property
    def length_max(self) -> int:
        return self._rules.length_max

    # ---- begin

    async def create(self, principal: Principal, command: CreateUpload, body: Body | None) -> Upload:
        """Begin an upload as a protocol asks for it, and store the bytes that came with the request."""
        new = new_upload_of(command)
        if new.concatenation is Concatenation.FINAL:
            return await self._begin_final(principal, new)
        if body is None or not command.has_body:
            return await self.begin(principal, new)
        if command.length is not None and command.body_length is not None and command.body_length > command.length:
            raise LengthExceeded(f"{command.body_length} bytes are more than the upload's {command.length}")
        upload = await self._begin(principal, new)
        append = AppendBytes(
            upload.id,
            offset=0,
            body_length=command.body_length,
            is_last=command.is_last,
            checksum=command.checksum,
        )
        try:
            return await self.append(principal, append, body)
        except LighterageError:
            # The answer to this tells no address, so nobody could ever continue the upload.
            with suppress(LighterageError):
                upload = await self._uploads.get(upload.tenant_id, upload.id)
                if upload.status.is_open:
                    await self.drop(upload, UploadStatus.ABORTED)
            raise

    async def begin(self, principal: Principal, new: NewUpload) -> Upload:
        """
        Reserve room and record the upload; the bytes come later. One of no bytes is finished at once.

        Raises:
            QuotaExceeded, LengthExceeded, InvalidValue: It would not fit, now or ever.
        """
        return await self._finish_empty(await self._begin(principal, new))

    async def _begin(self, principal: Principal, new: NewUpload) -> Upload:
        tenant_id = require(principal, Action.CREATE_UPLOAD)
        user_id, link = principal.user_id, None
        if principal.link_id is not None:
            link, new = await self._guests.begin(principal.link_id, new)
            user_id = link.created_by
        assert user_id is not None
        await self._throttle.creation(principal.link_id or user_id)
        if new.file_id is not None:
            new = await self._for_version(principal, new, new.file_id)
        # Keys are the user's own: another user's equal key names another upload.
        key = f"{user_id} {new.idempotency_key}" if new.idempotency_key is not None else None
        known = await self._known(tenant_id, key)
        if known is not None:
            return known
        limits = await self._limits.get(tenant_id)
        length_max = self._length_max(limits)
        if new.length is not None:
            check_length(new.length, length_max=length_max)
        if key is not None:
            new = replace(new, idempotency_key=key)
        upload = await self._upload_of(new, tenant_id, user_id, link_id=principal.link_id)
        reserve = Increment(
            USAGES,
            tenant_id,
            tenant_id,
            {"bytes_in_flight": upload.reserved_bytes, "bytes_total": upload.reserved_bytes},
            at_most={} if limits.stored_bytes_max is None else {"bytes_total": limits.stored_bytes_max},
            once=f"{upload.id}.reserve" if key is not None else None,
        )
        try:
            await self._records.write(reserve, Add(UPLOADS, upload), *([link.use(once=upload.id)] if link else ()))
        except Conflict as error:
            if link is not None:
                await self._end_refused(upload)
                await self._guests.require_unused(link)
            known = await self._known(tenant_id, upload.idempotency_key)
            if known is None:
                raise _no_room(limits) from error
            # Another request with this key was faster. A database without transactions may have reserved for ours; as
            # both happen once at most, this comes to nothing on every database.
            back = {name: -amount for name, amount in reserve.amounts.items()}
            release = replace(reserve, amounts=back, at_most={}, once=f"{upload.id}.release")
            await self._records.write(replace(reserve, at_most={}), release)
            return known
        return upload

    async def _for_version(self, principal: Principal, new: NewUpload, file_id: FileId) -> NewUpload:
        """Hold an upload for a file that is there to who may change it; it keeps that file's name."""
        if not is_id(file_id, "file") or principal.tenant_id is None:
            raise NotFound("file")
        file = await self._records.collection(FILES).get(principal.tenant_id, file_id)
        require(principal, Action.CHANGE_FILE, file)
        if file.is_gone(now=self._clock.now()):
            raise FileDeleted
        return replace(new, name=file.name, collection=file.collection)

    async def _end_refused(self, upload: Upload) -> None:
        """Take back what a database without transactions recorded of an upload before its link had no use left."""
        with suppress(NotFound, Conflict):
            await self.drop(await self._uploads.get(upload.tenant_id, upload.id), UploadStatus.ABORTED)

    async def _begin_final(self, principal: Principal, new: NewUpload) -> Upload:
        tenant_id = require(principal, Action.CREATE_UPLOAD)
        if principal.link_id is not None:
            raise PermissionDenied("a guest uploads each file in one piece, without Upload-Concat")
        named = replace(new, idempotency_key=members_key(new.members))
        known = await self._known(tenant_id, f"{principal.user_id} {named.idempotency_key}")
        if known is not None:
            return known
        members = await self._concatenator.members_of(tenant_id, principal.user_id, new.members)
        length = sum(member.reserved_bytes for member in members)
        limits = await self._limits.get(tenant_id)
        check_length(length, length_max=self._length_max(limits))
        # tus 1.0: "Upload-Length [...] MUST be included if the length of the final resource can be calculated".
        if all(member.length is not None for member in members):
            named = replace(named, length=length)
        return await self._concatenator.join_soon(await self._begin(principal, named), self.drop)

    async def _known(self, tenant_id: TenantId, idempotency_key: str | None) -> Upload | None:
        if idempotency_key is None:
            return None
        return await self._uploads.find(tenant_id, idempotency_key=idempotency_key)

    async def _upload_of(
        self, new: NewUpload, tenant_id: TenantId, user_id: UserId, *, link_id: ShareLinkId | None
    ) -> Upload:
        now = self._clock.now()
        version_id = None if new.file_id is None else new_version_id(now)
        file_id = new.file_id or new_file_id(now)
        key = blob_key(version_id or file_id, folder=await self._folders.get(user_id), name=new.name)
        content_type = parse_media_type(new.content_type)
        return Upload(
            id=new_upload_id(),
            tenant_id=tenant_id,
            file_id=file_id,
            user_id=user_id,
            name=new.name,
            content_type=content_type,
            length=new.length,
            writer=await self._blobs.create(key, content_type=content_type, length=new.length),
            created_at=now,
            updated_at=now,
            expires_at=now + self._rules.lifetime,
            metadata_header=new.metadata_header,
            metadata=new.metadata,
            visibility=new.visibility,
            resource=new.resource,
            sha256=new.sha256,
            file_expires_at=new.file_expires_at,
            idempotency_key=new.idempotency_key,
            fingerprint=new.fingerprint,
            concatenation=new.concatenation,
            members=new.members,
            link_id=link_id,
            version_id=version_id,
            concatenation_header=new.concatenation_header,
            collection=new.collection,
            processing=self._rules.processing.of(new.collection, also=await self._own_rules(tenant_id)),
            revision=1,  # once it is added
        )

    def _length_max(self, limits: Limits) -> int:
        """Give how long a file of the tenant may be: the server's limit or its own, whichever is less."""
        return min(self._rules.length_max, limits.file_size_max or self._rules.length_max)

    async def _own_rules(self, tenant_id: TenantId) -> ProcessingRules | None:
        text = (await self._limits.get(tenant_id)).processing
        return None if text is None else parse_rules(text)

    async def _read_limits(self, tenant_id: str) -> Limits:
        return (await self._records.collection(TENANTS).get(SYSTEM, tenant_id)).limits

    async def _read_folder(self, user_id: str) -> str:
        user = await self._records.collection(USERS).get(SYSTEM, user_id)
        return user.email or user.username

    async def _finish_empty(self, upload: Upload) -> Upload:
        """An upload of no bytes has them all as soon as it is made; a partial one waits all the same."""
        if upload.length != 0 or not upload.status.is_open or upload.concatenation is Concatenation.PARTIAL:
            return upload
        moved = upload.advance(upload.writer, now=self._clock.now(), expires_at=upload.expires_at)
        return await self._finisher.finish(moved, sha256=await LiveDigest().hexdigest(), unsaved=True)

    # ---- append

    async def append(self, principal: Principal, command: AppendBytes, body: Body) -> Upload:
        """
        Store the body behind what is there.

        Raises:
            OffsetMismatch, UploadExpired, UploadComplete, LengthExceeded, …: Before a byte is read.
            ChecksumMismatch: Nothing of this request was kept.
            StoreFull, StoreUnavailable: What had become durable by then is recorded.
        """
        holding = self._locks.hold(
            command.upload_id,
            on_contention=body.stop,
            patience_seconds=LOCK_PATIENCE_SECONDS,
            check=lambda: self._find(principal, command.upload_id),
        )
        async with holding as hold:
            upload = await self._held(principal, command.upload_id, hold)
            upload.accept(command.offset, now=self._clock.now())
            limits = await self._limits.get(upload.tenant_id)
            declared = self._with_length(upload, command, limits)
            active = _Active(body, upload, can_pause=command.checksum is None)
            self._active[upload.id] = active
            if self._is_stopping:
                body.stop()
            try:
                return await self._receive(declared, upload, command, body, limits)
            finally:
                self._active.pop(upload.id, None)
                active.recorded.set()
                self._bus.publish(UploadMoved(TenantId(upload.tenant_id), upload.id))

    async def finish_as(self, principal: Principal, upload_id: UploadId, new: NewUpload) -> Upload:
        """Finish an upload with the bytes that it has, under what is known of it only now that they have come."""
        holding = self._locks.hold(upload_id, on_contention=_ignore, patience_seconds=LOCK_PATIENCE_SECONDS)
        async with holding as hold:
            seen = await self._held(principal, upload_id, hold)
            seen.accept(seen.offset, now=self._clock.now())
            limits = await self._limits.get(seen.tenant_id)
            upload = replace(
                seen.declare_length(seen.offset, length_max=self._length_max(limits)),
                name=new.name,
                visibility=new.visibility,
                resource=new.resource,
                metadata=new.metadata,
                sha256=new.sha256,
                file_expires_at=new.file_expires_at,
            )
            moved = upload.advance(upload.writer, now=self._clock.now(), expires_at=upload.expires_at)
            digest = self._digests.take(upload.id, offset=upload.offset)
            sha256 = await digest.hexdigest() if digest is not None else None
            return await self._finisher.finish(await self._save(moved, seen, limits), sha256=sha256)

    def _with_length(self, upload: Upload, command: AppendBytes, limits: Limits) -> Upload:
        """Take in the length that the request declares, and hold the body's own length against it."""
        length_max = self._length_max(limits)
        if command.length is not None:
            upload = upload.declare_length(command.length, length_max=length_max)
        if command.is_last and command.body_length is not None:
            upload = upload.declare_length(command.offset + command.body_length, length_max=length_max)
        room = upload.room(length_max=length_max)
        if command.body_length is not None and command.body_length > room:
            raise LengthExceeded(f"{command.body_length} bytes are more than the {room} that are missing")
        return upload

    async def _receive(self, upload: Upload, seen: Upload, command: AppendBytes, body: Body, limits: Limits) -> Upload:
        """Store and record, now and then and at the end. `seen` is the upload as it is recorded now."""
        length_max = self._length_max(limits)
        receiver = Receiver(
            body,
            offset=upload.offset,
            limit=upload.room(length_max=length_max),
            checksum=command.checksum,
            digest=self._digest_for(upload),
            # A part has no beginning that would tell a type: the file that it becomes a part of has.
            inspect=None
            if upload.concatenation is Concatenation.PARTIAL
            else lambda beginning: _check_type(beginning, upload, limits),
            can_pipe=self._piping is not None,
        )

        async def record(writer: BlobWriter) -> None:
            nonlocal upload, seen
            if writer.size_bytes != upload.length:  # the last byte is recorded when the body has ended
                upload = seen = await self._save(self._moved(upload, writer, receiver), seen, limits)

        while True:
            fault: LighterageError | None = None
            try:
                writer = await self._store(upload.writer, receiver, command, record)
            except (StoreFull, StoreUnavailable) as error:
                if error.kept is None:
                    raise
                writer, fault = error.kept, error
                receiver.digest = None
            if receiver.is_done and body.ended_by is BodyEnd.COMPLETE and command.is_last:
                upload = upload.declare_length(writer.size_bytes, length_max=length_max)
                writer = replace(writer, length=upload.length)
            upload = await self._commit(upload, seen, writer, receiver, limits)
            if fault is not None:
                raise fault
            if receiver.is_done or not upload.status.is_open:
                return upload
            seen = upload

    async def _store(
        self, writer: BlobWriter, receiver: Receiver, command: AppendBytes, on_durable: OnDurable
    ) -> BlobWriter:
        expected = receiver.expected(command.body_length)
        record = on_durable if command.checksum is None else None
        if self._piping is not None:
            chunks = receiver.segment()
            return await self._piping.append(writer, chunks, on_durable=record, expected_bytes=expected)
        seen = cast("AsyncIterator[bytes]", receiver.segment())  # nothing is piped where the store cannot take it
        return await self._blobs.append(writer, seen, on_durable=record, expected_bytes=expected)

    def _digest_for(self, upload: Upload) -> LiveDigest | None:
        if upload.sha256 is not None or self._rules.hashes_all:
            return self._digests.take(upload.id, offset=upload.offset)
        if (upload.length or upload.offset) > LIVE_BYTES_MAX:
            return None
        return self._digests.take(upload.id, offset=upload.offset, bytes_max=LIVE_BYTES_MAX)

    def _moved(self, upload: Upload, writer: BlobWriter, receiver: Receiver) -> Upload:
        """Give the upload with what became durable, and with what the passing bytes told."""
        if not upload.is_sniffed and receiver.is_inspected:
            found = sniff(receiver.beginning, name=upload.name, declared=upload.content_type)
            upload = replace(upload, content_type=found, is_sniffed=True)
        now = self._clock.now()
        return upload.advance(writer, now=now, expires_at=now + self._rules.lifetime)

    async def _commit(
        self, upload: Upload, seen: Upload, writer: BlobWriter, receiver: Receiver, limits: Limits
    ) -> Upload:
        """Record what became durable. `seen` is the upload as it is recorded now."""
        moved = self._moved(upload, writer, receiver)
        is_further = moved.offset != seen.offset
        if not is_further and moved == replace(seen, updated_at=moved.updated_at, expires_at=moved.expires_at):
            return seen
        digest = receiver.digest
        if moved.status is UploadStatus.ASSEMBLING:
            sha256 = await digest.hexdigest() if digest is not None else None
            if seen.offset == 0 and seen.reserved_bytes == moved.reserved_bytes:
                return await self._finisher.finish(moved, sha256=sha256, unsaved=True)
            return await self._finisher.finish(await self._save(moved, seen, limits), sha256=sha256)
        moved = await self._save(moved, seen, limits)
        if digest is not None and digest.offset == moved.offset:
            self._digests.give_back(moved.id, digest)
        if moved.is_whole and moved.concatenation is Concatenation.PARTIAL:
            await self._concatenator.join_waiting(moved, self.drop)
        return moved

    async def _save(self, moved: Upload, seen: Upload, limits: Limits) -> Upload:
        if moved.reserved_bytes == seen.reserved_bytes:
            saved = await self._uploads.save(moved, expected_revision=seen.revision)
        else:
            saved = await self._save_and_reserve(moved, seen, limits)
        active = self._active.get(moved.id)
        if active is not None:
            active.recorded.set()
            active.recorded = asyncio.Event()
        self._bus.publish(UploadMoved(TenantId(moved.tenant_id), moved.id))
        return saved

    async def _save_and_reserve(self, moved: Upload, seen: Upload, limits: Limits) -> Upload:
        """Save, and hold more of the quota for an upload whose length was not known when it began."""
        more = moved.reserved_bytes - seen.reserved_bytes
        is_limited = limits.stored_bytes_max is not None and more > 0
        reserve = Increment(
            USAGES,
            moved.tenant_id,
            moved.tenant_id,
            {"bytes_in_flight": more, "bytes_total": more},
            at_most={"bytes_total": limits.stored_bytes_max} if is_limited else {},  # type: ignore[dict-item]
            once=f"{moved.id}.{seen.revision}.{moved.reserved_bytes}",
        )
        try:
            await self._records.write(reserve, Save(UPLOADS, moved, seen.revision))
        except Conflict as error:
            if (await self._uploads.get(moved.tenant_id, moved.id)).revision != seen.revision:
                raise
            raise _no_room(limits) from error
        return replace(moved, revision=seen.revision + 1)

    # ---- ask, end, watch

    async def status(self, principal: Principal, upload_id: UploadId) -> Upload:
        """
        Give the upload as it is recorded, with what a running request has received so far.

        It never waits for that request's end and never ends it: the request is asked to record what it has.
        """
        upload = await self._find(principal, upload_id)
        active = self._active.get(upload_id)
        if active is not None and active.can_pause and active.received_offset > upload.offset:
            recorded = active.recorded
            active.body.pause()
            with suppress(TimeoutError):
                await asyncio.wait_for(recorded.wait(), FLUSH_PATIENCE_SECONDS)
            upload = await self._find(principal, upload_id)
        if upload.status is UploadStatus.ASSEMBLING and upload_id not in self._active:
            with suppress(UploadLocked):  # then somebody is about to finish it; that all its bytes are here is true
                upload = await self._recover_alone(upload, patience_seconds=FLUSH_PATIENCE_SECONDS)
        if upload.status.is_gone or (upload.status.is_open and self._clock.now() >= upload.expires_at):
            raise UploadExpired
        return upload

    async def settle(self, principal: Principal, upload_id: UploadId) -> Upload:
        """End a request that still adds bytes, in whichever process, and give the upload: it goes on from there."""
        await self._find(principal, upload_id)
        with suppress(UploadLocked):  # then what is recorded by now is the best there is
            async with self._locks.hold(upload_id, on_contention=_ignore, patience_seconds=LOCK_PATIENCE_SECONDS):
                pass
        return await self.status(principal, upload_id)

    async def get(self, principal: Principal, upload_id: UploadId) -> Upload:
        """Give the upload as it is recorded, finished and ended ones too."""
        return await self._find(principal, upload_id)

    async def list_own(self, principal: Principal, *, statuses: Sequence[UploadStatus], limit: int) -> list[Upload]:
        """Give the caller's transfers, newest first: what another device may resume."""
        tenant_id = require(principal, Action.LIST_UPLOADS)
        where = [
            equals("user_id", principal.user_id),
            equals("link_id", None),
            one_of("status", tuple(statuses)),
            one_of("concatenation", (Concatenation.NONE, Concatenation.FINAL)),
        ]
        order = Order("created_at", descending=True)
        page = await self._uploads.list(tenant_id, where, order=order, page=PageRequest(limit=limit))
        return page.items

    async def terminate(self, principal: Principal, upload_id: UploadId) -> None:
        """
        End an upload: an unfinished one's bytes are removed, a finished one's file is put into the trash.

        tus 1.0, termination: "The Client can use this extension to delete completed and unfinished uploads".

        Raises:
            UploadExpired: It was ended before.
        """
        await self._find(principal, upload_id)
        holding = self._locks.hold(upload_id, on_contention=_ignore, patience_seconds=LOCK_PATIENCE_SECONDS)
        async with holding as hold:
            upload = await self._held(principal, upload_id, hold)
            if upload.status.is_gone:
                raise UploadExpired
            if upload.status.is_open:
                await self.drop(upload, UploadStatus.ABORTED)
            else:
                await self._finisher.discard(upload, actor=principal)

    async def drop(self, upload: Upload, status: UploadStatus) -> None:
        """Record that an unfinished upload is over, give its room back, then remove its bytes."""
        # A try to finish or join it may have broken off behind its blob; nobody can have read that.
        has_blob = upload.offset == 0 or upload.concatenation is Concatenation.PARTIAL
        await self._finisher.end(upload, status, has_blob=has_blob)
        self._digests.forget(upload.id)

    async def expire(self, upload: Upload) -> None:
        """Drop an upload whose time is over; Conflict while its bytes are still coming."""
        if upload.id in self._active:
            raise Conflict("bytes are still coming")
        await self.drop(upload, UploadStatus.EXPIRED)

    async def progress(self, principal: Principal, upload_id: UploadId) -> AsyncGenerator[Progress, None]:
        """Yield the present state, then every change, at most four a second, until the upload is over."""
        upload = await self._find(principal, upload_id)
        last: Progress | None = None
        async with waking(self._bus.listen(TenantId(upload.tenant_id), upload_id=upload_id)) as wait:
            while True:
                upload = await self._find(principal, upload_id)
                frame = self._frame(upload, last)
                if last is None or (frame.offset, upload.status) != (last.offset, last.upload.status):
                    yield frame
                    last = frame
                if not upload.status.is_open and upload.status is not UploadStatus.ASSEMBLING:
                    return
                await asyncio.sleep(PROGRESS_INTERVAL_SECONDS)
                await wait(PROGRESS_POLL_SECONDS - PROGRESS_INTERVAL_SECONDS)

    def _frame(self, upload: Upload, last: Progress | None) -> Progress:
        active = self._active.get(upload.id)
        offset = max(upload.offset, active.received_offset if active else 0)
        now = self._clock.now()
        rate = None
        if last is not None and now > last.at:
            rate = int(max(0, offset - last.offset) / (now - last.at).total_seconds())
        return Progress(upload, offset, rate, now)

    # ---- addresses

    def url_of(self, upload: Upload) -> str:
        """Give the upload's absolute URL."""
        return self._rules.public_url + upload.id

    def headers_for(self, principal: Principal, upload: Upload) -> dict[str, str]:
        """Give the headers that each request of a tus client needs, good for this upload alone and as long as it."""
        assert upload.user_id is not None
        if principal.link_id is not None:
            token = self._tokens.issue_guest(link_id=principal.link_id, expires_at=upload.expires_at)
        else:
            token = self._tokens.issue_upload(
                tenant_id=TenantId(upload.tenant_id),
                user_id=upload.user_id,
                upload_id=upload.id,
                expires_at=upload.expires_at,
            )
        return {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}

    def chunk_size_of(self, upload: Upload) -> int:
        """Give the body size that suits the store best; any other works too."""
        return CHUNK_SIZE_BYTES

    def stop_receiving(self) -> None:
        """End every request's body, also of those to come, so that what came is recorded before the process goes."""
        self._is_stopping = True
        for active in list(self._active.values()):
            active.body.stop()

    # ---- helpers

    async def _find(self, principal: Principal, upload_id: UploadId) -> Upload:
        if principal.tenant_id is None:
            require(principal, Action.CREATE_UPLOAD)
        if not is_id(upload_id, "upload") or principal.tenant_id is None:
            raise NotFound("upload")
        upload = await self._uploads.get(principal.tenant_id, upload_id)
        require(principal, Action.WRITE_UPLOAD, upload)
        return upload

    async def _held(self, principal: Principal, upload_id: UploadId, hold: Hold) -> Upload:
        """Give the upload as it stands now that it is ours, out of reach of a holder before who lost it."""
        upload = await self._find(principal, upload_id)
        if hold.was_stolen and upload.status.is_open:
            upload = await self._uploads.save(upload, expected_revision=upload.revision)
        return await self._recover(upload)

    async def _recover(self, upload: Upload) -> Upload:
        """Carry on with an upload whose process went away between the last byte and the file's record."""
        if upload.status is not UploadStatus.ASSEMBLING:
            return upload
        return await self._finisher.finish(upload, sha256=None)

    async def join(self, final: Upload) -> Upload:
        """Carry on with a final upload whose process went away; for maintenance, which finds them."""
        return await self._concatenator.join(final, self.drop)

    async def recover(self, upload: Upload) -> Upload:
        """The same for maintenance, which finds them."""
        return await self._recover_alone(upload, patience_seconds=LOCK_PATIENCE_SECONDS)

    async def _recover_alone(self, upload: Upload, *, patience_seconds: float) -> Upload:
        # Two who finish the same upload at once could take the blob of a broken try away from under each other.
        async with self._locks.hold(upload.id, on_contention=_ignore, patience_seconds=patience_seconds):
            return await self._recover(await self._uploads.get(upload.tenant_id, upload.id))


def _check_type(beginning: bytes, upload: Upload, limits: Limits) -> None:
    found = sniff(beginning, name=upload.name, declared=upload.content_type)
    if not is_allowed(found, limits.content_types):
        raise ContentTypeNotAllowed(f"files of type {found} are not taken here")


def _no_room(limits: Limits) -> LighterageError:
    if limits.stored_bytes_max is None:
        return Conflict("the upload could not be recorded; try again")
    return QuotaExceeded(f"the tenant's {limits.stored_bytes_max} bytes are used up")


def _ignore() -> None:
    """A deletion is short: whoever waits for it just waits."""
