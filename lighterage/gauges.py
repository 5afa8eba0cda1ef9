"""Where the numbers come from that nobody counts: they are read when `/metrics` is asked for."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from domain.clock import Clock
from domain.errors import LighterageError
from domain.job import JOBS, JobStatus
from domain.page import Order, equals
from domain.records import Records
from lighterage.metrics import (
    BUFFER_BYTES,
    BUFFER_BYTES_MAX,
    BUILD,
    DISK_FREE,
    QUEUE_JOBS,
    QUEUE_OLDEST,
    UPLOADED_BYTES,
    UPLOADS_IN_FLIGHT,
    Exposition,
    Meters,
    Sample,
)

SAMPLE_SECONDS = 1.0  # how old the gauges of a process may be when another one is asked


QUEUE_COUNTED_MAX = 500  # jobs of one state that are counted; to count is to read them
QUEUE_SECONDS = 10.0  # how old that count may be
_STATES = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.FAILED)


class Uploads(Protocol):
    @property
    def in_flight(self) -> int: ...
    @property
    def received_bytes(self) -> int: ...


class Buffers(Protocol):
    @property
    def memory_free_bytes(self) -> int: ...
    @property
    def memory_bytes_max(self) -> int: ...


def build_exposition(
    meters: Meters, *, uploads: Uploads, buffers: Buffers | None, queue: "QueueGauge", data_dir: Path, version: str
) -> Exposition:
    """
    Tell the meters where to read, and make what `/metrics` answers.

    Args:
        buffers: Of the store in S3; None where files lie on a disk.
    """
    sampled = meters.row.sampled
    sampled[UPLOADS_IN_FLIGHT] = lambda: uploads.in_flight
    sampled[UPLOADED_BYTES] = lambda: uploads.received_bytes
    if buffers is not None:
        sampled[BUFFER_BYTES] = lambda: buffers.memory_bytes_max - buffers.memory_free_bytes
        sampled[BUFFER_BYTES_MAX] = lambda: buffers.memory_bytes_max

    async def own() -> Iterable[Sample]:
        disk = os.statvfs(data_dir)
        return [(BUILD, {"version": version}, 1.0), (DISK_FREE, {}, float(disk.f_bavail * disk.f_frsize))]

    return Exposition(meters, [own, queue])


class QueueGauge:
    """How many jobs there are of each state, of all tenants; nothing while the database is away."""

    def __init__(self, records: Records, clock: Clock, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._jobs = records.collection(JOBS)
        self._clock = clock
        self._monotonic = monotonic
        self._samples: list[Sample] = []
        self._read_at: float | None = None

    async def __call__(self) -> Iterable[Sample]:
        now = self._monotonic()
        if self._read_at is None or now - self._read_at >= QUEUE_SECONDS:
            try:
                self._samples = await self._read()
            except LighterageError:
                return []
            self._read_at = now
        return self._samples

    async def _read(self) -> list[Sample]:
        samples: list[Sample] = []
        oldest = 0.0
        for status in _STATES:
            found = await self._jobs.scan([equals("status", status)], order=Order("queued_at"), limit=QUEUE_COUNTED_MAX)
            samples.append((QUEUE_JOBS, {"state": status.value}, float(len(found))))
            if status is JobStatus.QUEUED and found:
                oldest = max(0.0, (self._clock.now() - found[0].queued_at).total_seconds())
        return [*samples, (QUEUE_OLDEST, {}, oldest)]


async def keep_sampling(meters: Meters) -> None:
    """Write this process's gauges down again and again, for the others at its address; until cancelled."""
    while True:
        meters.row.sample()
        await asyncio.sleep(SAMPLE_SECONDS)
