"""The loop of test_stores.py with records in MongoDB and bytes in S3: tails, parts and documents instead of files."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import boto3
import pytest

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


@pytest.mark.parametrize("mode", [Mode.UNANSWERED, Mode.KILLED_AFTER], ids=lambda mode: mode.value)
async def test_upload_survives_a_fault_at_every_call(rig, mode):
    """Of the records and of the store in turn: the offset never falls, and the final bytes are right."""

    async def make() -> Sender:
        return Sender(rig, await rig.new_user(), CONTENT, ends=(5, 16), make_body=cut)

    await check_every_call(rig, mode, make)
