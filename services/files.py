"""The use cases of finished files: list, read, change, delete, hear of."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from auth.policy import Action, audience_conditions, can_see, require
from auth.tokens import TokenService
from domain.blob import BlobStore, LinkingBlobStore
from domain.clock import Clock
from domain.errors import (
    Conflict,
    CursorTooOld,
    FileDeleted,
    InvalidValue,
    LighterageError,
    NotFound,
    PermissionDenied,
    TokenExpired,
    TokenInvalid,
    Unauthenticated,
)
from domain.event import FILE_EVENTS, EventBus, FileEvent, FileEventAction, FilesChanged
from domain.file import EVERYONE, FILES, File, FileStatus, MetadataEntry, Resource, Visibility, fold, parse_name
from domain.ids import FileId, FileVersionId, TenantId, UserId, is_id
from domain.page import (
    PAGE_SIZE_DEFAULT,
    PAGE_SIZE_MAX,
    Comparison,
    Condition,
    Order,
    Page,
    PageRequest,
    Position,
    at_least,
    below,
    decode_cursor,
    encode_cursor,
    equals,
    one_of,
    page_request,
)
from domain.principal import Principal
from domain.records import Add, Records, Save
from domain.version import FILE_VERSIONS, FileVersion, with_content
from services.changes import file_event
from services.joining import Joined
from services.opening import find_open_file, opening
from services.purging import Purger
from services.waking import waking

SKIPPED_MAX = 10_000  # files in front of a page that is asked for by number; each is read
DELETE_MAX = 100  # files in one request
DOWNLOAD_LIFETIME_MAX = timedelta(days=7)
LINK_SECONDS = 300  # for a download to begin at the store, that was sent there
EVENTS_BATCH = 100
EVENTS_POLL_SECONDS = 5.0  # how late an event of another process may come where no signal does


class Unchanged(Enum):
    """Stands where None would clear a value and the caller did not mean to."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


class FileOrderField(Enum):
    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    NAME = "name_folded"
    SIZE = "size"
    EXPIRES_AT = "expires_at"


@dataclass(frozen=True, slots=True)
class FileOrder:
    field: FileOrderField = FileOrderField.CREATED_AT
    descending: bool = True


@dataclass(frozen=True, slots=True)
class FileQuery:
    """Which files are wanted: all conditions hold together; None and empty stand for any."""

    tenant_id: TenantId | None = None
    search: str | None = None
    name_eq: str | None = None
    name_in: tuple[str, ...] | None = None
    name_prefix: str | None = None
    content_type_eq: str | None = None
    content_type_in: tuple[str, ...] | None = None
    content_type_prefix: str | None = None
    statuses: tuple[FileStatus, ...] | None = None
    visibilities: tuple[Visibility, ...] | None = None
    resource_type: str | None = None
    resource_ids: tuple[str, ...] | None = None
    uploaded_by: tuple[UserId, ...] | None = None
    size_min: int | None = None
    size_max: int | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    expires_from: datetime | None = None
    expires_before: datetime | None = None
    sha256: str | None = None
    metadata: tuple[MetadataEntry, ...] = ()
    deleted: bool = False
    order: FileOrder = FileOrder()


@dataclass(frozen=True, slots=True)
class FilePage:
    """One page, and what its cursors are made with."""

    page: Page[File]
    order: FileOrder
    scope: str

    def cursor_of(self, file: File) -> str:
        return encode_cursor(Position(getattr(file, self.order.field.value), file.id), scope=self.scope)


@dataclass(frozen=True, slots=True)
class NumberedPage:
    """One page by its number, from 1 on. `count`: files on all pages together."""

    files: list[File]
    number: int
    size: int
    count: int
    has_next: bool


@dataclass(frozen=True, slots=True)
class FileChanges:
    """What is to be different; None clears what may be empty."""

    name: str | Unchanged = UNCHANGED
    visibility: Visibility | Unchanged = UNCHANGED
    resource: Resource | Unchanged | None = UNCHANGED
    metadata: tuple[MetadataEntry, ...] | Unchanged = UNCHANGED
    expires_at: datetime | Unchanged | None = UNCHANGED


class Content:
    """A file whose bytes the caller may read."""

    def __init__(self, file: File, blobs: BlobStore, *, inline: bool, linking: LinkingBlobStore | None = None) -> None:
        self.file = file
        self.inline = inline
        self._blobs = blobs
        self._linking = linking

    async def link(self, *, disposition: str) -> str | None:
        """Give an address of the store's own for these bytes; None where they are to come through here."""
        if self._linking is None:
            return None
        return await self._linking.link(
            self.file.key, seconds=LINK_SECONDS, content_type=self.file.content_type, disposition=disposition
        )

    def read(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from `start` up to `end`, exclusive."""
        return self._blobs.open(self.file.key, start=start, end=end)


class FileService:
    def __init__(
        self,
        *,
        records: Records,
        blobs: BlobStore,
        bus: EventBus,
        tokens: TokenService,
        purger: Purger,
        clock: Clock,
        public_url: str,
        linking: LinkingBlobStore | None = None,
    ) -> None:
        """
        Args:
            linking: The same store as `blobs`, where downloads are to go past us.
        """
        self._records = records
        self._files = records.collection(FILES)
        self._events = records.collection(FILE_EVENTS)
        self._blobs = blobs
        self._bus = bus
        self._tokens = tokens
        self._purger = purger
        self._versions = records.collection(FILE_VERSIONS)
        self._clock = clock
        self._public_url = public_url
        self._linking = linking
        # A thousand who watch one tenant wake at the same moment and ask the same.
        self._next_events = Joined(self._read_events)
        self._files_now = Joined(self._read_file)

    # ---- read

    async def list_files(
        self,
        principal: Principal,
        query: FileQuery,
        *,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> FilePage:
        tenant_id = self._tenant_of(principal, query)
        where = [*_conditions(query), *audience_conditions(principal)]
        scope = f"files {tenant_id} {query!r}"
        request = page_request(first=first, after=after, last=last, before=before, scope=scope)
        order = Order(query.order.field.value, query.order.descending)
        return FilePage(await self._files.list(tenant_id, where, order=order, page=request), query.order, scope)

    async def list_numbered(
        self, principal: Principal, query: FileQuery, *, page: int, page_size: int | None = None
    ) -> NumberedPage:
        """
        Give one page by its number, for clients that know nothing better: what came before is stepped over.

        Raises:
            NotFound: There are not so many pages; the first is always there.
            InvalidValue: The page is so far behind that a cursor has to be used.
        """
        size = page_size or PAGE_SIZE_DEFAULT
        if not 0 < size <= PAGE_SIZE_MAX:
            message = f"page_size must be from 1 to {PAGE_SIZE_MAX}"
            raise InvalidValue(message, path=("page_size",), reason="out_of_range")
        skipped = (page - 1) * size
        if not 0 <= skipped <= SKIPPED_MAX:
            message = f"page must be from 1 to {SKIPPED_MAX // size + 1} here; use cursors to go further"
            raise InvalidValue(message, path=("page",), reason="out_of_range")
        tenant_id = self._tenant_of(principal, query)
        where = [*_conditions(query), *audience_conditions(principal)]
        count = await self._files.count(tenant_id, where)
        if skipped and skipped >= count:
            raise NotFound("page")
        order = Order(query.order.field.value, query.order.descending)
        after: Position | None = None
        while skipped > 0:
            passed = await self._files.list(
                tenant_id, where, order=order, page=PageRequest(min(skipped, PAGE_SIZE_MAX), after=after)
            )
            if not passed.items:
                raise NotFound("page")
            skipped -= len(passed.items)
            after = Position(getattr(passed.items[-1], query.order.field.value), passed.items[-1].id)
        found = await self._files.list(tenant_id, where, order=order, page=PageRequest(size, after=after))
        return NumberedPage(found.items, page, size, count, has_next=found.has_next)

    async def count_files(self, principal: Principal, query: FileQuery) -> int:
        tenant_id = self._tenant_of(principal, query)
        return await self._files.count(tenant_id, [*_conditions(query), *audience_conditions(principal)])

    async def get(self, principal: Principal, file_id: FileId) -> File:
        """Give one file, also from the trash; NotFound where it is not there or not for the caller."""
        return await self._find(principal, file_id, Action.READ_FILE)

    async def get_numbered(self, principal: Principal, number: int) -> File:
        """Give the file that has this number in the caller's tenant; one in the trash is not there."""
        tenant_id = require(principal, Action.LIST_FILES)
        found = await self._files.list(
            tenant_id, [equals("number", number)], order=Order("number"), page=PageRequest(limit=1)
        )
        if not found.items or found.items[0].deleted_at is not None or not can_see(principal, found.items[0]):
            raise NotFound("file")
        return found.items[0]

    async def get_many(self, principal: Principal, ids: Sequence[FileId]) -> dict[FileId, File]:
        """Give those of these files that the caller may see."""
        tenant_id = require(principal, Action.LIST_FILES)
        found = await self._files.get_many(tenant_id, [one for one in ids if is_id(one, "file")])
        return {file.id: file for file in found.values() if can_see(principal, file)}

    async def content(self, principal: Principal, file_id: FileId) -> Content:
        """Give a file to read from: one of the caller's tenant, or an open one to whoever knows its id."""
        try:
            file = await self._find(principal, file_id, Action.READ_FILE)
        except (NotFound, Unauthenticated) as fault:
            try:
                file = await find_open_file(self._records, file_id)
            except NotFound:
                raise fault from None
        return self._readable(file, inline=False)

    async def content_by_token(self, token: str, file_id: FileId) -> Content:
        """
        Give the file that a download URL was made for.

        Raises:
            PermissionDenied: The URL was changed, or its time is over. No log-in would help its holder.
        """
        try:
            claims = self._tokens.verify_download(token)
        except TokenExpired as error:
            raise PermissionDenied("the time of this download link is over; ask for a new one") from error
        except TokenInvalid as error:
            raise PermissionDenied("this download link is not valid; ask for a new one") from error
        if claims.file_id != file_id:
            raise NotFound("file")
        file = await self._files.get(claims.tenant_id, file_id)
        if claims.version_id is not None and claims.version_id != file.version_id:
            file = await self._as_it_was(file, claims.version_id)
        return self._readable(file, inline=claims.inline)

    async def _as_it_was(self, file: File, version_id: FileVersionId) -> File:
        """Give a file with a content that it had before."""
        version = await self._versions.get(file.tenant_id, version_id)
        if not version.is_of(file):
            raise NotFound("version")
        return with_content(file, version, now=file.updated_at)

    def _readable(self, file: File, *, inline: bool) -> Content:
        if file.is_gone(now=self._clock.now()):
            raise NotFound("file")
        file.require_ready()
        return Content(file, self._blobs, inline=inline, linking=self._linking)

    async def download_url(
        self, principal: Principal, file: File, *, ttl_seconds: int, inline: bool, version: FileVersion | None = None
    ) -> str | None:
        """
        Give an address from which whoever has it may read the file for a time; None while it cannot be read.

        Args:
            version: One of the file's; None: whichever it has when it is read.

        Raises:
            InvalidValue: The time is out of range.
        """
        tenant_id = require(principal, Action.READ_FILE, file)
        lifetime = timedelta(seconds=ttl_seconds)
        if not timedelta(0) < lifetime <= DOWNLOAD_LIFETIME_MAX:
            seconds = int(DOWNLOAD_LIFETIME_MAX.total_seconds())
            message = f"ttlSeconds must be from 1 to {seconds}"
            raise InvalidValue(message, path=("ttlSeconds",), reason="out_of_range")
        status = file.status if version is None else version.status
        if status is not FileStatus.READY or file.is_gone(now=self._clock.now()):
            return None
        version_id = None if version is None else version.id
        token = self._tokens.issue_download(
            tenant_id=tenant_id, file_id=file.id, inline=inline, lifetime=lifetime, version_id=version_id
        )
        return f"{self._public_url}/api/v1/files/{file.id}/content?token={token}"

    # ---- change

    async def update(
        self, principal: Principal, file_id: FileId, changes: FileChanges, *, if_version: int | None
    ) -> File:
        """
        Change what is named in `changes`.

        Raises:
            Conflict: The file is not at `if_version` any more.
            FileDeleted: It is in the trash.
            InvalidValue: A new value cannot be.
        """
        file = await self._find(principal, file_id, Action.CHANGE_FILE)
        if file.deleted_at is not None:
            raise FileDeleted
        if if_version is not None and if_version != file.revision:
            raise Conflict(f"the file is at version {file.revision}, not {if_version}")
        named = {
            field: value
            for field in ("name", "visibility", "resource", "metadata", "expires_at")
            if (value := getattr(changes, field)) is not UNCHANGED
        }
        if "name" in named:
            parse_name(named["name"])
        return await self._save(principal, file, FileEventAction.UPDATED, **named)

    async def delete(self, principal: Principal, file_ids: Sequence[FileId]) -> list[File | LighterageError]:
        """Put files into the trash; a file that is there already stays as it is."""
        return await self._each(principal, file_ids, self._delete_one)

    async def restore(self, principal: Principal, file_ids: Sequence[FileId]) -> list[File | LighterageError]:
        """Take files out of the trash."""
        return await self._each(principal, file_ids, self._restore_one)

    async def purge(self, principal: Principal, file_ids: Sequence[FileId]) -> list[File | LighterageError]:
        """Remove files for good, from the trash or from outside it, with their versions and links."""
        require(principal, Action.PURGE_FILE)
        return await self._each(principal, file_ids, self._purge_one)

    async def _purge_one(self, principal: Principal, file_id: FileId) -> File:
        file = await self._find(principal, file_id, Action.PURGE_FILE)
        await self._purger.purge(file, actor=principal)
        return file

    async def _delete_one(self, principal: Principal, file_id: FileId) -> File:
        file = await self._find(principal, file_id, Action.CHANGE_FILE)
        if file.deleted_at is not None:
            return file
        return await self._save(principal, file, FileEventAction.DELETED, deleted_at=self._clock.now())

    async def _restore_one(self, principal: Principal, file_id: FileId) -> File:
        file = await self._find(principal, file_id, Action.CHANGE_FILE)
        if file.deleted_at is None:
            return file
        return await self._save(principal, file, FileEventAction.RESTORED, deleted_at=None)

    async def _each(
        self,
        principal: Principal,
        file_ids: Sequence[FileId],
        act: Callable[[Principal, FileId], Awaitable[File]],
    ) -> list[File | LighterageError]:
        if len(file_ids) > DELETE_MAX:
            raise InvalidValue(f"at most {DELETE_MAX} files at once", path=("fileIds",), reason="too_long")
        outcomes: list[File | LighterageError] = []
        for file_id in file_ids:
            try:
                outcomes.append(await act(principal, file_id))
            except (NotFound, Conflict, PermissionDenied) as error:
                outcomes.append(error)
        return outcomes

    async def _save(self, principal: Principal, file: File, action: FileEventAction, **changes: object) -> File:
        changed = replace(file, updated_at=self._clock.now(), **changes)  # type: ignore[arg-type]
        event = file_event(replace(changed, revision=file.revision + 1), action, actor=principal)
        # Two who may see a file before and after need one event; who could see it before only is told nothing new.
        await self._records.write(
            Save(FILES, changed, file.revision),
            Add(FILE_EVENTS, event, if_absent=True),
            *opening(changed, was_open=file.visibility.is_open),
        )
        self._bus.publish(FilesChanged(TenantId(file.tenant_id)))
        return replace(changed, revision=file.revision + 1)

    # ---- hear of changes

    async def events(
        self,
        principal: Principal,
        *,
        after: str | None,
        actions: Sequence[FileEventAction] | None = None,
        file_ids: Sequence[FileId] | None = None,
        resource: tuple[str, Sequence[str] | None] | None = None,
    ) -> AsyncGenerator[tuple[str, FileEvent, File | None], None]:
        """
        Yield every change that the caller may see, with its cursor and the file as it is now.

        Args:
            after: The cursor of the last event seen: everything since then comes first. None: from now on.

        Raises:
            CursorInvalid, CursorTooOld: At the first step.
        """
        tenant_id = require(principal, Action.LIST_FILES)
        wanted = _EventFilter(principal, actions, file_ids, resource)
        async with waking(self._bus.listen(tenant_id)) as wait:
            position = await self._start(tenant_id, after)
            while True:
                batch = await self._next_events.get((tenant_id, position))
                for cursor, event in batch:
                    position = _position(event)
                    if wanted.holds(event):
                        yield cursor, event, await self._present(principal, event)
                if len(batch) < EVENTS_BATCH:
                    await wait(EVENTS_POLL_SECONDS)

    async def _start(self, tenant_id: TenantId, after: str | None) -> Position | None:
        order = Order("number")
        if after is None:
            newest = await self._events.list(tenant_id, order=order, page=PageRequest(limit=1, from_end=True))
            return _position(newest.items[0]) if newest.items else None
        position = decode_cursor(after, scope=event_scope(tenant_id))
        oldest = await self._events.list(tenant_id, order=order, page=PageRequest(limit=1))
        if oldest.items and isinstance(position.value, int) and oldest.items[0].number > position.value + 1:
            raise CursorTooOld
        return position

    async def _read_events(self, after: tuple[TenantId, Position | None]) -> list[tuple[str, FileEvent]]:
        tenant_id, position = after
        page = PageRequest(limit=EVENTS_BATCH, after=position)
        found = (await self._events.list(tenant_id, order=Order("number"), page=page)).items
        return [(_cursor(tenant_id, _position(event)), event) for event in found]

    async def _present(self, principal: Principal, event: FileEvent) -> File | None:
        tenant_id = require(principal, Action.LIST_FILES)
        file = await self._files_now.get((tenant_id, event.file_id))
        return file if file is not None and can_see(principal, file) else None

    async def _read_file(self, key: tuple[TenantId, FileId]) -> File | None:
        tenant_id, file_id = key
        return (await self._files.get_many(tenant_id, [file_id])).get(file_id)

    # ---- helpers

    def _tenant_of(self, principal: Principal, query: FileQuery) -> TenantId:
        tenant_id = require(principal, Action.LIST_FILES)
        if query.tenant_id is not None and query.tenant_id != tenant_id:
            raise NotFound("tenant")
        return tenant_id

    async def _find(self, principal: Principal, file_id: FileId, action: Action) -> File:
        if principal.tenant_id is None:
            require(principal, action)
        if not is_id(file_id, "file") or principal.tenant_id is None:
            raise NotFound("file")
        file = await self._files.get(principal.tenant_id, file_id)
        require(principal, action, file)
        return file


class _EventFilter:
    def __init__(
        self,
        principal: Principal,
        actions: Sequence[FileEventAction] | None,
        file_ids: Sequence[FileId] | None,
        resource: tuple[str, Sequence[str] | None] | None,
    ) -> None:
        self._sees_all = not audience_conditions(principal)
        self._user_id = principal.user_id
        self._actions = frozenset(actions) if actions is not None else None
        self._file_ids = frozenset(file_ids) if file_ids is not None else None
        self._resource = resource

    def holds(self, event: FileEvent) -> bool:
        if not self._sees_all and event.audience not in (EVERYONE, self._user_id):
            return False
        if self._actions is not None and event.action not in self._actions:
            return False
        if self._file_ids is not None and event.file_id not in self._file_ids:
            return False
        if self._resource is None:
            return True
        kind, ids = self._resource
        return event.resource_type == kind and (ids is None or event.resource_id in ids)


def _position(event: FileEvent) -> Position:
    return Position(event.number, event.id)


def event_scope(tenant_id: TenantId) -> str:
    """Name the list of a tenant's file events, for its cursors."""
    return f"file_events {tenant_id}"


def _cursor(tenant_id: TenantId, position: Position) -> str:
    return encode_cursor(position, scope=event_scope(tenant_id))


def _conditions(query: FileQuery) -> list[Condition]:
    """Turn what is wanted into tests of declared fields."""
    where = [Condition("deleted_at", Comparison.AT_LEAST, _EVER) if query.deleted else equals("deleted_at", None)]
    if query.search is not None:
        where.append(Condition("name_folded", Comparison.CONTAINS, fold(query.search)))
    exact = {"name": query.name_eq, "content_type": query.content_type_eq, "sha256": query.sha256}
    where += [equals(field, value) for field, value in exact.items() if value is not None]
    if query.resource_type is not None:
        where.append(equals("resource_type", query.resource_type))
    among: dict[str, Sequence[str | Enum] | None] = {
        "name": query.name_in,
        "content_type": query.content_type_in,
        "status": query.statuses,
        "visibility": query.visibilities,
        "resource_id": query.resource_ids,
        "uploaded_by": query.uploaded_by,
    }
    where += [one_of(field, tuple(values)) for field, values in among.items() if values is not None]
    prefixes = {"name": query.name_prefix, "content_type": query.content_type_prefix}
    where += [Condition(field, Comparison.STARTS_WITH, value) for field, value in prefixes.items() if value is not None]
    where += [Condition("metadata_marks", Comparison.CONTAINS, f" {entry.mark} ") for entry in query.metadata]
    least = {"size": query.size_min, "created_at": query.created_from, "expires_at": query.expires_from}
    where += [at_least(field, value) for field, value in least.items() if value is not None]
    size_before = query.size_max + 1 if query.size_max is not None else None
    most = {"size": size_before, "created_at": query.created_before, "expires_at": query.expires_before}
    where += [below(field, value) for field, value in most.items() if value is not None]
    return where


_EVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
