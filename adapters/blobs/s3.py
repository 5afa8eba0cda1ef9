"""
Blobs as objects of an S3 bucket.

A finished blob is the object `prefix + key`. An unfinished one is a multipart upload of that key and at most one tail,
an object below `prefix + ".staging/"`. What of them counts stands in the writer alone; S3 is never asked for a list of
parts, and nothing that a recorded writer names is ever written again or removed.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3

from adapters.blobs.appending import ID_NAME, MARK_NAME, Appending
from adapters.blobs.bucket import Bucket, Refused, S3Settings, StoreObserver
from adapters.blobs.copying import Copying, plan_copies, size_of
from adapters.blobs.faults import fault_of
from adapters.blobs.keys import check_key
from adapters.blobs.parts import PART_SIZE_BYTES_MIN, Memory, Part, PartPlan
from adapters.blobs.progress import Progress, Receipt, Tail
from adapters.blobs.selecting import select
from domain.blob import Blob, BlobKey, BlobWriter, SelectCounts
from domain.clock import Clock
from domain.errors import Conflict, NotFound, StoreFull, StoreUnavailable

STAGING = ".staging/"  # no key begins with a dot, so no blob can be in it


class S3Blobs:
    """
    The blob store in a bucket, between `async with` and its end.

    Args:
        spool: Folder for parts that find no room in memory; a nameless file each, gone with the process. On a disk: in
            a file system that lives in memory nothing would be won.
        session: For boto3's client; one of its own if none is given.
        observer: Told of what the store makes us wait for.
    """

    def __init__(
        self,
        settings: S3Settings,
        *,
        clock: Clock,
        spool: Path,
        session: boto3.Session | None = None,
        observer: StoreObserver | None = None,
    ) -> None:
        self._settings = settings
        self._spool = spool
        self._bucket = Bucket(settings, clock=clock, session=session, observer=observer)
        self._memory = Memory(settings.part_slots_max * settings.part_size_bytes)
        self._plan = PartPlan(settings.part_size_bytes, settings.part_size_bytes_max, settings.parts_equal)

    async def __aenter__(self) -> Self:
        await self._bucket.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._bucket.__aexit__(kind, error, trace)

    @property
    def memory_free_bytes(self) -> int:
        """What parts may still hold in memory, for a gauge."""
        return self._memory.free_bytes

    @property
    def memory_bytes_max(self) -> int:
        """What all parts together may hold in memory."""
        return self._settings.part_slots_max * self._settings.part_size_bytes

    # ---- unfinished blobs

    async def create(self, key: BlobKey, *, content_type: str, length: int | None) -> BlobWriter:
        self._object_key(key)
        self._plan.size_of(1, length=length, offset=0)
        return BlobWriter(key, content_type, length=length, state=Progress(secrets.token_hex(8)).to_state())

    async def append(
        self,
        writer: BlobWriter,
        chunks: AsyncIterator[bytes],
        *,
        on_durable: Callable[[BlobWriter], Awaitable[None]] | None = None,
        expected_bytes: int | None = None,
    ) -> BlobWriter:
        """
        Send parts while their bytes come. A cancellation stops what is on its way and leaves the writer valid.
        """
        appending = Appending(
            self._bucket,
            writer,
            key=self._object_key(writer.key),
            staging=self._staging_of(writer.key),
            plan=self._plan,
            memory=self._memory,
            spool=self._spool,
            begin_multipart=lambda: self._begin_multipart(writer),
            object_headers={**self._object_headers(writer), **self._encryption_headers()},
            tail_headers=self._encryption_headers(),
            on_durable=on_durable,
            expected_bytes=expected_bytes,
        )
        try:
            async for chunk in chunks:
                await appending.add(chunk)
            return await appending.finish()
        except BaseException:
            await appending.drop()
            raise

    async def complete(self, writer: BlobWriter) -> Blob:
        progress = Progress.of(writer)
        if progress.whole_etag:
            blob = Blob(writer.key, writer.size_bytes, progress.whole_etag)
        else:
            blob = await self._assemble(writer, progress)
        await self._remove_staged(writer.key, progress)
        return blob

    async def _assemble(self, writer: BlobWriter, progress: Progress) -> Blob:
        try:
            if progress.receipts:
                etag = await self._complete_multipart(writer, progress)
            else:
                etag = await self._put_tail_whole(writer, progress)
        except Refused as refusal:
            # NoSuchUpload, no tail, or the key is taken: by ourselves, when the first answer was lost.
            return await self._find_finished(writer, progress, refusal)
        return Blob(writer.key, writer.size_bytes, etag)

    async def _complete_multipart(self, writer: BlobWriter, progress: Progress) -> str:
        key, receipts = self._object_key(writer.key), list(progress.receipts)
        if progress.tail:
            receipts.append(await self._copy_tail(key, progress, progress.tail))
        parts = [{"PartNumber": receipt.number, "ETag": f'"{receipt.etag}"'} for receipt in receipts]
        answer = await self._bucket.call(
            "complete_multipart_upload",
            Key=key,
            UploadId=progress.upload_id,
            MultipartUpload={"Parts": parts},
            **({"IfNoneMatch": "*"} if self._settings.conditional_writes else {}),
        )
        return str(answer["ETag"]).strip('"')

    async def _put_tail_whole(self, writer: BlobWriter, progress: Progress) -> str:
        """Store a blob that never had a part: its tail, or nothing at all."""
        part = Part(self._memory, self._spool)
        try:
            if progress.tail:
                async for chunk in self._bucket.read(progress.tail.key):
                    part.add(chunk)
            part.seal()
            if part.size != writer.size_bytes:
                raise StoreUnavailable("blob store")
            condition = {"if-none-match": "*"} if self._settings.conditional_writes else {}
            condition[f"x-amz-meta-{MARK_NAME}"] = progress.mark
            headers = {**self._object_headers(writer), **self._encryption_headers(), **condition}
            return await self._bucket.put(self._object_key(writer.key), part, headers=headers)
        except OSError as error:
            raise fault_of(error) from error
        finally:
            part.close()

    async def _find_finished(self, writer: BlobWriter, progress: Progress, refusal: Refused) -> Blob:
        try:
            found = await self._bucket.call("head_object", Key=self._object_key(writer.key))
        except Refused:
            raise StoreUnavailable("blob store") from refusal
        ours = {ID_NAME: progress.id, MARK_NAME: progress.mark}
        if not ours.items() <= found["Metadata"].items() or found["ContentLength"] != writer.size_bytes:
            raise Conflict("another blob is stored under this key") from refusal
        return _blob(writer.key, found)

    async def abort(self, writer: BlobWriter) -> None:
        """
        Remove all that appends to this blob left, also those that were never recorded.

        What was completed is not to be aborted any more, but deleted: a short blob looks the same before and after.
        """
        key = self._object_key(writer.key)
        with contextlib.suppress(Refused):
            found = await self._bucket.call("head_object", Key=key)
            if found["Metadata"].get(ID_NAME) == Progress.of(writer).id:
                await self._bucket.call("delete_object", Key=key)
        async for found_key, upload_id, _ in self._list_multiparts(key):
            if found_key == key:
                await self._abort_multipart(key, upload_id)
        async for tail, _ in self._list_tails(self._staging_of(writer.key)):
            await self._bucket.call("delete_object", Key=tail)

    async def _abort_multipart(self, key: str, upload_id: str) -> None:
        with contextlib.suppress(Refused):
            await self._bucket.call("abort_multipart_upload", Key=key, UploadId=upload_id)

    async def _remove_staged(self, key: BlobKey, progress: Progress) -> None:
        if progress.upload_id and not progress.receipts:  # its first part was cut, and the blob is short
            with contextlib.suppress(StoreFull, StoreUnavailable):
                await self._abort_multipart(self._object_key(key), progress.upload_id)
        for key in (*progress.garbage, *((progress.tail.key,) if progress.tail else ())):
            # What cannot be removed now is an orphan, which the sweep finds.
            with contextlib.suppress(StoreFull, StoreUnavailable):
                await self._bucket.call("delete_object", Key=key)

    async def _begin_multipart(self, writer: BlobWriter) -> tuple[str, str]:
        """Give the id of a new upload, and the mark of what it will make."""
        mark = secrets.token_hex(8)
        arguments: dict[str, Any] = {
            "ContentType": _header_value(writer.content_type),
            "Metadata": {ID_NAME: str(writer.state["id"]), MARK_NAME: mark},
            "StorageClass": self._settings.storage_class,
            "ServerSideEncryption": self._settings.sse,
            "SSEKMSKeyId": self._settings.sse_kms_key_id,
        }
        given = {name: value for name, value in arguments.items() if value is not None}
        answer = await self._bucket.call("create_multipart_upload", Key=self._object_key(writer.key), **given)
        return str(answer["UploadId"]), mark

    async def _copy_tail(self, key: str, progress: Progress, tail: Tail) -> Receipt:
        """Make the tail the last part."""
        answer = await self._bucket.call(
            "upload_part_copy",
            Key=key,
            UploadId=progress.upload_id,
            PartNumber=progress.last_number + 1,
            CopySource={"Bucket": self._settings.bucket, "Key": tail.key},
        )
        return Receipt(progress.last_number + 1, tail.size, str(answer["CopyPartResult"]["ETag"]).strip('"'))

    async def concatenate(self, writer: BlobWriter, sources: Sequence[BlobKey]) -> BlobWriter:
        blobs = await asyncio.gather(*(self.stat(key) for key in sources))
        total = sum(blob.size_bytes for blob in blobs)
        # Short ones are sooner read than copied; and parts that must be equal cannot follow the sources' ends.
        if writer.size_bytes or total <= self._settings.part_size_bytes or self._plan.equal:
            async with contextlib.aclosing(self._read_all(sources)) as chunks:
                return await self.append(writer, chunks)
        parts = plan_copies([blob.size_bytes for blob in blobs])
        # Only the last part of the blob may be short, and more may follow.
        last = parts.pop() if total != writer.length and size_of(parts[-1]) < PART_SIZE_BYTES_MIN else None
        upload_id, mark = await self._begin_multipart(writer)
        copying = Copying(
            self._bucket,
            key=self._object_key(writer.key),
            upload_id=upload_id,
            sources=[self._object_key(key) for key in sources],
            memory=self._memory,
            spool=self._spool,
        )
        receipts = await copying.run(parts)
        progress = replace(Progress.of(writer), upload_id=upload_id, attempt=mark, receipts=receipts)
        copied = progress.advance(writer)
        if last is None:
            return copied
        async with contextlib.aclosing(copying.read(last)) as chunks:
            return await self.append(copied, chunks)

    async def _read_all(self, keys: Sequence[BlobKey]) -> AsyncGenerator[bytes, None]:
        for key in keys:
            async with contextlib.aclosing(self.open(key)) as chunks:
                async for chunk in chunks:
                    yield chunk

    # ---- finished blobs

    async def open(self, key: BlobKey, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield chunks of 1 byte to 1 MiB; the caller closes the iterator."""
        with _missing():
            async with contextlib.aclosing(self._bucket.read(self._object_key(key), start=start, end=end)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def stat(self, key: BlobKey) -> Blob:
        with _missing():
            return _blob(key, await self._bucket.call("head_object", Key=self._object_key(key)))

    async def delete(self, key: BlobKey) -> None:
        with contextlib.suppress(Refused):
            await self._bucket.call("delete_object", Key=self._object_key(key))

    async def ping(self) -> None:
        await self._bucket.call("head_bucket")

    # ---- maintenance

    async def sweep(
        self, known: Callable[[BlobKey], Awaitable[bool]], *, older_than_seconds: float, now: datetime
    ) -> int:
        """
        Remove multipart uploads and tails that are old enough and that nobody knows; give how many.

        Args:
            known: Whether an upload of this key is not finished yet; one that is being completed is not.
        """
        removed = 0
        async for key, upload_id, begun in self._list_multiparts(self._settings.prefix):
            blob_key = BlobKey(key.removeprefix(self._settings.prefix))
            if (now - begun).total_seconds() >= older_than_seconds and not await known(blob_key):
                await self._abort_multipart(key, upload_id)
                removed += 1
        staging = self._settings.prefix + STAGING
        async for tail, stored in self._list_tails(staging):
            blob_key = BlobKey(tail.removeprefix(staging).rpartition("/")[0])
            if (now - stored).total_seconds() >= older_than_seconds and not await known(blob_key):
                await self._bucket.call("delete_object", Key=tail)
                removed += 1
        return removed

    async def _list_multiparts(self, prefix: str) -> AsyncIterator[tuple[str, str, datetime]]:
        marker: dict[str, str] = {}
        while True:
            page = await self._bucket.call("list_multipart_uploads", Prefix=prefix, **marker)
            for upload in page.get("Uploads", ()):
                yield upload["Key"], upload["UploadId"], upload["Initiated"]
            if not page.get("IsTruncated"):
                return
            marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    async def _list_tails(self, prefix: str) -> AsyncIterator[tuple[str, datetime]]:
        token: dict[str, str] = {}
        while True:
            page = await self._bucket.call("list_objects_v2", Prefix=prefix, **token)
            for entry in page.get("Contents", ()):
                yield entry["Key"], entry["LastModified"]
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    # ---- SQL

    def select(self, key: BlobKey, request: Mapping[str, object]) -> AsyncGenerator[bytes | SelectCounts, None]:
        return select(self._bucket, self._object_key(key), request)

    async def link(self, key: BlobKey, *, seconds: int, content_type: str, disposition: str) -> str:
        fields = {"ResponseContentType": content_type, "ResponseContentDisposition": disposition}
        return await self._bucket.presigned(self._object_key(key), seconds=seconds, **fields)

    # ---- names

    def _object_key(self, key: BlobKey) -> str:
        check_key(key)
        return self._settings.prefix + key

    def _staging_of(self, key: BlobKey) -> str:
        return f"{self._settings.prefix}{STAGING}{key}/"

    def _object_headers(self, writer: BlobWriter) -> dict[str, str]:
        headers = {"content-type": _header_value(writer.content_type), f"x-amz-meta-{ID_NAME}": str(writer.state["id"])}
        if self._settings.storage_class:
            headers["x-amz-storage-class"] = self._settings.storage_class
        return headers

    def _encryption_headers(self) -> dict[str, str]:
        headers = {
            "x-amz-server-side-encryption": self._settings.sse,
            "x-amz-server-side-encryption-aws-kms-key-id": self._settings.sse_kms_key_id,
        }
        return {name: value for name, value in headers.items() if value}


def _blob(key: BlobKey, found: dict[str, Any]) -> Blob:
    return Blob(key, found["ContentLength"], str(found["ETag"]).strip('"'))


def _header_value(content_type: str) -> str:
    """Clients choose it: what no header can hold must not fail their uploads."""
    is_safe = content_type.isascii() and content_type.isprintable() and content_type.strip()
    return content_type if is_safe else "application/octet-stream"


@contextlib.contextmanager
def _missing() -> Iterator[None]:
    try:
        yield
    except Refused as refusal:
        raise (NotFound("blob") if refusal.is_missing else StoreUnavailable("blob store")) from refusal
