"""A bucket of an S3 server for one test, reached directly and through a proxy that fails."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from adapters.blobs.bucket import S3Settings
from adapters.blobs.s3 import S3Blobs
from domain.blob import BlobKey
from domain.clock import SystemClock
from tests.support.s3 import S3Server, settings_for
from tests.support.s3_proxy import FaultProxy

LONG_AGO = datetime(2100, 1, 1, tzinfo=UTC)  # seen from then


@dataclass
class Bench:
    """One bucket, reached through a proxy that fails and directly."""

    server: S3Server
    settings: S3Settings
    proxy: FaultProxy
    healthy: S3Blobs
    make: Callable[[S3Settings], S3Blobs]

    def failing(self, **changes: Any) -> S3Blobs:
        """Give a store that goes through the proxy."""
        return self.make(replace(self.settings, endpoint=self.proxy.endpoint, **changes))

    @property
    def objects(self) -> set[str]:
        return self.server.objects_in(self.settings.bucket)

    async def check_nothing_stayed(self, *keys: BlobKey) -> None:
        async def nobody(_: BlobKey) -> bool:
            return False

        await self.healthy.sweep(nobody, older_than_seconds=0, now=LONG_AGO)
        assert {f"blobs/{key}" for key in keys} == self.objects


@pytest.fixture
async def bench(s3_server: S3Server, boto_session: boto3.Session, tmp_path: Path) -> AsyncIterator[Bench]:
    settings = settings_for(s3_server)

    def make(changed: S3Settings) -> S3Blobs:
        return S3Blobs(changed, clock=SystemClock(), spool=tmp_path, session=boto_session)

    async with FaultProxy(s3_server.endpoint) as proxy, make(settings) as healthy:
        yield Bench(s3_server, settings, proxy, healthy, make)
