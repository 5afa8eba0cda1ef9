"""
Making one object of others inside S3, with UploadPartCopy.

Only what is too short for a part of its own passes through this process: at most 10 MiB at every seam.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from adapters.blobs.bucket import Bucket, Refused
from adapters.blobs.faults import fault_of
from adapters.blobs.parts import PART_SIZE_BYTES_MIN, PARTS_MAX, Memory, Part
from adapters.blobs.progress import Receipt
from domain.errors import LengthExceeded, NotFound, StoreFull, StoreUnavailable

COPY_BYTES_MAX = 2**30  # S3 takes 5 GiB, but is busy with that for minutes
COPIES_MAX = 4  # at once


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` to `end` (exclusive) of one source."""

    source: int
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


def size_of(spans: Sequence[Span]) -> int:
    return sum(span.size for span in spans)


def plan_copies(
    sizes: Sequence[int], *, size_min: int = PART_SIZE_BYTES_MIN, size_max: int = COPY_BYTES_MAX
) -> list[list[Span]]:
    """
    Cut sources into parts, so that every part but the last has `size_min` bytes.

    Returns:
        The spans of each part: one, which S3 can copy, or several that must be put together.

    Raises:
        LengthExceeded: They would be too many.
    """
    parts: list[list[Span]] = []
    short: list[Span] = []
    for source, size in enumerate(sizes):
        start = 0
        if short and size:
            start = min(size, size_min - size_of(short))
            short.append(Span(source, 0, start))
            if size_of(short) >= size_min:
                parts.append(short)
                short = []
        if size - start >= size_min:
            count = -(-(size - start) // size_max)
            step = -(-(size - start) // count)
            parts.extend([Span(source, at, min(at + step, size))] for at in range(start, size, step))
        elif size > start:
            short = [Span(source, start, size)]
    if short:
        parts.append(short)
    if len(parts) > PARTS_MAX:
        raise LengthExceeded(f"the store takes no more than {PARTS_MAX} parts of a file")
    return parts


class Copying:
    """Copies of sources into the parts of one multipart upload."""

    def __init__(
        self, bucket: Bucket, *, key: str, upload_id: str, sources: Sequence[str], memory: Memory, spool: Path
    ) -> None:
        self._bucket, self._key, self._upload_id, self._sources = bucket, key, upload_id, sources
        self._memory, self._spool = memory, spool
        self._turns = asyncio.Semaphore(COPIES_MAX)

    async def run(self, parts: Sequence[Sequence[Span]]) -> tuple[Receipt, ...]:
        """
        Make all parts; on a fault none is promised, and the upload is aborted.

        Raises:
            NotFound: A source is not there.
        """
        made = await asyncio.gather(
            *(self._make(number, spans) for number, spans in enumerate(parts, start=1)), return_exceptions=True
        )
        faults = [result for result in made if isinstance(result, BaseException)]
        if faults:
            with contextlib.suppress(StoreFull, StoreUnavailable):
                await self._bucket.call("abort_multipart_upload", Key=self._key, UploadId=self._upload_id)
            raise faults[0]
        return tuple(result for result in made if isinstance(result, Receipt))

    async def _make(self, number: int, spans: Sequence[Span]) -> Receipt:
        receipt = Receipt(number, size_of(spans), "")
        async with self._turns:
            try:
                if len(spans) == 1 and spans[0].size >= PART_SIZE_BYTES_MIN:
                    return replace(receipt, etag=await self._copy(number, spans[0]))
                return replace(receipt, etag=await self._put_together(number, spans))
            except Refused as refusal:
                if refusal.reason == "NoSuchKey":
                    raise NotFound("blob") from refusal
                raise

    async def _copy(self, number: int, span: Span) -> str:
        answer = await self._bucket.call(
            "upload_part_copy",
            Key=self._key,
            UploadId=self._upload_id,
            PartNumber=number,
            CopySource={"Bucket": self._bucket.settings.bucket, "Key": self._sources[span.source]},
            CopySourceRange=f"bytes={span.start}-{span.end - 1}",
        )
        return str(answer["CopyPartResult"]["ETag"]).strip('"')

    async def _put_together(self, number: int, spans: Sequence[Span]) -> str:
        part = Part(self._memory, self._spool)
        try:
            async for chunk in self.read(spans):
                part.add(chunk)
            part.seal()
            query = {"partNumber": str(number), "uploadId": self._upload_id}
            return await self._bucket.put(self._key, part, query=query)
        except OSError as error:
            raise fault_of(error) from error
        finally:
            part.close()

    async def read(self, spans: Sequence[Span]) -> AsyncGenerator[bytes, None]:
        for span in spans:
            source = self._bucket.read(self._sources[span.source], start=span.start, end=span.end)
            async with contextlib.aclosing(source) as chunks:
                async for chunk in chunks:
                    yield chunk
