"""
What our own worker does with a file, by the kind of the job.

A handler gives an outcome, or raises: JobRefused where trying again would not help, any LighterageError where it may.
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from domain.errors import QueryLimitExceeded, SqlInvalid
from domain.file import File
from domain.picture import PictureRefused, Pictures
from domain.scan import Finding, Scanner
from services.processing import Outcome
from services.queries import Profile

THUMBNAIL_EDGE = 256  # pixels
HASH_BATCH_BYTES = 2**20


BUILT_IN = frozenset({"digest", "scan", "thumbnail", "profile"})


class JobRefused(Exception):
    """The job cannot be done with this file, today or tomorrow. The message is fit to be shown."""


@dataclass(frozen=True, slots=True)
class Work:
    """
    A file to be worked on.

    Attributes:
        open: Yields its bytes from the first on; to be closed.
        progress: To be told how much of it is done, from 0 to 1.
    """

    file: File
    open: Callable[[], AsyncGenerator[bytes, None]]
    progress: Callable[[float], None]


Handler = Callable[[Work], Awaitable[Outcome]]


class Profiler(Protocol):
    async def profile_of(self, file: File) -> Profile: ...


def handlers(*, scanner: Scanner | None, pictures: Pictures | None, profiler: Profiler | None) -> Mapping[str, Handler]:
    """Give the handlers that can do their work here, by kind; jobs of other kinds are left to others."""
    made: dict[str, Handler] = {"digest": check_digest}
    if scanner is not None:
        made["scan"] = _scan(scanner)
    if pictures is not None:
        made["thumbnail"] = _thumbnail(pictures)
    if profiler is not None:
        made["profile"] = _profile(profiler)
    return made


async def check_digest(work: Work) -> Outcome:
    """Read what is stored, and hold it to what is known of it."""
    digest, size = hashlib.sha256(), 0
    async with aclosing(work.open()) as chunks:
        async for chunk in chunks:
            if len(chunk) < HASH_BATCH_BYTES:
                digest.update(chunk)
            else:
                await asyncio.to_thread(digest.update, chunk)
            size += len(chunk)
            work.progress(size / max(work.file.size, 1))
    found = digest.hexdigest()
    if size != work.file.size:
        raise JobRefused(f"{size} bytes are stored, not {work.file.size}")
    for known in (work.file.sha256, work.file.sha256_declared):
        if known not in (None, found):
            raise JobRefused("the stored bytes are not those that came: their SHA-256 is another")
    return Outcome({"sha256": found, "size": size})


def _scan(scanner: Scanner) -> Handler:
    async def scan(work: Work) -> Outcome:
        async with aclosing(work.open()) as chunks:
            verdict = await scanner.scan(chunks, size=work.file.size)
        if verdict.finding is Finding.TOO_LARGE:
            # That nobody looked is not that nothing was found.
            raise JobRefused(f"too large to be scanned: {work.file.size} bytes")
        found = {"verdict": verdict.finding.value, "signature": verdict.signature}
        return Outcome(found, quarantines=verdict.finding is Finding.INFECTED)

    return scan


def _thumbnail(pictures: Pictures) -> Handler:
    async def thumbnail(work: Work) -> Outcome:
        try:
            async with aclosing(work.open()) as chunks:
                small = await pictures.shrink(chunks, edge=THUMBNAIL_EDGE)
        except PictureRefused as error:
            raise JobRefused(str(error)) from error
        return Outcome(
            {
                "content_type": small.content_type,
                "width": small.width,
                "height": small.height,
                "of": [small.of_width, small.of_height],
                "base64": base64.b64encode(small.content).decode(),
            }
        )

    return thumbnail


def _profile(profiler: Profiler) -> Handler:
    async def profile(work: Work) -> Outcome:
        try:
            found = await profiler.profile_of(work.file)
        except (SqlInvalid, QueryLimitExceeded) as error:
            raise JobRefused(error.message) from error
        columns = [{"name": column.name, "type": column.type} for column in found.columns]
        return Outcome({"columns": columns, "rows": found.row_count})

    return profile
