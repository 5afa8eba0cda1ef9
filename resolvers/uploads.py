"""Uploads: how one begins and ends, which there are, and how far one has come."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry

from domain.content import parse_media_type
from domain.errors import InvalidValue, LighterageError, NotFound
from domain.file import Visibility, parse_name
from domain.metadata import parse_sha256
from domain.page import PAGE_SIZE_MAX
from domain.upload import NewUpload
from domain.upload import UploadStatus as UploadStatusRecord
from resolvers.context import Info
from resolvers.files import metadata_of, resource_of
from resolvers.ids import check_tenant, parse_file_id, parse_upload_id
from schema.enums import UploadStatus
from schema.errors import refusal
from schema.scalars import BigInt
from schema.uploads import (
    AbortUploadInput,
    AbortUploadPayload,
    CreateUploadInput,
    CreateUploadPayload,
    Upload,
    UploadProgress,
    status_of,
)

IDEMPOTENCY_KEY_LENGTH_MAX = 200


async def get_upload(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The transfer's id.")]
) -> Upload | None:
    return Upload.from_domain(await info.context.services.uploads.get(info.context.principal, parse_upload_id(id)))


async def list_uploads(
    info: Info,
    status: Annotated[
        list[UploadStatus] | None, strawberry.argument(description="Default: those that can be resumed.")
    ] = None,
    first: Annotated[int, strawberry.argument(description="At most so many, up to 100.")] = 20,
) -> list[Upload]:
    if not 0 < first <= PAGE_SIZE_MAX:
        raise InvalidValue(f"first must be from 1 to {PAGE_SIZE_MAX}", path=("first",), reason="out_of_range")
    statuses = _RESUMABLE if status is None else _statuses(status)
    found = await info.context.services.uploads.list_own(info.context.principal, statuses=statuses, limit=first)
    return [Upload.from_domain(record) for record in found]


async def create_upload(
    info: Info, input: Annotated[CreateUploadInput, strawberry.argument(description="The file to come.")]
) -> CreateUploadPayload | None:
    try:
        check_tenant(info.context.principal, input.tenant_id)
        upload = await info.context.services.uploads.begin(info.context.principal, new_upload(input))
    except NotFound as error:
        return CreateUploadPayload(user_errors=refusal(error, path=(f"{error.kind}Id",)))
    except LighterageError as error:
        return CreateUploadPayload(user_errors=refusal(error))
    return CreateUploadPayload(upload=Upload.from_domain(upload))


async def abort_upload(
    info: Info, input: Annotated[AbortUploadInput, strawberry.argument(description="Which transfer.")]
) -> AbortUploadPayload | None:
    service, principal = info.context.services.uploads, info.context.principal
    try:
        upload_id = parse_upload_id(input.upload_id)
        await service.terminate(principal, upload_id)
        upload = await service.get(principal, upload_id)
    except NotFound as error:
        return AbortUploadPayload(user_errors=refusal(error, path=("uploadId",)))
    except LighterageError as error:
        return AbortUploadPayload(user_errors=refusal(error))
    return AbortUploadPayload(upload=Upload.from_domain(upload))


async def upload_progress(
    info: Info, upload_id: Annotated[strawberry.ID, strawberry.argument(description="Which transfer.")]
) -> AsyncGenerator[UploadProgress, None]:
    frames = info.context.services.uploads.progress(info.context.principal, parse_upload_id(upload_id))
    async with aclosing(frames):
        async for frame in frames:
            yield UploadProgress(
                upload=Upload.from_domain(frame.upload),
                offset=BigInt(frame.offset),
                size=None if frame.upload.length is None else BigInt(frame.upload.length),
                bytes_per_second=None if frame.bytes_per_second is None else BigInt(frame.bytes_per_second),
                status=status_of(frame.upload),
                at=frame.at,
            )


_RESUMABLE = (UploadStatusRecord.CREATED, UploadStatusRecord.IN_PROGRESS)


def _statuses(wanted: list[UploadStatus]) -> tuple[UploadStatusRecord, ...]:
    found = [UploadStatusRecord(status.value) for status in wanted]
    if UploadStatus.IN_PROGRESS in wanted:
        found.append(UploadStatusRecord.ASSEMBLING)
    return tuple(found)


def new_upload(input: CreateUploadInput) -> NewUpload:
    """
    Check what a client says of the file to come.

    Raises:
        InvalidValue: A value cannot be right; the path names the field.
    """
    if input.size is not None and input.size < 0:
        raise InvalidValue("a size is not negative", path=("size",), reason="out_of_range")
    if input.idempotency_key is not None and not 0 < len(input.idempotency_key) <= IDEMPOTENCY_KEY_LENGTH_MAX:
        message = f"an idempotency key has 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} characters"
        raise InvalidValue(message, path=("idempotency_key",), reason="too_long")
    return NewUpload(
        name=parse_name(input.name),
        length=input.size,
        file_id=None if input.file_id is None else parse_file_id(input.file_id),
        content_type=parse_media_type(input.content_type),
        metadata=metadata_of(input.metadata),
        visibility=Visibility.PRIVATE if input.visibility is None else Visibility(input.visibility.value),
        resource=resource_of(input.resource),
        sha256=None if input.sha256 is None else parse_sha256(input.sha256),
        file_expires_at=input.expires_at,
        idempotency_key=input.idempotency_key,
    )
