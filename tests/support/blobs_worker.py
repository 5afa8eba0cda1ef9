"""
A process that uploads into a local store, to be killed.

`python -m tests.support.blobs_worker ROOT RECORD SIZE` goes on where RECORD (a JSON file) says, prints a line for every
chunk that it hands over, and records each append of 1 MiB. With a fourth argument it waits for a line after each.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

from adapters.blobs.local import LocalBlobs
from domain.blob import BlobWriter
from tests.support.blobs import MIB, some_bytes

CHUNK_BYTES = 65_536


async def chunks_aloud(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), CHUNK_BYTES):
        print(start, flush=True)
        if len(sys.argv) > 4:
            sys.stdin.readline()
        yield content[start : start + CHUNK_BYTES]


async def main(root: Path, record: Path, size: int) -> None:
    blobs = LocalBlobs(root, free_bytes_min=0)
    content = some_bytes(size)
    writer = BlobWriter(**json.loads(record.read_text()))
    while writer.size_bytes < size:
        writer = await blobs.append(writer, chunks_aloud(content[writer.size_bytes :][:MIB]))
        fresh = record.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(writer)))
        fresh.replace(record)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
