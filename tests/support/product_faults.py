"""Services over stores of which one call fails, and a client that goes on however often they do."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import boto3

from adapters.blobs.local import LocalBlobs
from adapters.blobs.s3 import S3Blobs
from adapters.events.local import LocalEvents
from adapters.limits.memory import MemoryRateLimits
from adapters.locks.local import LocalLocks
from adapters.records.mongo import MongoRecords
from adapters.records.sqlite import SqliteRecords
from auth.passwords import PasswordHasher
from auth.sealing import Sealer
from auth.tokens import TokenService, new_private_key
from domain.blob import BlobWriter
from domain.clock import SystemClock
from domain.errors import LighterageError, StoreFull, StoreUnavailable
from domain.event import FILE_EVENTS, FileEvent, FileEventAction
from domain.file import FILES, File
from domain.ids import SYSTEM, ShareLinkId, TenantId, UploadId, new_share_link_id
from domain.lock import LockManager
from domain.page import Order, PageRequest
from domain.principal import ALL_SCOPES, Principal
from domain.records import Write
from domain.share import SHARE_LINKS, ShareLink, ShareLinkKind
from domain.tenant import USAGES, TenantRole, Usage
from domain.upload import AppendBytes, Concatenation, CreateUpload, NewUpload, Upload, UploadStatus
from domain.user import SigningKey
from lighterage.assembly import KINDS
from services.accounts import AccountService, SessionRules
from services.audit import AuditLog
from services.concatenating import Concatenator
from services.files import FileService
from services.finishing import Finisher
from services.guests import Guests
from services.keys import ApiKeyService
from services.maintenance import MaintenanceService, Retention
from services.purging import Purger
from services.settling import UsageSettler
from services.throttling import Rates, Throttle
from services.uploads import UploadRules, UploadService
from services.versions import VersionService
from tests.support.mongo_server import fresh_name
from tests.support.product import NOON, FakeBody, FakeClock, body, sha256
from tests.support.s3 import S3Server, settings_for

T = TypeVar("T")

LIFETIME = timedelta(days=1)
TRIES_MAX = 20


class Crash(BaseException):
    """The process is gone: nobody handles this, and nothing it was about to do is done."""


class Mode(Enum):
    """How a call fails: before or after it did its work, with an answer or with the whole process."""

    REFUSED = "refused"
    UNANSWERED = "unanswered"
    KILLED_BEFORE = "killed_before"
    KILLED_AFTER = "killed_after"
    FULL = "full"  # an append keeps its first chunk; any other call is refused


@dataclass
class Plan:
    """
    Which call fails, counted over everything that is wrapped.

    Attributes:
        fail_at: From 1; 0: none.
        calls: Names of the calls so far.
    """

    mode: Mode = Mode.REFUSED
    fail_at: int = 0
    calls: list[str] = field(default_factory=list)
    is_dead: bool = False

    @property
    def has_failed(self) -> bool:
        return 0 < self.fail_at <= len(self.calls)

    async def run(self, name: str, act: Callable[[], Awaitable[T]]) -> T:
        if self.is_dead:
            raise Crash
        self.calls.append(name)
        if len(self.calls) != self.fail_at:
            return await act()
        if self.mode in (Mode.UNANSWERED, Mode.KILLED_AFTER):
            await act()
        if self.mode in (Mode.KILLED_BEFORE, Mode.KILLED_AFTER):
            self.is_dead = True
            raise Crash
        raise StoreFull if self.mode is Mode.FULL else StoreUnavailable("store")


class Failing:
    """Any port, of which the named coroutine methods run by the plan."""

    def __init__(self, real: Any, plan: Plan, names: Sequence[str]) -> None:
        self._real, self._plan, self._names = real, plan, frozenset(names)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if name not in self._names:
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._plan.run(name, lambda: real(*args, **kwargs))

        return call


class FailingRecords(Failing):
    """
    Args:
        splits: Do several writes one after the other, each of which may be the one that fails: no transactions.
    """

    def __init__(self, real: Any, plan: Plan, *, splits: bool = False) -> None:
        super().__init__(real, plan, [] if splits else ["write"])
        if splits:
            self.write = self._write_each

    async def _write_each(self, *writes: Write) -> None:
        for write in writes:
            await self._plan.run("write", partial(self._real.write, write))

    def collection(self, kind: Any) -> Any:
        names = ["add", "get", "find", "get_many", "list", "count", "sum", "save", "increment", "delete", "scan"]
        return Failing(self._real.collection(kind), self._plan, names)


class FailingBlobs(Failing):
    def __init__(self, real: Any, plan: Plan) -> None:
        super().__init__(real, plan, ["create", "complete", "abort", "delete", "stat", "concatenate"])

    async def append(self, writer: BlobWriter, chunks: AsyncIterator[bytes], **kwargs: Any) -> BlobWriter:
        kept: BlobWriter | None = None

        async def first() -> AsyncIterator[bytes]:
            async for chunk in chunks:
                yield chunk
                return

        async def act() -> BlobWriter:
            return await self._real.append(writer, chunks, **kwargs)  # type: ignore[no-any-return]

        try:
            return await self._plan.run("append", act)
        except StoreFull as error:
            kept = await self._real.append(writer, first())
            raise StoreFull(kept=kept if kept and kept.size_bytes > writer.size_bytes else None) from error


class Rig:
    """The upload services of one process. `restart` throws away all that they remember and opens the door again."""

    def __init__(
        self,
        records: SqliteRecords | MongoRecords,
        blobs: LocalBlobs | S3Blobs,
        clock: FakeClock,
        make_locks: Callable[[], LockManager] = LocalLocks,
        *,
        splits: bool = False,
    ) -> None:
        self.records, self.blobs, self.clock = records, blobs, clock
        self.plan = Plan()
        self._make_locks = make_locks
        self._splits = splits
        self._key = SigningKey("key_1", new_private_key(), NOON)
        self._throttle = Throttle(MemoryRateLimits(clock=clock), Rates(log_in=None, address=None, mail=None))
        self._users = 0
        self.restart()

    def restart(self) -> None:
        self.plan.is_dead = False
        records: Any = FailingRecords(self.records, self.plan, splits=self._splits)
        blobs: Any = FailingBlobs(self.blobs, self.plan)
        bus, locks = LocalEvents(), self._make_locks()
        tokens = TokenService(self._key, issuer="lighterage", clock=self.clock)
        guests = Guests(records=records, tokens=tokens, clock=self.clock)
        finisher = Finisher(records=records, blobs=blobs, bus=bus, guests=guests, clock=self.clock)
        self.uploads = UploadService(
            records=records,
            blobs=blobs,
            bus=bus,
            locks=locks,
            finisher=finisher,
            concatenator=Concatenator(records=records, blobs=blobs, copying=blobs, locks=locks, finisher=finisher),
            guests=guests,
            tokens=tokens,
            throttle=self._throttle,
            clock=self.clock,
            rules=UploadRules(length_max=2**40, lifetime=LIFETIME, public_url="/files/"),
        )
        purger = Purger(records=records, blobs=blobs, bus=bus, clock=self.clock)
        self.files = FileService(
            records=records, blobs=blobs, bus=bus, tokens=tokens, purger=purger, clock=self.clock, public_url=""
        )
        self.versions = VersionService(
            records=records, blobs=blobs, bus=bus, purger=purger, clock=self.clock, kept_max=1
        )
        self.maintenance = MaintenanceService(
            records=records,
            blobs=blobs,
            sweeping=blobs,
            bus=bus,
            uploads=self.uploads,
            clock=self.clock,
            retention=Retention(),
            settler=UsageSettler(records=records, clock=self.clock) if self._splits else None,
            purger=purger,
            more=(self.versions.settle,),
        )

    async def new_user(self) -> Principal:
        """Make a user with a tenant of their own, by stores that do not fail."""
        audit = AuditLog(records=self.records, clock=self.clock)
        tokens = TokenService(self._key, issuer="lighterage", clock=self.clock)
        accounts = AccountService(
            records=self.records,
            passwords=PasswordHasher(memory_kib=8, rounds=1),
            tokens=tokens,
            clock=self.clock,
            throttle=self._throttle,
            audit=audit,
            keys=ApiKeyService(records=self.records, sealer=Sealer(self._key), audit=audit, clock=self.clock),
            guests=Guests(records=self.records, tokens=tokens, clock=self.clock),
            rules=SessionRules(),
        )
        self._users += 1
        saved = await accounts.save_user(f"user{self._users}", "correct horse battery")
        return Principal(saved.user.id, TenantId(saved.tenant.id), TenantRole.OWNER, ALL_SCOPES)  # type: ignore[arg-type]

    async def new_guest(self, user: Principal, *, max_uses: int = 100) -> Principal:
        """Make a file request of the user's, and a guest of it."""
        assert user.user_id is not None
        now = self.clock.now()
        link = ShareLink(
            new_share_link_id(now), _tenant(user), ShareLinkKind.UPLOAD, user.user_id, now, "", "", max_uses=max_uses
        )
        await self.records.collection(SHARE_LINKS).add(link)
        return Principal(tenant_id=_tenant(user), scopes=ALL_SCOPES, link_id=ShareLinkId(link.id))

    async def uses_of(self, guest: Principal) -> int:
        assert guest.link_id is not None
        return (await self.records.collection(SHARE_LINKS).get(SYSTEM, guest.link_id)).use_count

    async def attempt(self, act: Callable[[], Awaitable[T]]) -> T | None:
        """Do it as a client does who does not give up: whatever goes wrong, None; after a crash all is started anew."""
        try:
            return await act()
        except Crash:
            self.restart()
        except LighterageError:
            pass
        return None

    async def maintain(self) -> None:
        """Let maintenance work until all is in order."""
        for _ in range(TRIES_MAX):
            if await self.attempt(self.maintenance.run_once) == 0:
                return
        raise AssertionError("maintenance finds no end")

    # ---- what is there

    async def files_of(self, user: Principal) -> list[File]:
        return (await self.records.collection(FILES).list(_tenant(user), order=_BY_NUMBER, page=PageRequest(100))).items

    async def created_events_of(self, user: Principal) -> list[FileEvent]:
        page = PageRequest(100)
        events = await self.records.collection(FILE_EVENTS).list(_tenant(user), order=_BY_NUMBER, page=page)
        return [event for event in events.items if event.action is FileEventAction.CREATED]

    async def usage_of(self, user: Principal) -> Usage:
        return await self.records.collection(USAGES).get(_tenant(user), _tenant(user))

    async def content_of(self, file: File) -> bytes:
        return b"".join([chunk async for chunk in self.blobs.open(file.key)])


_BY_NUMBER = Order("number")


def _tenant(user: Principal) -> TenantId:
    assert user.tenant_id is not None
    return user.tenant_id


@dataclass
class Sender:
    """
    A client that sends one file, with as many tries as it takes, and remembers what was acknowledged.

    Attributes:
        ends: Where requests end, before the file's own end.
        is_bold: Send everything in the first request, and in pieces only if that goes wrong.
        make_body: Makes a request's body of its bytes.
    """

    rig: Rig
    user: Principal
    content: bytes
    ends: tuple[int, ...] = ()
    new: NewUpload | None = None
    make_body: Callable[[bytes], FakeBody] = body
    is_bold: bool = False
    acknowledged: int = 0
    upload: Upload | None = None

    async def send(self) -> None:
        """Begin, send and resume until the server says that it has everything."""
        new = self.new or NewUpload(name="a.txt", length=len(self.content))
        for _ in range(TRIES_MAX):
            if self.upload is None:
                self.upload = await self.rig.attempt(lambda: self.rig.uploads.begin(self.user, new))
            elif await self._is_done():
                return
            else:
                await self._append()
        raise AssertionError("the upload finds no end")

    async def _is_done(self) -> bool:
        assert self.upload is not None
        upload_id = self.upload.id
        found = await self.rig.attempt(lambda: self.rig.uploads.status(self.user, upload_id))
        if found is None:
            return False
        self._acknowledge(found)
        self.upload = found
        is_partial = found.concatenation is Concatenation.PARTIAL
        return found.is_whole if is_partial else found.status is UploadStatus.COMPLETED

    async def _append(self) -> None:
        assert self.upload is not None
        offset = self.upload.offset
        ends = () if self.is_bold else self.ends
        end = min((end for end in (*ends, len(self.content)) if end > offset), default=len(self.content))
        self.is_bold = False
        length = len(self.content) if self.upload.length is None and end == len(self.content) else None
        command = AppendBytes(self.upload.id, offset, length=length)
        piece = self.make_body(self.content[offset:end])
        answer = await self.rig.attempt(lambda: self.rig.uploads.append(self.user, command, piece))
        if answer is not None:
            self._acknowledge(answer)

    def _acknowledge(self, upload: Upload) -> None:
        assert upload.offset >= self.acknowledged, "an acknowledged offset never decreases"
        self.acknowledged = upload.offset

    async def check(self) -> None:
        """Hold what is stored in the end, after maintenance and every forgotten upload's time."""
        await self.rig.maintain()
        (file,) = await self.rig.files_of(self.user)
        assert self.content == await self.rig.content_of(file)
        assert (sha256(self.content), "ready") == (file.sha256, file.status.value)
        assert len(await self.rig.created_events_of(self.user)) == 1
        self.rig.clock.advance(seconds=LIFETIME.total_seconds() + 1)
        await self.rig.maintain()
        usage = await self.rig.usage_of(self.user)
        counters = (usage.file_count, usage.bytes_total, usage.bytes_in_flight)
        assert (1, len(self.content), 0) == counters
        assert [file.id] == [found.id for found in await self.rig.files_of(self.user)]


@dataclass
class Joiner:
    """A client that sends two partial uploads and has them joined, with as many tries as it takes."""

    rig: Rig
    user: Principal
    parts: tuple[bytes, ...]

    async def send(self) -> None:
        members = [await self._send_part(part) for part in self.parts]
        command = CreateUpload(None, concatenation=Concatenation.FINAL, members=tuple(members))
        final: Upload | None = None
        for _ in range(TRIES_MAX):
            if final is None:
                final = await self.rig.attempt(lambda: self.rig.uploads.create(self.user, command, None))
                continue
            found = await self.rig.attempt(partial(self.rig.uploads.status, self.user, final.id))
            if found is not None and found.status is UploadStatus.COMPLETED:
                return
            self.rig.clock.advance(seconds=61)
            await self.rig.attempt(self.rig.maintenance.run_once)
        raise AssertionError("the uploads are never joined")

    async def _send_part(self, content: bytes) -> UploadId:
        new = NewUpload("part", len(content), concatenation=Concatenation.PARTIAL)
        sender = Sender(self.rig, self.user, content, ends=(4,), new=new)
        await sender.send()
        assert sender.upload is not None
        return sender.upload.id

    async def check(self) -> None:
        await Sender(self.rig, self.user, b"".join(self.parts)).check()


@asynccontextmanager
async def open_rig(top: Path, *, splits: bool = False) -> AsyncGenerator[Rig, None]:
    async with SqliteRecords.open(top / "records.db", KINDS) as records:
        yield Rig(records, LocalBlobs(top / "blobs", fsync=False, free_bytes_min=0), FakeClock(), splits=splits)


@asynccontextmanager
async def open_rig_on_servers(
    top: Path, mongo_url: str, s3: S3Server, session: boto3.Session
) -> AsyncGenerator[Rig, None]:
    settings = settings_for(s3)
    async with (
        MongoRecords.open(mongo_url, KINDS, database_name=fresh_name()) as records,
        # Signatures are only good by the clock of the server.
        S3Blobs(settings, clock=SystemClock(), spool=top, session=session) as blobs,
    ):
        yield Rig(records, blobs, FakeClock())
