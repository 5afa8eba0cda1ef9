"""Uploads: transfers that are not finished yet, how one begins, and how far it has come."""

from datetime import datetime
from typing import Self

import strawberry

from domain.upload import Upload as UploadRecord
from domain.upload import UploadStatus as UploadStatusRecord
from schema.context import Info
from schema.directives import Auth
from schema.enums import FileVisibility, Scope, UploadStatus
from schema.errors import UserError
from schema.fields import computed
from schema.files import File, MetadataInput, ResourceLinkInput
from schema.node import Node
from schema.scalars import URL, BigInt


@strawberry.type(description="A header of an HTTP request.")
class HttpHeader:
    name: str = strawberry.field(description="Its name.")
    value: str = strawberry.field(description="Its value.")


@strawberry.type(
    description="One resumable transfer (tus 1.0). With its last byte it turns into a File, or a new version of one.",
    directives=[Auth(scope=Scope.FILES_WRITE)],
)
class Upload(Node):
    status: UploadStatus = strawberry.field(description="Where it stands.")
    offset: BigInt = strawberry.field(description="Bytes that are durable: where the client continues.")
    size: BigInt | None = strawberry.field(description="Bytes there will be. Null with Upload-Defer-Length.")
    name: str = strawberry.field(description="The file's name.")
    content_type: str = strawberry.field(description="The media type that was declared.")
    created_at: datetime = strawberry.field(description="When it began.")
    expires_at: datetime = strawberry.field(description="When it is dropped if no more bytes come.")
    record: strawberry.Private[UploadRecord]

    @computed(description="tus resource: HEAD, PATCH and DELETE go here.")
    def url(self, info: Info) -> URL:
        return URL(info.context.upload_url(self.record))

    @computed(
        description="Headers that each tus request needs, so that the browser needs no session: a token for it alone."
    )
    def headers(self, info: Info) -> list[HttpHeader]:
        headers = info.context.upload_headers(self.record)
        return [HttpHeader(name=name, value=value) for name, value in headers.items()]

    @computed(description="Suggested size of a PATCH body; any other is taken too.")
    def chunk_size(self, info: Info) -> BigInt:
        return BigInt(info.context.chunk_size(self.record))

    @computed(description="The file it became; null until COMPLETED.")
    async def file(self, info: Info) -> File | None:
        if self.record.status is not UploadStatusRecord.COMPLETED:
            return None
        record = await info.context.find_file(self.record.file_id)
        return None if record is None else File.from_domain(record)

    @classmethod
    def from_domain(cls, record: UploadRecord) -> Self:
        return cls(
            id=strawberry.ID(record.id),
            status=status_of(record),
            offset=BigInt(record.offset),
            size=None if record.length is None else BigInt(record.length),
            name=record.name,
            content_type=record.content_type,
            created_at=record.created_at,
            expires_at=record.expires_at,
            record=record,
        )


def status_of(record: UploadRecord) -> UploadStatus:
    # To clients assembling is the last moment of being in progress: nothing they could do is different.
    if record.status is UploadStatusRecord.ASSEMBLING:
        return UploadStatus.IN_PROGRESS
    return UploadStatus(record.status.value)


@strawberry.type(description="How far a transfer has come.")
class UploadProgress:
    upload: Upload = strawberry.field(description="The transfer itself.")
    offset: BigInt = strawberry.field(description="Bytes that are durable.")
    size: BigInt | None = strawberry.field(description="Bytes there will be, once it is known.")
    bytes_per_second: BigInt | None = strawberry.field(description="Speed of late; null while it cannot be told.")
    status: UploadStatus = strawberry.field(description="Where it stands.")
    at: datetime = strawberry.field(description="When this was so.")


@strawberry.input(description="The file that is going to be uploaded.")
class CreateUploadInput:
    tenant_id: strawberry.ID | None = strawberry.field(
        default=None, description="Whose the file becomes: the token's tenant, which is the default."
    )
    name: str = strawberry.field(description="The file's name.")
    size: BigInt | None = strawberry.field(default=None, description="Bytes; left out: declared later by tus.")
    content_type: str | None = strawberry.field(default=None, description="Media type, as far as the client knows.")
    sha256: str | None = strawberry.field(
        default=None, description="Lower-case hex SHA-256 of the content: the upload fails if it becomes another."
    )
    visibility: FileVisibility | None = strawberry.field(
        default=FileVisibility.PRIVATE, description="Who may read it besides its uploader and admins."
    )
    resource: ResourceLinkInput | None = strawberry.field(default=None, description="What it belongs to.")
    metadata: list[MetadataInput] | None = strawberry.field(default=None, description="What to note about it.")
    expires_at: datetime | None = strawberry.field(default=None, description="When the file is to be deleted.")
    file_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="Adds a version to this file, which keeps its name and all that is noted about it.",
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="Same key within 24 h gives the same upload back."
    )


@strawberry.input(description="Which transfer is dropped.")
class AbortUploadInput:
    upload_id: strawberry.ID = strawberry.field(description="The transfer.")


@strawberry.type(description="Outcome of `createUpload`.")
class CreateUploadPayload:
    upload: Upload | None = strawberry.field(default=None, description="Where the bytes go.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why there is none.")


@strawberry.type(description="Outcome of `abortUpload`.")
class AbortUploadPayload:
    upload: Upload | None = strawberry.field(default=None, description="The transfer as it is now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it goes on.")
