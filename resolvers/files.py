"""Files: lists of them, one of them, what changes them, and what happens to them."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Annotated, TypeAlias, TypeVar

import strawberry

from domain.errors import InvalidValue, LighterageError, NotFound
from domain.event import FileEventAction as FileEventActionRecord
from domain.file import File as FileRecord
from domain.file import MetadataEntry, Resource, Visibility, parse_metadata, parse_name, parse_resource
from domain.ids import FileId, is_id
from domain.principal import Principal
from resolvers.context import Info
from resolvers.ids import check_count, check_tenant, known_file_ids, parse_file_id, parse_version_id
from schema.context import FilePageRequest
from schema.errors import UserError, refusal, user_error
from schema.files import (
    DeleteFilesInput,
    DeleteFilesPayload,
    File,
    FileEvent,
    FileEventFilter,
    FileFilter,
    FileOrder,
    MetadataInput,
    PurgeFilesInput,
    PurgeFilesPayload,
    ResourceLinkInput,
    RestoreFilesInput,
    RestoreFilesPayload,
    RestoreFileVersionInput,
    RestoreFileVersionPayload,
    UpdateFileInput,
    UpdateFilePayload,
)
from schema.pagination import Connection
from services.files import UNCHANGED, FileChanges

TenantArgument: TypeAlias = Annotated[
    strawberry.ID | None, strawberry.argument(name="tenantId", description="Whose files; default: the token's tenant.")
]


async def list_files(
    info: Info,
    tenant_id: TenantArgument = None,
    filter: Annotated[FileFilter | None, strawberry.argument(description="Which of them.")] = None,
    order_by: Annotated[FileOrder | None, strawberry.argument(description="Default: the newest first.")] = None,
    first: Annotated[int | None, strawberry.argument(description="At most so many, up to 100; default 50.")] = None,
    after: Annotated[str | None, strawberry.argument(description="Begin behind this cursor.")] = None,
    last: Annotated[int | None, strawberry.argument(description="The last so many, up to 100.")] = None,
    before: Annotated[str | None, strawberry.argument(description="End ahead of this cursor.")] = None,
) -> Connection[File]:
    page = FilePageRequest(first=first, after=after, last=last, before=before)
    return await info.context.files(tenant_id, filter, order_by, page)


async def get_file(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The file's id.")]
) -> File | None:
    return File.from_domain(await info.context.services.files.get(info.context.principal, parse_file_id(id)))


async def update_file(
    info: Info, input: Annotated[UpdateFileInput, strawberry.argument(description="What changes.")]
) -> UpdateFilePayload | None:
    try:
        file_id, changes = parse_file_id(input.file_id), file_changes(input)
        record = await info.context.services.files.update(
            info.context.principal, file_id, changes, if_version=input.if_version
        )
    except NotFound as error:
        return UpdateFilePayload(user_errors=refusal(error, path=("fileId",)))
    except LighterageError as error:
        return UpdateFilePayload(user_errors=refusal(error))
    return UpdateFilePayload(file=File.from_domain(record))


async def delete_files(
    info: Info, input: Annotated[DeleteFilesInput, strawberry.argument(description="Which files.")]
) -> DeleteFilesPayload | None:
    files, errors = await _each(info.context.services.files.delete, info.context.principal, input.file_ids)
    return DeleteFilesPayload(files=files, user_errors=errors)


async def restore_files(
    info: Info, input: Annotated[RestoreFilesInput, strawberry.argument(description="Which files.")]
) -> RestoreFilesPayload | None:
    files, errors = await _each(info.context.services.files.restore, info.context.principal, input.file_ids)
    return RestoreFilesPayload(files=files, user_errors=errors)


async def purge_files(
    info: Info, input: Annotated[PurgeFilesInput, strawberry.argument(description="Which files.")]
) -> PurgeFilesPayload | None:
    files, errors = await _each(info.context.services.files.purge, info.context.principal, input.file_ids)
    return PurgeFilesPayload(purged_file_ids=[file.id for file in files], user_errors=errors)


async def restore_file_version(
    info: Info, input: Annotated[RestoreFileVersionInput, strawberry.argument(description="Which content.")]
) -> RestoreFileVersionPayload | None:
    try:
        file_id, version_id = parse_file_id(input.file_id), parse_version_id(input.version_id)
        record = await info.context.services.versions.restore(info.context.principal, file_id, version_id)
    except NotFound as error:
        return RestoreFileVersionPayload(user_errors=refusal(error, path=(f"{error.kind}Id",)))
    except LighterageError as error:
        return RestoreFileVersionPayload(user_errors=refusal(error))
    return RestoreFileVersionPayload(file=File.from_domain(record))


async def file_events(
    info: Info,
    tenant_id: TenantArgument = None,
    filter: Annotated[FileEventFilter | None, strawberry.argument(description="Which events.")] = None,
    after: Annotated[
        str | None, strawberry.argument(description="The last cursor seen: what happened since comes first.")
    ] = None,
) -> AsyncGenerator[FileEvent, None]:
    wanted = filter or FileEventFilter()
    check_tenant(info.context.principal, tenant_id)
    events = info.context.services.files.events(
        info.context.principal,
        after=after,
        actions=None if wanted.actions is None else [FileEventActionRecord(item.value) for item in wanted.actions],
        file_ids=None if wanted.file_ids is None else known_file_ids(wanted.file_ids),
        resource=None
        if wanted.resource is None
        else (wanted.resource.type, None if wanted.resource.ids is None else tuple(wanted.resource.ids)),
    )
    async with aclosing(events):
        async for cursor, event, file in events:
            yield FileEvent.from_domain(cursor, event, file)


def file_changes(input: UpdateFileInput) -> FileChanges:
    """
    Check what is to be changed; absent stays UNCHANGED, null clears.

    Raises:
        InvalidValue: A value cannot be right.
    """
    return FileChanges(
        name=UNCHANGED if input.name is None else parse_name(_given(input.name.value, "name")),
        visibility=UNCHANGED
        if input.visibility is None
        else Visibility(_given(input.visibility.value, "visibility").value),
        resource=UNCHANGED if input.resource is None else resource_of(input.resource.value),
        metadata=UNCHANGED if input.metadata is None else metadata_of(input.metadata.value),
        expires_at=UNCHANGED if input.expires_at is None else input.expires_at.value,
    )


T = TypeVar("T")


def _given(value: T | None, name: str) -> T:
    if value is None:
        raise InvalidValue(f"{name} cannot be null", path=(name,), reason="required")
    return value


def resource_of(input: ResourceLinkInput | None) -> Resource | None:
    return None if input is None else parse_resource(input.type, input.id)


def metadata_of(input: Sequence[MetadataInput] | None) -> tuple[MetadataEntry, ...]:
    return parse_metadata([(entry.key, entry.value) for entry in input or ()])


async def _each(
    act: Callable[[Principal, Sequence[FileId]], Awaitable[list[FileRecord | LighterageError]]],
    principal: Principal,
    ids: Sequence[str],
) -> tuple[list[File], list[UserError]]:
    """Do one thing to each file; what fails for one is told with its place in `fileIds` and hinders no other."""
    try:
        check_count(ids, name="file_ids")
    except InvalidValue as error:
        return [], refusal(error)
    outcomes: list[FileRecord | LighterageError] = [NotFound("file") for _ in ids]
    places = [place for place, text in enumerate(ids) if is_id(text, "file")]
    for place, outcome in zip(places, await act(principal, [FileId(ids[place]) for place in places]), strict=True):
        outcomes[place] = outcome
    files = [File.from_domain(outcome) for outcome in outcomes if isinstance(outcome, FileRecord)]
    errors = [
        user_error(outcome, path=("fileIds", str(place)))
        for place, outcome in enumerate(outcomes)
        if isinstance(outcome, LighterageError)
    ]
    return files, errors
