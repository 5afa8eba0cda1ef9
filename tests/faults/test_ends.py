"""Every call of either store fails once while an upload or a file is brought to its end: room is given back once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from domain.file import FILES
from domain.principal import Principal
from domain.upload import AppendBytes, NewUpload, Upload, UploadStatus
from tests.faults.test_stores import check_every_call
from tests.support.product import body
from tests.support.product_faults import LIFETIME, TRIES_MAX, Mode, Rig, Sender

MODES = (Mode.REFUSED, Mode.UNANSWERED, Mode.KILLED_BEFORE, Mode.KILLED_AFTER)


@dataclass
class Ending:
    """An upload that stands at half, and what ends it; tried until it is over."""

    rig: Rig
    user: Principal
    upload: Upload
    end: Callable[["Ending"], Awaitable[object]]
    others: int = 7

    async def send(self) -> None:
        for _ in range(TRIES_MAX):
            await self.rig.attempt(partial(self.end, self))
            now = await self.rig.attempt(partial(self.rig.uploads.get, self.user, self.upload.id))
            if now is not None and now.status.is_gone:
                return
        raise AssertionError("the upload does not end")

    async def check(self) -> None:
        """Nothing of it is counted, nothing of it is left, and another upload of the tenant is as it was."""
        self.rig.clock.advance(seconds=1)
        await self.rig.maintain()
        usage = await self.rig.usage_of(self.user)
        assert (0, self.others, self.others) == (usage.file_count, usage.bytes_total, usage.bytes_in_flight)
        assert [] == await self.rig.files_of(self.user)


async def terminate(ending: Ending) -> None:
    await ending.rig.uploads.terminate(ending.user, ending.upload.id)


async def expire(ending: Ending) -> None:
    found = await ending.rig.uploads.get(ending.user, ending.upload.id)
    if found.status.is_open:
        await ending.rig.uploads.expire(found)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("end", [terminate, expire])
async def test_room_of_an_ended_upload_comes_back_once(rig, mode, end):
    """However often it is tried."""

    async def make() -> Ending:
        user = await rig.new_user()
        await rig.uploads.begin(user, NewUpload("other.txt", 7))
        upload = await rig.uploads.begin(user, NewUpload("a.txt", 10))
        return Ending(rig, user, await rig.uploads.append(user, AppendBytes(upload.id, 0), body(b"hello")), end)

    await check_every_call(rig, mode, make, calls_min=4)


@dataclass
class Guest(Sender):
    """A guest of a file request: one upload becomes a file, and one is given up."""

    async def send(self) -> None:
        await super().send()
        begun = await self.rig.attempt(lambda: self.rig.uploads.begin(self.user, NewUpload("b.txt", 5)))
        if begun is not None:
            await self.rig.attempt(lambda: self.rig.uploads.terminate(self.user, begun.id))

    async def check(self) -> None:
        await super().check()
        assert 1 == await self.rig.uses_of(self.user)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
async def test_use_of_a_file_request_is_counted_once_for_each_file(rig, mode):
    """What broke off, was ended or ran out gives its use back; what became a file stays one."""

    async def make() -> Guest:
        user = await rig.new_user()
        return Guest(rig, await rig.new_guest(user), b"hello", ends=(3,))

    await check_every_call(rig, mode, make, calls_min=10)


@dataclass
class Purging:
    """A file in the trash whose time is over."""

    rig: Rig
    user: Principal
    rounds: list[int] = field(default_factory=list)

    async def send(self) -> None:
        await self.rig.maintain()

    async def check(self) -> None:
        usage = await self.rig.usage_of(self.user)
        assert (0, 0, 0) == (usage.file_count, usage.bytes_total, usage.bytes_in_flight)
        assert [] == await self.rig.files_of(self.user)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
async def test_room_of_a_purged_file_comes_back_once(rig, mode):
    """Record first, bytes after: whatever breaks off, nobody finds a file without its bytes."""

    async def make() -> Purging:
        user = await rig.new_user()
        upload = await rig.uploads.begin(user, NewUpload("a.txt", 5))
        done = await rig.uploads.append(user, AppendBytes(upload.id, 0), body(b"hello"))
        assert done.status is UploadStatus.COMPLETED
        (file,) = await rig.files_of(user)
        await rig.records.collection(FILES).save(replace(file, deleted_at=rig.clock.now()), expected_revision=1)
        rig.clock.advance(seconds=30 * LIFETIME.total_seconds() + 1)
        return Purging(rig, user)

    await check_every_call(rig, mode, make, calls_min=8)
