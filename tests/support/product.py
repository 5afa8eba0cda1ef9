"""The whole product in one process, on a directory of its own: a clock that stands, cheap passwords, two tenants."""

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from auth.passwords import PasswordHasher
from domain.clock import Clock
from domain.errors import ChecksumMismatch, LengthExceeded
from domain.file import FILES, File
from domain.ids import FileId, TenantId, UploadId
from domain.page import Order, PageRequest
from domain.principal import Principal
from domain.tenant import TENANTS, USAGES, Limits, Usage
from domain.upload import UPLOADS, BodyEnd, Checksum, Upload
from domain.webhook import Courier
from lighterage.assembly import Product, build_app, open_product
from lighterage.authentication import App
from lighterage.settings import Settings
from services.accounts import IssuedSession
from tests.support.upload_client import Response, UploadClient
from upload.protocol.checksums import Verifier

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"
ADDRESS = "http://test"


class FakeClock:
    """Stands until it is told to go on."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, *, seconds: float) -> None:
        self.jump(seconds=seconds)
        self._monotonic += seconds

    def jump(self, *, seconds: float) -> None:
        """Be set to another time; what measures intervals does not notice."""
        self._now += timedelta(seconds=seconds)


class FakeBody:
    """
    A request's body whose coming the test decides: it waits where nothing was pushed and no end was told.

    Implements domain.upload.Body as upload.body.BodyReader does, without a server.
    """

    def __init__(self) -> None:
        self.received = 0
        self.ended_by: BodyEnd | None = None
        self._pieces: list[bytes] = []
        self._coming: BodyEnd | None = None
        self._wake = asyncio.Event()
        self._pausing = False
        self.taken = asyncio.Event()

    def push(self, content: bytes) -> None:
        self._pieces.append(content)
        self._wake.set()

    def end(self, how: BodyEnd = BodyEnd.COMPLETE) -> None:
        self._coming = how
        self._wake.set()

    async def chunks(self, *, limit: int, checksum: Checksum | None = None) -> AsyncIterator[bytes]:
        self._pausing = False
        verifier = Verifier(checksum, announced=()) if checksum is not None else None
        taken = 0
        while self.ended_by is None and not self._pausing:
            if self._pieces:
                piece = self._pieces.pop(0)
                taken += len(piece)
                self.received += len(piece)
                if taken > limit:
                    raise LengthExceeded(f"the body holds more than the {limit} bytes that may still come")
                if verifier is not None:
                    verifier.update(piece)
                for start in range(0, len(piece), 262_144):
                    yield piece[start : start + 262_144]
            elif self._coming is not None:
                self.ended_by = self._coming
            else:
                self.taken.set()
                self._wake.clear()
                await self._wake.wait()
        if checksum is not None and verifier is not None and not self._pausing:
            assert checksum.digest is not None
            if self.ended_by is not BodyEnd.COMPLETE or not verifier.matches(checksum):
                raise ChecksumMismatch(checksum.algorithm)

    def allow_pipe(self) -> None:
        """There is none."""

    def pause(self) -> None:
        if self.ended_by is None:
            self._pausing = True
            self._wake.set()

    def stop(self) -> None:
        if self.ended_by is None:
            self._coming = self._coming or BodyEnd.STOPPED
            self._wake.set()


def body(*pieces: bytes, end: BodyEnd = BodyEnd.COMPLETE) -> FakeBody:
    """A body that has come whole, or up to its cut."""
    made = FakeBody()
    for piece in pieces:
        made.push(piece)
    made.end(end)
    return made


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def settings(data_dir: Path, **changes: Any) -> Settings:
    """What tests run with: no wait for the disk, no room demanded, no worker processes, no schema to be built."""
    values: dict[str, Any] = {"fsync": False, "free_bytes_min": 0, "query_workers": 0, "graphql": False}
    return Settings(data_dir=data_dir, **values | changes)


@dataclass
class Caller:
    """A logged-in user, with their ways to ask: `tus` over raw ASGI, `http` for everything else."""

    name: str
    session: IssuedSession
    app: App

    @property
    def principal(self) -> Principal:
        return self.session.principal

    @property
    def tenant_id(self) -> TenantId:
        assert self.principal.tenant_id is not None
        return self.principal.tenant_id

    @property
    def tus(self) -> UploadClient:
        return tus_client(self.app, self.session.access_token)

    @property
    def http(self) -> httpx2.AsyncClient:
        return http_client(self.app, self.session.access_token)

    async def upload(self, content: bytes, *, name: str = "a.txt", **metadata: str) -> Response:
        """Upload in one request."""
        pairs = {"filename": name, **metadata}
        header = ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in pairs.items())
        fields = {
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(len(content)),
            "Upload-Metadata": header,
            "Content-Type": "application/offset+octet-stream",
        }
        answer = await self.tus.send("POST", "/files/", fields, content)
        assert answer.status == 201, answer.body
        return answer


def tus_client(app: App, token: str | None = None) -> UploadClient:
    async def bearing(scope: Any, receive: Any, send: Any) -> None:
        if token is not None and all(name != b"authorization" for name, _ in scope["headers"]):
            scope["headers"].append((b"authorization", f"Bearer {token}".encode()))
        await app(scope, receive, send)

    scope = {"query_string": b"", "scheme": "http", "server": ("test", 80), "client": ("127.0.0.1", 1)}
    return UploadClient(bearing, principal=None, scope=scope)  # type: ignore[arg-type]


def http_client(app: App, token: str | None = None) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    return httpx2.AsyncClient(transport=transport, base_url=ADDRESS, headers=headers)


@dataclass
class World:
    """An open product and who uses it."""

    product: Product
    app: App
    clock: FakeClock
    anna: Caller
    bert: Caller

    async def file_of(self, caller: Caller) -> File:
        """The one file of the caller's tenant."""
        (file,) = await self.files_of(caller)
        return file

    async def files_of(self, caller: Caller) -> list[File]:
        files = self.product.records.collection(FILES)
        return (await files.list(caller.tenant_id, order=Order("number"), page=PageRequest(100))).items

    async def uploads_of(self, caller: Caller) -> list[Upload]:
        uploads = self.product.records.collection(UPLOADS)
        return (await uploads.list(caller.tenant_id, order=Order("created_at"), page=PageRequest(100))).items

    async def upload_of(self, caller: Caller, upload_id: str) -> Upload:
        return await self.product.records.collection(UPLOADS).get(caller.tenant_id, UploadId(upload_id))

    async def usage_of(self, caller: Caller) -> Usage:
        return await self.product.records.collection(USAGES).get(caller.tenant_id, caller.tenant_id)

    async def content_of(self, file: File) -> bytes:
        return b"".join([chunk async for chunk in self.product.blobs.open(file.key)])

    async def limit(self, caller: Caller, **limits: Any) -> None:
        """Set the limits of the caller's tenant."""
        tenants = self.product.records.collection(TENANTS)
        tenant = await tenants.get("system", caller.tenant_id)
        await tenants.save(replace(tenant, limits=Limits(**limits)), expected_revision=tenant.revision)

    async def download_path(self, caller: Caller, file_id: str, *, ttl_seconds: int = 60, inline: bool = False) -> str:
        files = self.product.services.files
        file = await files.get(caller.principal, FileId(file_id))
        url = await files.download_url(caller.principal, file, ttl_seconds=ttl_seconds, inline=inline)
        assert url is not None
        return url.removeprefix(ADDRESS)


@asynccontextmanager
async def open_world(
    data_dir: Path, *, clock: Clock | None = None, courier: Courier | None = None, **changes: Any
) -> AsyncGenerator[World, None]:
    """Open the product with Anna and Bert, who are in tenants of their own and logged in."""
    clock = clock or FakeClock()
    passwords = PasswordHasher(memory_kib=8, rounds=1)
    opening = open_product(
        settings(data_dir, **changes), address=ADDRESS, clock=clock, passwords=passwords, courier=courier
    )
    async with opening as product:
        app = build_app(product)
        accounts = product.services.accounts
        callers = []
        for name in ("anna", "bert"):
            email = f"{name}@example.org"
            await accounts.ensure_user(email, PASSWORD, tenant_name=name)
            callers.append(Caller(name, await accounts.log_in(email, PASSWORD, client="test"), app))
        yield World(product, app, clock, *callers)
