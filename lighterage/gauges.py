"""Where the numbers come from that nobody counts: they are read when `/metrics` is asked for."""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from lighterage.metrics import (
    BUFFER_BYTES,
    BUFFER_BYTES_MAX,
    BUILD,
    DISK_FREE,
    UPLOADED_BYTES,
    UPLOADS_IN_FLIGHT,
    Exposition,
    Meters,
    Sample,
)

SAMPLE_SECONDS = 1.0  # how old the gauges of a process may be when another one is asked


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
    meters: Meters, *, uploads: Uploads, buffers: Buffers | None, data_dir: Path, version: str
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

    return Exposition(meters, [own])


async def keep_sampling(meters: Meters) -> None:
    """Write this process's gauges down again and again, for the others at its address; until cancelled."""
    while True:
        meters.row.sample()
        await asyncio.sleep(SAMPLE_SECONDS)
