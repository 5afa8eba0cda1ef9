"""
One append to a blob in S3: cuts what comes into parts, and sends them while their bytes come.

Nothing here deletes what the recorded writer names. The new writer names what it replaces as garbage, and the next
call, which is given that writer and thereby shows that it was recorded, takes it away.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

from adapters.blobs.bucket import Bucket, Refused
from adapters.blobs.faults import fault_of
from adapters.blobs.parts import Memory, Part, PartPlan
from adapters.blobs.progress import Progress, Receipt, Tail
from domain.blob import BlobWriter
from domain.errors import StoreFull, StoreUnavailable


class Sending:
    """A part on its way, which may still be filling; once it was sealed, it is closed when it was sent."""

    def __init__(self, number: int, part: Part, send: Callable[[], Awaitable[str]]) -> None:
        self.number, self._part = number, part
        self.task = asyncio.create_task(self._run(send))
        self.task.add_done_callback(lambda _: self._release())

    async def _run(self, send: Callable[[], Awaitable[str]]) -> str | StoreFull | StoreUnavailable:
        try:
            return await send()
        except (StoreFull, StoreUnavailable) as fault:
            # Refused as NoSuchUpload: the parts before are gone as well; only an operator can say why.
            return fault

    @property
    def result(self) -> Receipt | StoreFull | StoreUnavailable | None:
        """What became of it; None while it is on its way."""
        if not self.task.done():
            return None
        result = StoreUnavailable("blob store") if self.task.cancelled() else self.task.result()
        return Receipt(self.number, self._part.size, result) if isinstance(result, str) else result

    def seal(self) -> None:
        self._part.seal()
        self._release()

    def _release(self) -> None:
        if self.task.done() and self._part.is_sealed:
            self._part.close()

    async def stop(self) -> None:
        """Stop it; a part that is not sealed is the caller's again."""
        self.task.cancel()
        await asyncio.wait([self.task])


class Appending:
    """
    Args:
        begin_multipart: Gives an upload id and its mark; asked when the first part is about to go.
        staging: Prefix of the keys of this blob's tails.
        object_headers: Of the finished object, when it is stored in one piece.
        tail_headers: Of a tail.
        on_durable: Told of every part that follows on what it was told before.
        expected_bytes: How many will be added, where that is known: then parts are sent while they fill.
    """

    def __init__(
        self,
        bucket: Bucket,
        writer: BlobWriter,
        *,
        key: str,
        staging: str,
        plan: PartPlan,
        memory: Memory,
        spool: Path,
        begin_multipart: Callable[[], Awaitable[tuple[str, str]]],
        object_headers: Mapping[str, str],
        tail_headers: Mapping[str, str],
        on_durable: Callable[[BlobWriter], Awaitable[None]] | None = None,
        expected_bytes: int | None = None,
    ) -> None:
        self._bucket, self._writer, self._key, self._staging = bucket, writer, key, staging
        self._plan, self._memory, self._spool = plan, memory, spool
        self._begin_multipart, self._object_headers = begin_multipart, object_headers
        self._tail_headers, self._on_durable = tail_headers, on_durable
        self._expected = expected_bytes or 0  # that are still to come; 0 also where nobody knows
        self._reported = 0  # parts of this append
        self._progress = Progress.of(writer)
        self._upload_id, self._attempt = self._progress.upload_id, self._progress.attempt
        self._offset = self._progress.parts_size  # where the part that is being filled begins
        self._reached = writer.size_bytes
        self._number = self._progress.last_number
        self._part: Part | None = None
        self._part_size = 0
        self._early: Sending | None = None  # of the part that is being filled
        self._sendings: list[Sending] = []  # of those that are full

    # ---- filling

    async def add(self, chunk: bytes) -> None:
        """
        Take a chunk.

        Raises:
            StoreFull, StoreUnavailable: With what became durable of this append.
        """
        assert self._writer.length is None or self._reached + len(chunk) <= self._writer.length, "the caller counts"
        self._reached += len(chunk)
        while chunk:
            part = self._part or await self._begin_part()
            piece = chunk[: max(0, self._part_size - part.size)]
            try:
                await part.make_room(len(piece), expected=self._expected_size())
                part.add(piece)
            except OSError as error:
                raise await self._fault(fault_of(error)) from error
            chunk = chunk[len(piece) :]
            self._expected = max(0, self._expected - len(piece))
            if part.size >= self._part_size and not self._is_whole(part.size):
                await self._send_part(part)
        await self._report()

    async def _begin_part(self) -> Part:
        length = self._writer.length
        if self._sendings:
            self._number += 1
        else:
            self._number = self._plan.number_after(self._progress.last_number, length=length, offset=self._offset)
        self._part_size = self._plan.size_of(self._number, length=length, offset=self._offset)
        self._part = part = Part(self._memory, self._spool)
        if self._progress.tail and not self._sendings:
            await self._load(self._progress.tail, part)
        await self._begin_early(part)
        return part

    async def _begin_early(self, part: Part) -> None:
        """Send the part from its first byte on, where it is known how many it will have; else when it is full."""
        size, length = min(self._part_size, part.size + self._expected), self._writer.length
        may_end = size == self._part_size or self._offset + size == length
        may_end = may_end or self._plan.may_end_early(size, number=self._number, length=length, offset=self._offset)
        if self._expected and may_end and not self._is_whole(size) and self._bucket.takes_early:
            part.length = self._part_size = size
            self._early = await self._start(part)

    async def _load(self, tail: Tail, part: Part) -> None:
        try:
            async with contextlib.aclosing(self._bucket.read(tail.key)) as chunks:
                async for chunk in chunks:
                    part.add(chunk)
        except OSError as error:
            raise fault_of(error) from error
        if part.size != tail.size:
            raise StoreUnavailable("blob store")

    def _expected_size(self) -> int:
        length = self._writer.length
        return self._part_size if length is None else min(self._part_size, length - self._offset)

    def _is_whole(self, size: int) -> bool:
        """Tell whether a part of this size is all there will ever be, so that it needs no multipart upload."""
        return self._offset == 0 and not self._sendings and size == self._writer.length

    # ---- sending

    async def _send_part(self, part: Part) -> None:
        part.seal()
        sending = self._early or await self._start(part)
        self._early = self._part = None
        self._sendings.append(sending)
        self._offset += part.size
        sending.seal()
        await self._make_way()

    async def _start(self, part: Part) -> Sending:
        if self._upload_id is None:
            try:
                self._upload_id, self._attempt = await self._begin_multipart()
            except (StoreFull, StoreUnavailable) as fault:
                raise await self._fault(fault) from fault
        query = {"partNumber": str(self._number), "uploadId": self._upload_id}
        return Sending(self._number, part, lambda: self._bucket.put(self._key, part, query=query))

    async def _make_way(self) -> None:
        """Wait until another part may go up; parts that wait to be sent would fill the memory."""
        others_max = self._bucket.settings.sendings_max - 1
        while len(under_way := [sending.task for sending in self._sendings if not sending.task.done()]) > others_max:
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        for sending in self._sendings:
            if isinstance(result := sending.result, (StoreFull, StoreUnavailable)):
                raise await self._fault(result) from result

    async def _report(self) -> None:
        """Tell of the parts that became durable since the last time."""
        if self._on_durable is None or self._reported == len(self._sendings):
            return
        if not isinstance(self._sendings[self._reported].result, Receipt):
            return
        receipts: list[Receipt] = []
        for sending in self._sendings:
            if not isinstance(receipt := sending.result, Receipt):
                break
            receipts.append(receipt)
        self._reported = len(receipts)
        if reached := self._advanced(receipts, self._progress.garbage):
            await self._on_durable(reached)

    async def finish(self) -> BlobWriter:
        """
        Make everything durable that was added, and give the writer that says so.

        Raises:
            StoreFull, StoreUnavailable: With what became durable of this append.
        """
        kept_garbage, ending = await asyncio.gather(self._remove_garbage(), self._end(self._part))
        if isinstance(ending, Exception):
            raise await self._fault(ending) from ending
        receipts, fault = await self._settle()
        if fault is not None:
            raise _with(fault, self._advanced(receipts, self._progress.garbage)) from fault
        if isinstance(ending, str):
            return self._whole(ending, kept_garbage)
        return self._advanced(receipts, kept_garbage, tail=ending) or self._writer

    async def _end(self, part: Part | None) -> str | Tail | StoreFull | StoreUnavailable | None:
        """Send what is left: as the whole blob (its ETag), the last part (None), or a tail."""
        if part is None or part.size == 0:
            return None
        if self._early is not None:  # fewer bytes came than were announced to S3
            await self._early.stop()
            self._early = None
        length, is_end = self._writer.length, self._offset + part.size == self._writer.length
        try:
            if self._is_whole(part.size) and (etag := await self._put_whole(part)):
                return etag
            if (is_end and self._offset > 0) or self._plan.may_end_early(
                part.size, number=self._number, length=length, offset=self._offset
            ):
                await self._send_part(part)
                return None
            return await self._put_tail(part)
        except (StoreFull, StoreUnavailable) as fault:
            return fault
        finally:
            if self._part is part:  # else the sending closes it
                part.close()

    async def _put_tail(self, part: Part) -> Tail:
        part.seal()
        tail = Tail(f"{self._staging}{secrets.token_hex(8)}", part.size)
        await self._bucket.put(tail.key, part, headers=self._tail_headers)
        return tail

    async def _put_whole(self, part: Part) -> str | None:
        """Store the blob in one piece, give its ETag; None where the key is taken, which `complete` deals with."""
        part.seal()
        mark = secrets.token_hex(8)
        headers = {**self._object_headers, f"x-amz-meta-{MARK_NAME}": mark}
        if not self._bucket.settings.conditional_writes:
            return await self._bucket.put(self._key, part, headers=headers)
        with contextlib.suppress(_Conflict):
            return await self._put_if(part, headers, {"if-none-match": "*"})
        found = await self._bucket.call("head_object", Key=self._key)
        if found["Metadata"].get(MARK_NAME) == mark:
            return str(found["ETag"]).strip('"')  # stored at the first try, whose answer was lost
        # An earlier request of this upload may have stored it and died before the record was saved. While nothing
        # of the upload was recorded it may also be alive, and about to record what it stored: that must stay.
        if self._writer.size_bytes == 0 or found["Metadata"].get(ID_NAME) != self._progress.id:
            return None
        with contextlib.suppress(_Conflict):
            return await self._put_if(part, headers, {"if-match": found["ETag"]})
        return None

    async def _put_if(self, part: Part, headers: Mapping[str, str], condition: Mapping[str, str]) -> str:
        try:
            return await self._bucket.put(self._key, part, headers={**headers, **condition})
        except Refused as refusal:
            if refusal.is_conflict:
                raise _Conflict from refusal
            raise

    async def _remove_garbage(self) -> tuple[str, ...]:
        """Remove what the recorded writer does not need, and give what could not be removed."""
        kept = []
        for key in self._progress.garbage:
            try:
                await self._bucket.call("delete_object", Key=key)
            except (StoreFull, StoreUnavailable):
                kept.append(key)  # the next append tries again, at last the sweep
        return tuple(kept)

    # ---- what became of it

    async def _settle(self) -> tuple[list[Receipt], StoreFull | StoreUnavailable | None]:
        """Wait for all parts; give the ones up to the first that failed, and its fault."""
        receipts: list[Receipt] = []
        first_fault: StoreFull | StoreUnavailable | None = None
        for sending in self._sendings:
            if first_fault is not None:
                sending.task.cancel()
            await asyncio.wait([sending.task])
            result = sending.result
            if isinstance(result, Receipt) and first_fault is None:
                receipts.append(result)
            elif isinstance(result, (StoreFull, StoreUnavailable)):
                first_fault = first_fault or result
        return receipts, first_fault

    async def _fault(self, fault: StoreFull | StoreUnavailable) -> StoreFull | StoreUnavailable:
        """Give the fault with what became durable before it."""
        await self._give_up_part()
        receipts, earlier = await self._settle()
        return _with(earlier or fault, self._advanced(receipts, self._progress.garbage))

    async def _give_up_part(self) -> None:
        if self._early is not None:
            await self._early.stop()
            self._early = None
        if self._part is not None:
            self._part.close()
            self._part = None

    def _advanced(
        self, receipts: list[Receipt], garbage: tuple[str, ...], tail: Tail | None = None
    ) -> BlobWriter | None:
        """Give the writer with these parts and this tail; None when it is no further than the one we were given."""
        if not receipts and tail is None:
            return None
        # The first bytes of the first new part, or of the new tail, are those of the old one.
        old = (self._progress.tail.key,) if self._progress.tail else ()
        progress = replace(
            self._progress,
            upload_id=self._upload_id,
            attempt=self._attempt,
            receipts=(*self._progress.receipts, *receipts),
            tail=tail,
            garbage=(*garbage, *old),
        )
        return progress.advance(self._writer)

    def _whole(self, etag: str, garbage: tuple[str, ...]) -> BlobWriter:
        old = (self._progress.tail.key,) if self._progress.tail else ()
        return replace(self._progress, whole_etag=etag, tail=None, garbage=(*garbage, *old)).advance(self._writer)

    async def drop(self) -> None:
        """Stop everything; a part that goes on in S3 has a number that hardly anybody takes again."""
        for sending in self._sendings:
            sending.task.cancel()
        await self._give_up_part()
        if self._sendings:
            await asyncio.wait([sending.task for sending in self._sendings])


ID_NAME = "lighterage-blob"  # metadata of our objects; S3 gives it as x-amz-meta-lighterage-blob
MARK_NAME = "lighterage-mark"


class _Conflict(Exception):
    """The condition of a write does not hold."""


def _with(fault: StoreFull | StoreUnavailable, kept: BlobWriter | None) -> StoreFull | StoreUnavailable:
    return StoreFull(kept=kept) if isinstance(fault, StoreFull) else StoreUnavailable("blob store", kept=kept)
