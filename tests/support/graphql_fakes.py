"""
Services that keep everything in memory, for the tests of the GraphQL face: real rules, no stores.

They ask the real policy first, as the real ones do, so that a test may rely on who may do what.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from auth.policy import Action, can_see, require
from domain.blob import BlobKey, BlobWriter
from domain.errors import (
    Conflict,
    CursorTooOld,
    InvalidCredentials,
    LighterageError,
    NotFound,
    SqlInvalid,
    StoreUnavailable,
    TokenExpired,
    TokenInvalid,
)
from domain.event import FileEvent, FileEventAction
from domain.file import File, Visibility
from domain.ids import (
    FileId,
    TenantId,
    UploadId,
    UserId,
    new_file_id,
    new_share_link_id,
    new_tenant_id,
    new_upload_id,
    new_user_id,
)
from domain.job import Job, jobs_of
from domain.page import Page, page_request
from domain.principal import ALL_SCOPES, Principal, Scope
from domain.share import ShareLink, ShareLinkKind
from domain.tenant import Membership, Tenant, TenantRole, Usage, membership_id
from domain.upload import NewUpload, Upload, UploadStatus
from domain.user import User
from domain.version import FileVersion, present_version
from services.accounts import IssuedSession
from services.files import UNCHANGED, FileChanges, FilePage, FileQuery
from services.members import MemberPage
from services.queries import Column, End, FileSchema, Rows, SelectResult, Stats
from services.queries import Progress as ScanProgress
from services.reading import Format
from services.shares import SharePage
from services.uploads import Progress

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def user(name: str) -> User:
    return User(new_user_id(NOW), name, f"{name}@example.com", "hash", NOW, name=name.title())


ACME = Tenant(new_tenant_id(NOW), "acme", "Acme", NOW)
OTHER = Tenant(new_tenant_id(NOW), "other", "Other", NOW)
ANNA, BEN, VERA, MALLORY = user("anna"), user("ben"), user("vera"), user("mallory")

ROLES: dict[str, tuple[User, Tenant, TenantRole]] = {
    "anna": (ANNA, ACME, TenantRole.OWNER),
    "ben": (BEN, ACME, TenantRole.MEMBER),
    "vera": (VERA, ACME, TenantRole.VIEWER),
    "mallory": (MALLORY, OTHER, TenantRole.OWNER),
}


@contextmanager
def role(name: str, role: TenantRole) -> Iterator[None]:
    """Give somebody another role for a while."""
    before = ROLES[name]
    ROLES[name] = (before[0], before[1], role)
    try:
        yield
    finally:
        ROLES[name] = before


def principal(name: str, scopes: frozenset[Scope] = ALL_SCOPES) -> Principal:
    who, tenant, its_role = ROLES[name]
    return Principal(UserId(who.id), TenantId(tenant.id), its_role, scopes)


def file(name: str = "report.csv", *, owner: User = ANNA, tenant: Tenant = ACME, **more: Any) -> File:
    return File(
        id=new_file_id(NOW),
        tenant_id=tenant.id,
        name=name,
        content_type=more.pop("content_type", "text/csv"),
        size=more.pop("size", 1024),
        key=BlobKey("key"),
        etag="etag",
        uploaded_by=UserId(owner.id),
        created_at=more.pop("created_at", NOW),
        updated_at=NOW,
        visibility=more.pop("visibility", Visibility.TENANT),
        **more,
    )


class FakeAccounts:
    def __init__(self) -> None:
        self.ended: set[str] = set()
        self.outages = 0
        self.back = asyncio.Event()
        self.batches: list[list[UserId]] = []

    async def authenticate(self, access_token: str) -> Principal:
        if self.outages:
            self.outages -= 1
            if not self.outages:
                self.back.set()
            raise StoreUnavailable("database")
        if access_token == "expired":
            raise TokenExpired("the token has expired")
        if access_token == "for-one-upload":
            return replace(principal("ben"), upload_id=new_upload_id())
        if access_token not in ROLES or access_token in self.ended:
            raise TokenInvalid("this token is not good")
        return principal(access_token)

    async def log_in(self, identifier: str, password: str, *, client: str) -> IssuedSession:
        name = identifier.partition("@")[0]
        if name not in ROLES or password != "secret":
            raise InvalidCredentials
        return self._issue(name)

    def _issue(self, name: str) -> IssuedSession:
        who, tenant, _ = ROLES[name]
        later = NOW + timedelta(minutes=15)
        return IssuedSession(name, later, f"refresh {name}", later, who, tenant, principal(name), expires_in=900)

    async def refresh(self, refresh_token: str, *, client: str, tenant_id: TenantId | None = None) -> IssuedSession:
        name = refresh_token.removeprefix("refresh ")
        if name not in ROLES:
            raise TokenInvalid("the session has ended")
        if tenant_id not in (None, ROLES[name][1].id):
            raise NotFound("tenant")
        return self._issue(name)

    async def log_out(self, refresh_token: str, *, everywhere: bool = False) -> None:
        self.ended.add(refresh_token.removeprefix("refresh "))

    async def viewer(self, caller: Principal) -> User | None:
        return next((who for who, _, _ in ROLES.values() if who.id == caller.user_id), None)

    async def get_users(self, caller: Principal, ids: Sequence[UserId]) -> dict[UserId, User]:
        self.batches.append(list(ids))
        found = {who.id: who for who, tenant, _ in ROLES.values() if tenant.id == caller.tenant_id}
        return {one: found[one] for one in ids if one in found}

    async def memberships(self, caller: Principal) -> list[tuple[Membership, Tenant]]:
        return [
            (
                Membership(
                    membership_id(UserId(who.id), TenantId(tenant.id)), UserId(who.id), TenantId(tenant.id), role, NOW
                ),
                tenant,
            )
            for who, tenant, role in ROLES.values()
            if who.id == caller.user_id
        ]


class FakeTenants:
    async def get(self, caller: Principal, tenant_id: TenantId | None = None, *, slug: str | None = None) -> Tenant:
        own_id = require(caller, Action.READ_TENANT)
        tenant = next(one for one in (ACME, OTHER) if one.id == own_id)
        if tenant_id not in (None, own_id) or slug not in (None, tenant.slug):
            raise NotFound("tenant")
        return tenant

    async def usage(self, caller: Principal, tenant_id: TenantId) -> Usage:
        await self.get(caller, tenant_id)
        return Usage(tenant_id, tenant_id, file_count=2, bytes_total=2058, bytes_in_flight=10)


class FakeMembers:
    async def list_members(
        self, caller: Principal, *, first: int | None = None, after: str | None = None
    ) -> MemberPage:
        tenant_id = require(caller, Action.SEE_MEMBERS)
        found = [
            Membership(membership_id(UserId(who.id), tenant_id), UserId(who.id), tenant_id, role, NOW)
            for who, tenant, role in ROLES.values()
            if tenant.id == tenant_id
        ]
        return MemberPage(Page(found[:first], has_next=False, has_previous=False), "members")

    async def count_members(self, caller: Principal) -> int:
        return len((await self.list_members(caller)).page.items)


class FakeFiles:
    """Files in the order they were added; events as tests push them."""

    def __init__(self) -> None:
        self.files: dict[FileId, File] = {}
        self.queries: list[FileQuery] = []
        self.changes: list[FileChanges] = []
        self.events_log: list[tuple[str, FileEvent, File | None]] = []
        self.pushed = asyncio.Condition()
        self.listening = 0
        self._telling: list[asyncio.Future[None]] = []
        self.failure: Callable[[], None] = lambda: None

    def add(self, *files: File) -> None:
        self.files |= {one.id: one for one in files}

    async def list_files(
        self,
        caller: Principal,
        query: FileQuery,
        *,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> FilePage:
        tenant_id = require(caller, Action.LIST_FILES)
        if query.tenant_id not in (None, tenant_id):
            raise NotFound("tenant")
        self.queries.append(query)
        self.failure()
        scope = f"files {tenant_id}"
        request = page_request(first=first, after=after, last=last, before=before, scope=scope)
        seen = [one for one in self.files.values() if can_see(caller, one)]
        start = 0
        if request.after is not None:
            start = 1 + next(place for place, one in enumerate(seen) if one.id == request.after.id)
        items = seen[start : start + request.limit]
        return FilePage(Page(items, start + request.limit < len(seen), start > 0), query.order, scope)

    async def count_files(self, caller: Principal, query: FileQuery) -> int:
        return sum(can_see(caller, one) for one in self.files.values())

    async def get(self, caller: Principal, file_id: FileId) -> File:
        return self._find(caller, file_id, Action.READ_FILE)

    async def get_many(self, caller: Principal, ids: Sequence[FileId]) -> dict[FileId, File]:
        require(caller, Action.LIST_FILES)
        return {one: self.files[one] for one in ids if one in self.files and can_see(caller, self.files[one])}

    async def update(self, caller: Principal, file_id: FileId, changes: FileChanges, *, if_version: int | None) -> File:
        found = self._find(caller, file_id, Action.CHANGE_FILE)
        if if_version not in (None, found.revision):
            raise Conflict("the file is at another version")
        self.changes.append(changes)
        if changes.name is not UNCHANGED:
            found = replace(found, name=changes.name)
        self.files[file_id] = found = replace(found, revision=found.revision + 1)
        return found

    async def delete(self, caller: Principal, file_ids: Sequence[FileId]) -> list[File | LighterageError]:
        return [self._mark(caller, one, NOW) for one in file_ids]

    async def restore(self, caller: Principal, file_ids: Sequence[FileId]) -> list[File | LighterageError]:
        return [self._mark(caller, one, None) for one in file_ids]

    def _mark(self, caller: Principal, file_id: FileId, moment: datetime | None) -> File | LighterageError:
        try:
            self.files[file_id] = replace(self._find(caller, file_id, Action.CHANGE_FILE), deleted_at=moment)
        except NotFound as error:
            return error
        return self.files[file_id]

    async def download_url(
        self,
        caller: Principal,
        found: File,
        *,
        ttl_seconds: int,
        inline: bool,
        version: FileVersion | None = None,
    ) -> str | None:
        require(caller, Action.READ_FILE, found)
        return f"http://localhost/{found.id}?ttl={ttl_seconds}&inline={inline}"

    async def push(self, event: FileEvent, found: File | None) -> None:
        async with self.pushed:
            self.events_log.append((str(len(self.events_log) + 1), event, found))
            self.pushed.notify_all()

    async def _tell(self) -> None:
        async with self.pushed:
            self.pushed.notify_all()

    async def wait_for_listeners(self, count: int) -> None:
        async with self.pushed:
            await self.pushed.wait_for(lambda: self.listening >= count)

    async def wait_for_silence(self) -> None:
        """Wait until nobody listens any more."""
        async with asyncio.timeout(5), self.pushed:
            await self.pushed.wait_for(lambda: self.listening == 0)

    async def events(
        self, caller: Principal, *, after: str | None, actions: Any = None, file_ids: Any = None, resource: Any = None
    ) -> AsyncGenerator[tuple[str, FileEvent, File | None], None]:
        tenant_id = require(caller, Action.LIST_FILES)
        if after == "too old":
            raise CursorTooOld
        place = len(self.events_log) if after is None else int(after)
        async with self.pushed:
            self.listening += 1
            self.pushed.notify_all()
        try:
            while True:
                async with self.pushed:
                    while len(self.events_log) <= place:
                        await self.pushed.wait()
                cursor, event, found = self.events_log[place]
                place += 1
                if event.tenant_id == tenant_id and (actions is None or event.action in actions):
                    yield cursor, event, found
        finally:
            self.listening -= 1
            # The lock cannot be awaited while the generator is being closed; a task of its own can.
            self._telling.append(asyncio.ensure_future(self._tell()))

    def _find(self, caller: Principal, file_id: FileId, action: Action) -> File:
        require(caller, Action.LIST_FILES)
        if file_id not in self.files:
            raise NotFound("file")
        require(caller, action, self.files[file_id])
        return self.files[file_id]


def event(found: File, action: FileEventAction = FileEventAction.UPDATED) -> FileEvent:
    return FileEvent(
        id=f"{found.id} {action.value}",
        tenant_id=found.tenant_id,
        at=NOW,
        action=action,
        file_id=found.id,
        actor_id=found.uploaded_by,
        audience="everyone",
    )


class FakeUploads:
    length_max = 2**63 - 1

    def __init__(self) -> None:
        self.uploads: dict[UploadId, Upload] = {}
        self.begun: list[NewUpload] = []

    async def begin(self, caller: Principal, new: NewUpload) -> Upload:
        tenant_id = require(caller, Action.CREATE_UPLOAD)
        self.begun.append(new)
        upload = Upload(
            id=new_upload_id(),
            tenant_id=tenant_id,
            file_id=new_file_id(NOW),
            user_id=caller.user_id,
            name=new.name,
            content_type=new.content_type,
            length=new.length,
            writer=BlobWriter(BlobKey("key"), new.content_type, length=new.length),
            created_at=NOW,
            updated_at=NOW,
            expires_at=NOW + timedelta(days=1),
        )
        self.uploads[upload.id] = upload
        return upload

    async def get(self, caller: Principal, upload_id: UploadId) -> Upload:
        require(caller, Action.CREATE_UPLOAD)
        if upload_id not in self.uploads:
            raise NotFound("upload")
        require(caller, Action.WRITE_UPLOAD, self.uploads[upload_id])
        return self.uploads[upload_id]

    async def list_own(self, caller: Principal, *, statuses: Sequence[UploadStatus], limit: int) -> list[Upload]:
        require(caller, Action.CREATE_UPLOAD)
        own = [one for one in self.uploads.values() if one.user_id == caller.user_id and one.status in statuses]
        return own[:limit]

    async def terminate(self, caller: Principal, upload_id: UploadId) -> None:
        upload = await self.get(caller, upload_id)
        self.uploads[upload_id] = replace(upload, status=UploadStatus.ABORTED)

    def url_of(self, upload: Upload) -> str:
        return f"http://localhost/files/{upload.id}"

    def headers_for(self, caller: Principal, upload: Upload) -> dict[str, str]:
        return {"Authorization": "Bearer for-this-upload", "Tus-Resumable": "1.0.0"}

    def chunk_size_of(self, upload: Upload) -> int:
        return 64 * 2**20

    async def progress(self, caller: Principal, upload_id: UploadId) -> AsyncGenerator[Progress, None]:
        upload = await self.get(caller, upload_id)
        for offset in (0, 50, 100):
            status = UploadStatus.COMPLETED if offset == 100 else UploadStatus.IN_PROGRESS
            moved = replace(upload, status=status, writer=replace(upload.writer, size_bytes=offset))
            yield Progress(moved, offset, None if offset == 0 else 50, NOW)


class FakeQueries:
    """Answers every statement with two rows; a statement that says WRONG is refused as SQL is."""

    ROWS: list[list[Any]] = [["00501", None], [2**60, 1.5]]
    STATS = Stats(bytes_scanned=100, bytes_processed=100, bytes_returned=20, rows_returned=2, elapsed_ms=3)

    async def select(self, caller: Principal, file_id: FileId, query: Any, *, limit: int) -> SelectResult:
        require(caller, Action.QUERY_FILE)
        if "WRONG" in query.sql:
            raise SqlInvalid("there is no column WRONG", sql_code="InvalidColumn")
        rows = self.ROWS[:limit]
        return SelectResult(self._columns(), rows, truncated=limit < len(self.ROWS), stats=self.STATS)

    async def select_rows(
        self, caller: Principal, file_id: FileId, query: Any
    ) -> AsyncGenerator[Rows | ScanProgress | End, None]:
        require(caller, Action.QUERY_FILE)
        yield Rows(self._columns(), self.ROWS[:1])
        yield ScanProgress(replace(self.STATS, bytes_scanned=50), 100)
        if "WRONG" in query.sql:
            raise SqlInvalid("there is no column WRONG", sql_code="InvalidColumn")
        yield Rows(self._columns(), self.ROWS[1:])
        yield End(self.STATS)

    def _columns(self) -> list[Column]:
        return [Column("a", "string", nullable=False), Column("b", "string", nullable=True)]

    async def schema_of(self, caller: Principal, found: File) -> FileSchema:
        require(caller, Action.QUERY_FILE, found)
        return FileSchema(Format.CSV, self._columns())


class FakeVersions:
    """Every file has the content that it began with, and no other."""

    async def list_of_file(self, caller: Principal, found: File) -> list[FileVersion]:
        require(caller, Action.READ_FILE, found)
        return [present_version(found, now=NOW)]


class FakeShares:
    """One link, Anna's, to whatever file is asked for."""

    LINK = ShareLink(
        new_share_link_id(NOW), TenantId(ACME.id), ShareLinkKind.UPLOAD, UserId(ANNA.id), NOW, "hash", "sealed"
    )

    async def list_of_tenant(self, caller: Principal, *, first: int, after: str | None) -> SharePage:
        require(caller, Action.MANAGE_LINKS)
        return self._page(caller)

    async def list_of_file(self, caller: Principal, file: File, *, first: int, after: str | None) -> SharePage:
        require(caller, Action.MANAGE_LINKS, file)
        return self._page(caller)

    async def count_of_tenant(self, caller: Principal) -> int:
        return len(self._page(caller).page.items)

    async def count_of_file(self, caller: Principal, file: File) -> int:
        return len(self._page(caller).page.items)

    def url_of(self, link: ShareLink) -> str:
        return f"http://testserver/s/{link.id}"

    def _page(self, caller: Principal) -> SharePage:
        found = [self.LINK] if can_see(caller, self.LINK) else []
        return SharePage(Page(found, has_next=False, has_previous=False), "links")


class FakeProcessing:
    """Every file was scanned."""

    async def of_files(self, caller: Principal, file_ids: Sequence[FileId]) -> dict[FileId, list[Job]]:
        require(caller, Action.LIST_FILES)
        return {one: [self._job(one)] for one in file_ids}

    def _job(self, file_id: FileId) -> Job:
        (job,) = jobs_of(["scan!"], file_id=file_id, tenant_id=ACME.id, content_type="text/csv", now=NOW)
        done = job.lease("lease", now=NOW, until=NOW).succeed({"verdict": "clean"}, quarantines=False, now=NOW)
        return replace(done, progress=0.5)


class Fakes:
    """All of them, under the names that the services have."""

    def __init__(self) -> None:
        self.accounts = FakeAccounts()
        self.tenants = FakeTenants()
        self.members = FakeMembers()
        self.files = FakeFiles()
        self.uploads = FakeUploads()
        self.queries = FakeQueries()
        self.shares = FakeShares()
        self.processing = FakeProcessing()
        self.versions = FakeVersions()
