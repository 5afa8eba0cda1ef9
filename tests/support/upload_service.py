"""An upload service in memory: what services.uploads promises to the upload face, without stores."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from domain.blob import BlobKey, BlobWriter
from domain.errors import ChecksumMismatch, InvalidValue, LengthMismatch, NotFound, PermissionDenied, UploadExpired
from domain.ids import FileId, TenantId, UploadId, UserId, new_upload_id
from domain.principal import ALL_SCOPES, Principal
from domain.upload import (
    LENGTH_MAX,
    AppendBytes,
    Body,
    BodyEnd,
    Checksum,
    Concatenation,
    CreateUpload,
    Upload,
    UploadStatus,
    check_length,
)

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
LIFETIME = timedelta(days=1)

ANNA = Principal(UserId("user_anna"), TenantId("tenant_a"), None, ALL_SCOPES)
BERT = Principal(UserId("user_bert"), TenantId("tenant_b"), None, ALL_SCOPES)


@dataclass
class FakeUploadService:
    """
    Keeps uploads as the domain's rules want it.

    Attributes:
        stored: The bytes of each upload.
        created: What every creation asked for, in order.
        fault: Raised by the next call, in place of its work.
    """

    length_max: int = LENGTH_MAX
    uploads: dict[UploadId, Upload] = field(default_factory=dict)
    stored: dict[UploadId, bytes] = field(default_factory=dict)
    created: list[CreateUpload] = field(default_factory=list)
    fault: Exception | None = None
    now: datetime = NOW
    bodies: dict[UploadId, Body] = field(default_factory=dict)
    locks: dict[UploadId, asyncio.Lock] = field(default_factory=dict)
    reading: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def only(self) -> Upload:
        """The one upload there is."""
        (upload,) = self.uploads.values()
        return upload

    async def create(self, principal: Principal, command: CreateUpload, body: Body | None) -> Upload:
        self._raise_fault()
        length = command.length
        if command.is_last and length is None and command.body_length is not None:
            length = command.body_length
        if length is not None:
            check_length(length, length_max=self.length_max)
            if command.is_last and command.body_length is not None and command.body_length != length:
                raise LengthMismatch("the body's length is another")
        content = b""
        if command.concatenation is Concatenation.FINAL:
            content = b"".join(self._part(principal, member) for member in command.members)
            length = len(content)
        upload = self._new(principal, command, length)
        self.created.append(command)
        self.uploads[upload.id], self.stored[upload.id] = upload, content
        if content or (length == 0 and body is None):
            self._advance(upload, len(content))
        if body is not None:
            await self._write(upload.id, body, checksum=command.checksum, is_last=command.is_last)
        return self.uploads[upload.id]

    async def append(self, principal: Principal, command: AppendBytes, body: Body) -> Upload:
        self._raise_fault()
        if command.upload_id in self.bodies:
            self.bodies[command.upload_id].stop()
        async with self.locks.setdefault(command.upload_id, asyncio.Lock()):
            upload = self._get(principal, command.upload_id)
            if upload.concatenation is Concatenation.FINAL:
                raise PermissionDenied("a final upload takes no bytes")
            upload.accept(command.offset, now=self.now)
            if command.is_last and command.body_length is not None:
                upload = upload.declare_length(command.offset + command.body_length, length_max=self.length_max)
            if command.length is not None:
                upload = upload.declare_length(command.length, length_max=self.length_max)
            self.uploads[upload.id] = upload
            await self._write(upload.id, body, checksum=command.checksum, is_last=command.is_last)
        return self.uploads[command.upload_id]

    async def status(self, principal: Principal, upload_id: UploadId) -> Upload:
        self._raise_fault()
        upload = self._get(principal, upload_id)
        if upload.status.is_gone or (upload.status.is_open and self.now >= upload.expires_at):
            raise UploadExpired
        return upload

    async def settle(self, principal: Principal, upload_id: UploadId) -> Upload:
        if upload_id in self.bodies:
            self.bodies[upload_id].stop()
        async with self.locks.setdefault(upload_id, asyncio.Lock()):
            return await self.status(principal, upload_id)

    async def terminate(self, principal: Principal, upload_id: UploadId) -> None:
        upload = await self.status(principal, upload_id)
        self.uploads[upload_id] = upload.close(UploadStatus.ABORTED, now=self.now)
        del self.stored[upload_id]

    def _raise_fault(self) -> None:
        if self.fault is not None:
            raise self.fault

    def _get(self, principal: Principal, upload_id: UploadId) -> Upload:
        upload = self.uploads.get(upload_id)
        if upload is None or upload.tenant_id != principal.tenant_id:
            raise NotFound("upload")
        return upload

    def _part(self, principal: Principal, upload_id: UploadId) -> bytes:
        part = self._get(principal, upload_id)
        if part.concatenation is not Concatenation.PARTIAL or not part.is_whole:
            raise InvalidValue("not a finished partial upload", path=("Upload-Concat",))
        return self.stored[upload_id]

    def _new(self, principal: Principal, command: CreateUpload, length: int | None) -> Upload:
        return Upload(
            id=new_upload_id(),
            tenant_id=principal.tenant_id or "",
            file_id=FileId("file_x"),
            user_id=principal.user_id,
            name="",
            content_type=command.content_type or "application/octet-stream",
            length=length,
            writer=BlobWriter(BlobKey("x"), "", length=length),
            created_at=self.now,
            updated_at=self.now,
            expires_at=self.now + LIFETIME,
            metadata_header=command.metadata_header,
            concatenation=command.concatenation,
            concatenation_header=command.concatenation_header,
            members=command.members,
        )

    async def _write(self, upload_id: UploadId, body: Body, *, checksum: Checksum | None, is_last: bool | None) -> None:
        upload = self.uploads[upload_id]
        content = b""
        self.bodies[upload_id] = body
        self.reading.set()
        try:
            async for chunk in body.chunks(limit=upload.room(length_max=self.length_max), checksum=checksum):
                content += chunk
        except ChecksumMismatch:
            assert body.ended_by is not None
            raise
        finally:
            del self.bodies[upload_id]
        if is_last and body.ended_by is BodyEnd.COMPLETE:
            upload = upload.declare_length(upload.offset + len(content), length_max=self.length_max)
        self.stored[upload_id] += content
        self._advance(upload, len(self.stored[upload_id]))

    def _advance(self, upload: Upload, offset: int) -> None:
        writer = replace(upload.writer, size_bytes=offset)
        moved = upload.advance(writer, now=self.now, expires_at=upload.expires_at)
        self.uploads[upload.id] = moved.close(UploadStatus.COMPLETED, now=self.now) if moved.is_whole else moved
