"""The loop of test_stores.py with records in MongoDB and bytes in S3: tails, parts and documents instead of files."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import boto3
import pytest

from domain.errors import LinkExhausted
from domain.upload import NewUpload
from tests.faults.test_stores import CONTENT, check_every_call, cut
from tests.support import mongo_server
from tests.support.product_faults import Mode, Rig, Sender, open_rig_on_servers
from tests.support.s3 import S3Server, boto_session, s3_server

__all__ = ["boto_session", "s3_server"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="session")
def mongo_url() -> Iterator[str]:
    with mongo_server.running() as url:
        yield url


@pytest.fixture
async def rig(
    tmp_path: Path, mongo_url: str, s3_server: S3Server, boto_session: boto3.Session
) -> AsyncGenerator[Rig, None]:
    async with open_rig_on_servers(tmp_path, mongo_url, s3_server, boto_session) as opened:
        yield opened


async def test_file_request_lets_in_as_many_as_it_says(rig):
    """Without transactions too: who came too late has reserved no room in the end."""
    user = await rig.new_user()
    guest = await rig.new_guest(user, max_uses=3)
    tries = [rig.uploads.begin(guest, NewUpload(f"{n}.bin", 10)) for n in range(8)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    usage = await rig.usage_of(user)

    assert 5 == len([outcome for outcome in outcomes if isinstance(outcome, LinkExhausted)])
    assert 3 == await rig.uses_of(guest)
    assert (30, 30) == (usage.bytes_total, usage.bytes_in_flight)


@pytest.mark.parametrize("mode", [Mode.UNANSWERED, Mode.KILLED_AFTER], ids=lambda mode: mode.value)
async def test_upload_survives_a_fault_at_every_call(rig, mode):
    """Of the records and of the store in turn: the offset never falls, and the final bytes are right."""

    async def make() -> Sender:
        return Sender(rig, await rig.new_user(), CONTENT, ends=(5, 16), make_body=cut)

    await check_every_call(rig, mode, make)
