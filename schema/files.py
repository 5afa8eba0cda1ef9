"""Files: the type, how lists of them are filtered and ordered, the inputs that change them, and their events."""

from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from domain.event import FileEvent as FileEventRecord
from domain.file import File as FileRecord
from domain.ids import TenantId, UserId
from domain.version import FileVersion as FileVersionRecord
from schema.accounts import Tenant, User, find_user
from schema.context import Info
from schema.directives import Auth, Cost
from schema.enums import (
    ContentDisposition,
    FileEventAction,
    FileOrderField,
    FileStatus,
    FileVisibility,
    OrderDirection,
    Scope,
)
from schema.errors import UserError
from schema.fields import computed
from schema.jobs import ProcessingJob
from schema.node import Node
from schema.pagination import Connection, whole_page
from schema.queries import SqlSchema
from schema.scalars import URL, BigInt

if TYPE_CHECKING:
    from schema.shares import ShareLink


@strawberry.type(description="The thing in the customer's own system that a file belongs to.")
class ResourceLink:
    type: str = strawberry.field(description="What kind of thing, as `product`.")
    id: str = strawberry.field(description="Its id there.")


@strawberry.type(description="One entry of what a client noted about a file.")
class MetadataEntry:
    key: str = strawberry.field(description="Unique within the file.")
    value: str = strawberry.field(description="Any text.")


@strawberry.type(description="A finished file.", directives=[Auth(scope=Scope.FILES_READ)])
class File(Node):
    name: str = strawberry.field(description="Its name, as the uploader gave it.")
    content_type: str = strawberry.field(
        description="Media type: found in the first bytes where they tell, else as declared."
    )
    size: BigInt = strawberry.field(description="Bytes.")
    sha256: str | None = strawberry.field(
        description="Lower-case hex SHA-256 of the whole content. Null until it was computed."
    )
    status: FileStatus = strawberry.field(description="Where it stands.")
    visibility: FileVisibility = strawberry.field(description="Who may read it besides its uploader and admins.")
    resource: ResourceLink | None = strawberry.field(description="What it belongs to in the customer's system.")
    metadata: list[MetadataEntry] = strawberry.field(description="What the client noted, in the order given.")
    created_at: datetime = strawberry.field(description="When it was uploaded.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")
    expires_at: datetime | None = strawberry.field(description="Deleted automatically after this moment.")
    deleted_at: datetime | None = strawberry.field(description="Set while in the trash.")
    version: int = strawberry.field(description="Optimistic lock: pass it back as `ifVersion` in updates.")
    record: strawberry.Private[FileRecord]

    @computed(description="Whose it is.", same_for=attrgetter("record.tenant_id"))
    async def tenant(self, info: Info) -> Tenant:
        return Tenant.from_domain(await info.context.get_tenant(TenantId(self.record.tenant_id)))

    @computed(
        description="Who uploaded it; null for a guest, and for somebody you may not see.",
        same_for=attrgetter("record.uploader"),
    )
    async def uploaded_by(self, info: Info) -> User | None:
        return await find_user(info, self.record.uploader)

    @computed(
        description="Signed, short-lived. Null unless the file is READY and the viewer may read it.",
        directives=[Cost(weight=2)],
    )
    async def download_url(
        self,
        info: Info,
        ttl_seconds: Annotated[int, strawberry.argument(description="How long the URL is good.")] = 300,
        disposition: Annotated[
            ContentDisposition, strawberry.argument(description="What a browser does with it.")
        ] = ContentDisposition.ATTACHMENT,
    ) -> URL | None:
        inline = disposition is ContentDisposition.INLINE
        url = await info.context.download_url(self.record, ttl_seconds=ttl_seconds, inline=inline)
        return None if url is None else URL(url)

    @computed(
        description="Column names and types if this is a queryable file, else null.",
        directives=[Auth(scope=Scope.FILES_QUERY), Cost(weight=20)],
    )
    async def sql_schema(self, info: Info) -> SqlSchema | None:
        return await info.context.sql_schema(self.record)

    @computed(description="What is done with it beside keeping it, oldest first.", directives=[Cost(list_size=5)])
    async def jobs(self, info: Info) -> list[ProcessingJob]:
        return [ProcessingJob.from_domain(job) for job in await info.context.jobs(self.record)]

    @computed(
        description="Its contents, the newest first: the present one, and those before it that are kept.",
        directives=[Cost(list_size=20, sized_by="first")],
    )
    async def versions(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="At most so many, up to 100.")] = 20,
        after: Annotated[str | None, strawberry.argument(description="Begin behind this cursor.")] = None,
    ) -> Connection[Annotated["FileVersion", strawberry.lazy("schema.files")]]:
        found = await info.context.versions_of(self.record)
        nodes = [FileVersion.from_domain(self.record, one) for one in found]
        return whole_page(nodes, cursors=[one.id for one in found], first=first, after=after)

    @computed(
        description="Links for guests to it that you made, newest first; to an admin all of them.",
        directives=[Auth(scope=Scope.FILES_SHARE), Cost(list_size=20, sized_by="first")],
    )
    async def share_links(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="At most so many, up to 100.")] = 20,
        after: Annotated[str | None, strawberry.argument(description="Begin behind this cursor.")] = None,
    ) -> Connection[Annotated["ShareLink", strawberry.lazy("schema.shares")]]:
        return await info.context.share_links(self.record, first=first, after=after)

    @classmethod
    def from_domain(cls, record: FileRecord) -> Self:
        return cls(
            id=strawberry.ID(record.id),
            name=record.name,
            content_type=record.content_type,
            size=BigInt(record.size),
            sha256=record.sha256,
            # In the trash nothing else about it matters.
            status=FileStatus.DELETED if record.deleted_at is not None else _STATUSES[record.status.value],
            visibility=_VISIBILITIES[record.visibility.value],
            resource=ResourceLink(type=record.resource.type, id=record.resource.id) if record.resource else None,
            metadata=[MetadataEntry(key=entry.key, value=entry.value) for entry in record.metadata],
            created_at=record.created_at,
            updated_at=record.updated_at,
            expires_at=record.expires_at,
            deleted_at=record.deleted_at,
            version=record.revision,
            record=record,
        )


@strawberry.type(description="A content that a file has or had.", directives=[Auth(scope=Scope.FILES_READ)])
class FileVersion(Node):
    number: int = strawberry.field(description="From 1, in the order in which they became the file's content.")
    size: BigInt = strawberry.field(description="Bytes.")
    sha256: str | None = strawberry.field(description="Lower-case hex SHA-256. Null until it was computed.")
    content_type: str = strawberry.field(description="Media type of this content.")
    created_at: datetime = strawberry.field(description="When it was uploaded, or chosen again.")
    is_current: bool = strawberry.field(description="It is what the file holds now.")
    file: strawberry.Private[FileRecord]
    record: strawberry.Private[FileVersionRecord]

    @computed(description="Who did that; null for a guest, and for somebody you may not see.")
    async def created_by(self, info: Info) -> User | None:
        return await find_user(info, self.record.created_by)

    @computed(description="Signed, short-lived. Null unless this content may be read.", directives=[Cost(weight=2)])
    async def download_url(
        self,
        info: Info,
        ttl_seconds: Annotated[int, strawberry.argument(description="How long the URL is good.")] = 300,
        disposition: Annotated[
            ContentDisposition, strawberry.argument(description="What a browser does with it.")
        ] = ContentDisposition.ATTACHMENT,
    ) -> URL | None:
        inline = disposition is ContentDisposition.INLINE
        url = await info.context.download_url(self.file, ttl_seconds=ttl_seconds, inline=inline, version=self.record)
        return None if url is None else URL(url)

    @classmethod
    def from_domain(cls, file: FileRecord, record: FileVersionRecord) -> Self:
        return cls(
            id=strawberry.ID(record.id),
            number=record.number,
            size=BigInt(record.size),
            sha256=record.sha256,
            content_type=record.content_type,
            created_at=record.created_at,
            is_current=record.id == file.version_id,
            file=file,
            record=record,
        )


# A dict is a third of the price of calling an enum, and a page of files calls it a hundred times.
_STATUSES = {str(status.value): status for status in FileStatus}
_VISIBILITIES = {str(visibility.value): visibility for visibility in FileVisibility}


# ---- lists


@strawberry.input(description="Tests of a text; all that are given must hold.")
class StringFilter:
    eq: str | None = strawberry.field(default=None, description="Is exactly this.")
    in_: list[str] | None = strawberry.field(name="in", default=None, description="Is one of these.")
    starts_with: str | None = strawberry.field(default=None, description="Begins with this.")


@strawberry.input(description="Bounds of a number; all that are given must hold.")
class BigIntFilter:
    gte: BigInt | None = strawberry.field(default=None, description="This or more.")
    lte: BigInt | None = strawberry.field(default=None, description="This or less.")


@strawberry.input(description="Bounds of a time; all that are given must hold.")
class DateTimeFilter:
    gte: datetime | None = strawberry.field(default=None, description="At this moment or later.")
    lt: datetime | None = strawberry.field(default=None, description="Before this moment.")


@strawberry.input(description="Files of things in the customer's system.")
class ResourceFilter:
    type: str = strawberry.field(description="What kind of thing.")
    ids: list[str] | None = strawberry.field(default=None, description="Which of them; default: all of this kind.")


@strawberry.input(description="One entry of what is noted about a file.")
class MetadataInput:
    key: str = strawberry.field(description="Unique within the file.")
    value: str = strawberry.field(description="Any text.")


@strawberry.input(description="Which files are listed: those for which everything given holds.")
class FileFilter:
    search: str | None = strawberry.field(default=None, description="Case-insensitive substring of the name.")
    name: StringFilter | None = strawberry.field(default=None, description="Tests of the name.")
    content_type: StringFilter | None = strawberry.field(default=None, description="Tests of the media type.")
    status: list[FileStatus] | None = strawberry.field(default=None, description="Stands at one of these.")
    visibility: list[FileVisibility] | None = strawberry.field(default=None, description="Is one of these.")
    resource: ResourceFilter | None = strawberry.field(default=None, description="Belongs to one of these.")
    uploaded_by: list[strawberry.ID] | None = strawberry.field(default=None, description="Came from one of these.")
    size: BigIntFilter | None = strawberry.field(default=None, description="Bounds of the size in bytes.")
    created_at: DateTimeFilter | None = strawberry.field(default=None, description="Bounds of the upload's time.")
    expires_at: DateTimeFilter | None = strawberry.field(default=None, description="Bounds of the expiry.")
    sha256: str | None = strawberry.field(default=None, description="Has exactly this content, as hex SHA-256.")
    metadata: list[MetadataInput] | None = strawberry.field(
        default=None, description="Has each of these entries, to the letter."
    )
    deleted: bool | None = strawberry.field(
        default=False, description="The trash instead of what is outside it; default: what is outside."
    )


@strawberry.input(description="How files are ordered; ties by id in the same direction.")
class FileOrder:
    field: FileOrderField = strawberry.field(description="By what.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.ASC, description="Which way.")


# ---- changes


@strawberry.input(description="The thing in the customer's own system that a file belongs to.")
class ResourceLinkInput:
    type: str = strawberry.field(description="What kind of thing, as `product`; no slash.")
    id: str = strawberry.field(description="Its id there; no slash.")


@strawberry.input(description="What changes about a file: absent is left as it is, null is cleared.")
class UpdateFileInput:
    file_id: strawberry.ID = strawberry.field(description="Which file.")
    if_version: int | None = strawberry.field(
        default=None, description="Only if the file still has this version; default: whatever it has."
    )
    name: strawberry.Maybe[str | None] = strawberry.field(description="A new name; never null.")
    visibility: strawberry.Maybe[FileVisibility | None] = strawberry.field(description="A new visibility; never null.")
    resource: strawberry.Maybe[ResourceLinkInput | None] = strawberry.field(description="What it belongs to now.")
    metadata: strawberry.Maybe[list[MetadataInput] | None] = strawberry.field(
        description="Everything that is noted about it now."
    )
    expires_at: strawberry.Maybe[datetime | None] = strawberry.field(description="When it is to be deleted.")


@strawberry.input(description="Which files go into the trash.")
class DeleteFilesInput:
    file_ids: list[strawberry.ID] = strawberry.field(description="At most 100.")


@strawberry.input(description="Which files come out of the trash.")
class RestoreFilesInput:
    file_ids: list[strawberry.ID] = strawberry.field(description="At most 100.")


@strawberry.input(description="Which files are removed for good, with their versions and links.")
class PurgeFilesInput:
    file_ids: list[strawberry.ID] = strawberry.field(description="At most 100; in the trash or not.")


@strawberry.input(description="Which content a file gets again.")
class RestoreFileVersionInput:
    file_id: strawberry.ID = strawberry.field(description="The file.")
    version_id: strawberry.ID = strawberry.field(description="One of its versions before the present one.")


@strawberry.type(description="Outcome of `updateFile`.")
class UpdateFilePayload:
    file: File | None = strawberry.field(default=None, description="The file as it is now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was changed.")


@strawberry.type(description="Outcome of `deleteFiles`.")
class DeleteFilesPayload:
    files: list[File] = strawberry.field(default_factory=list, description="Those that are in the trash now.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Those that are not, each with its place in `fileIds`."
    )


@strawberry.type(description="Outcome of `restoreFiles`.")
class RestoreFilesPayload:
    files: list[File] = strawberry.field(default_factory=list, description="Those that are out of the trash now.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Those that are not, each with its place in `fileIds`."
    )


@strawberry.type(description="Outcome of `purgeFiles`.")
class PurgeFilesPayload:
    purged_file_ids: list[strawberry.ID] = strawberry.field(default_factory=list, description="Those that are gone.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Those that are not, each with its place in `fileIds`."
    )


@strawberry.type(description="Outcome of `restoreFileVersion`.")
class RestoreFileVersionPayload:
    file: File | None = strawberry.field(default=None, description="The file with its new content.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it has none.")


# ---- events


@strawberry.input(description="Which events are wanted: those for which everything given holds.")
class FileEventFilter:
    file_ids: list[strawberry.ID] | None = strawberry.field(default=None, description="Of one of these files.")
    actions: list[FileEventAction] | None = strawberry.field(default=None, description="One of these.")
    resource: ResourceFilter | None = strawberry.field(default=None, description="Of a file of one of these.")


@strawberry.type(description="One change of one file.")
class FileEvent:
    cursor: str = strawberry.field(description="Pass the last one seen as `after` to miss nothing.")
    action: FileEventAction = strawberry.field(description="What happened.")
    at: datetime = strawberry.field(description="When.")
    file_id: strawberry.ID = strawberry.field(description="To which file.")
    file: File | None = strawberry.field(description="The file as it is now. Null after PURGED.")
    record: strawberry.Private[FileEventRecord]

    @computed(
        description="Who did it; null for the system, a guest, and somebody you may not see.",
        same_for=attrgetter("record.actor_id"),
    )
    async def actor(self, info: Info) -> User | None:
        actor_id: UserId | None = self.record.actor_id
        return await find_user(info, actor_id)

    @classmethod
    def from_domain(cls, cursor: str, record: FileEventRecord, file: FileRecord | None) -> Self:
        return cls(
            cursor=cursor,
            action=FileEventAction(record.action.value),
            at=record.at,
            file_id=strawberry.ID(record.file_id),
            file=None if file is None else File.from_domain(file),
            record=record,
        )
