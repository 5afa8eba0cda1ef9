"""Every call of either store fails once while a file gets another content, goes back, and is purged."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import boto3
import pytest

from domain.errors import Conflict, NotFound
from domain.file import File
from domain.ids import FileId
from domain.principal import Principal
from domain.upload import AppendBytes, NewUpload
from domain.version import FILE_VERSIONS
from tests.faults.test_stores import check_every_call
from tests.support import mongo_server
from tests.support.product import body
from tests.support.product_faults import LIFETIME, TRIES_MAX, Mode, Rig, Sender, open_rig, open_rig_on_servers
from tests.support.s3 import S3Server, boto_session, s3_server

__all__ = ["boto_session", "s3_server"]

MODES = (Mode.REFUSED, Mode.UNANSWERED, Mode.KILLED_BEFORE, Mode.KILLED_AFTER)

pytestmark = pytest.mark.slow


@dataclass
class Author:
    """Replaces a file's content, then goes back to the first one, with as many tries as it takes."""

    rig: Rig
    user: Principal
    file: File
    content: bytes = b"number two"

    async def send(self) -> None:
        new = NewUpload("x", len(self.content), FileId(self.file.id))
        await Sender(self.rig, self.user, self.content, ends=(4,), new=new).send()
        for _ in range(TRIES_MAX):
            await self.rig.attempt(self._go_back)
            (now,) = await self.rig.files_of(self.user)
            if now.key == self.file.key:
                return
        raise AssertionError("the file does not go back")

    async def _go_back(self) -> None:
        (file,) = await self.rig.files_of(self.user)
        _, *old = await self.rig.versions.list_of_file(self.user, file)
        first = next((one for one in old if one.key == self.file.key), None)
        if first is not None:
            with suppress(Conflict):
                await self.rig.versions.restore(self.user, FileId(file.id), first.id)

    async def check(self) -> None:
        """Both contents are there, each takes room once, and nothing else does, once forgotten uploads ran out."""
        for seconds in (LIFETIME.total_seconds() + 1, 3601, 61):  # the last two are for what settles counters
            self.rig.clock.advance(seconds=seconds)
            await self.rig.maintain()
        (file,) = await self.rig.files_of(self.user)
        versions = await self.rig.versions.list_of_file(self.user, file)
        assert [b"hello", self.content] == [await self._bytes(one.key) for one in versions]
        assert 1 == await self.rig.records.collection(FILE_VERSIONS).count(file.tenant_id)
        usage = await self.rig.usage_of(self.user)
        assert (1, 15, 0) == (usage.file_count, usage.bytes_total, usage.bytes_in_flight)

    async def _bytes(self, key: str) -> bytes:
        return b"".join([chunk async for chunk in self.rig.blobs.open(key)])  # type: ignore[arg-type]


async def new_author(rig: Rig) -> Author:
    user = await rig.new_user()
    upload = await rig.uploads.begin(user, NewUpload("a.txt", 5))
    await rig.uploads.append(user, AppendBytes(upload.id, 0), body(b"hello"))  # type: ignore[arg-type]
    (file,) = await rig.files_of(user)
    return Author(rig, user, file)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
async def test_contents_survive_a_fault_at_every_call(rig, mode):
    """On one disk and one database with transactions."""
    await check_every_call(rig, mode, partial(new_author, rig), calls_min=15)


@dataclass
class Purging:
    """A file with a version, which an admin removes until it is gone."""

    rig: Rig
    user: Principal
    file: File

    async def send(self) -> None:
        for _ in range(TRIES_MAX):
            outcomes = await self.rig.attempt(partial(self.rig.files.purge, self.user, [FileId(self.file.id)]))
            if outcomes is not None and isinstance(outcomes[0], NotFound):
                return
        raise AssertionError("the file does not go")

    async def check(self) -> None:
        self.rig.clock.advance(seconds=61)
        await self.rig.maintain()
        usage = await self.rig.usage_of(self.user)
        assert (0, 0, 0) == (usage.file_count, usage.bytes_total, usage.bytes_in_flight)
        assert 0 == await self.rig.records.collection(FILE_VERSIONS).count(self.file.tenant_id)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
async def test_room_of_a_purged_file_and_its_versions_comes_back_once(rig, mode):
    """However often it is tried."""

    async def make() -> Purging:
        author = await new_author(rig)
        new = NewUpload("x", 3, FileId(author.file.id))
        await Sender(rig, author.user, b"two", new=new).send()
        return Purging(rig, author.user, author.file)

    await check_every_call(rig, mode, make, calls_min=5)


# ---- without transactions


@pytest.fixture(scope="session")
def mongo_url() -> Iterator[str]:
    with mongo_server.running() as url:
        yield url


@pytest.fixture
async def servers(
    tmp_path: Path, mongo_url: str, s3_server: S3Server, boto_session: boto3.Session
) -> AsyncGenerator[Rig, None]:
    async with open_rig_on_servers(tmp_path, mongo_url, s3_server, boto_session) as opened:
        yield opened


@pytest.fixture
async def split(tmp_path: Path) -> AsyncGenerator[Rig, None]:
    async with open_rig(tmp_path, splits=True) as opened:
        yield opened


@pytest.mark.parametrize("mode", [Mode.KILLED_BEFORE, pytest.param(Mode.REFUSED, marks=pytest.mark.long)])
async def test_contents_survive_a_fault_between_any_two_records(split, mode):
    """Where a change is several writes that no transaction holds together: what is left over counts as nothing."""
    await check_every_call(split, mode, partial(new_author, split), calls_min=25)


@pytest.mark.timeout(120)
async def test_contents_survive_on_servers(servers):
    """Records in MongoDB, bytes in S3, and answers that are lost."""
    await check_every_call(servers, Mode.UNANSWERED, partial(new_author, servers), calls_min=15)
