"""
A process that uploads, to be killed.

`python -m tests.support.blobs_worker STORE RECORD SIZE APPEND` goes on where RECORD (a JSON file) says, prints a line
for every chunk that it hands over, and records each append of APPEND bytes. STORE is JSON: `{"root": …}`, or the
settings of an S3 store. With a fifth argument it waits for a line after each chunk.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path

from adapters.blobs.bucket import S3Settings
from adapters.blobs.local import LocalBlobs
from adapters.blobs.s3 import S3Blobs
from domain.blob import BlobStore, BlobWriter
from domain.clock import SystemClock
from tests.support.blobs import some_bytes

CHUNK_BYTES = 65_536


async def chunks_aloud(content: bytes, *, step_by_step: bool) -> AsyncIterator[bytes]:
    for start in range(0, len(content), CHUNK_BYTES):
        print(start, flush=True)
        if step_by_step:
            sys.stdin.readline()
        await asyncio.sleep(0)
        yield content[start : start + CHUNK_BYTES]


async def main(store: str, record: Path, size: int, append: int, *, step_by_step: bool) -> None:
    async with AsyncExitStack() as stack:
        settings = json.loads(store)
        if "root" in settings:
            blobs: BlobStore = LocalBlobs(Path(settings["root"]), free_bytes_min=0)
        else:
            blobs = await stack.enter_async_context(
                S3Blobs(S3Settings(**settings), clock=SystemClock(), spool=record.parent)
            )
        content = some_bytes(size)
        writer = BlobWriter(**json.loads(record.read_text()))
        while writer.size_bytes < size:
            piece = content[writer.size_bytes :][:append]
            chunks = chunks_aloud(piece, step_by_step=step_by_step)
            writer = await blobs.append(writer, chunks, expected_bytes=len(piece))
            fresh = record.with_suffix(".new")
            fresh.write_text(json.dumps(asdict(writer)))
            fresh.replace(record)


if __name__ == "__main__":
    asyncio.run(
        main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), step_by_step=len(sys.argv) > 5)
    )
