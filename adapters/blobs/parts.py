"""
How bytes are cut into the parts of an S3 multipart upload, and where a part waits until it was sent.

Source of the limits: Amazon S3 user guide, "Amazon S3 multipart upload limits".
"""

import asyncio
import contextlib
import hashlib
import os
import secrets
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from adapters.blobs import files
from domain.errors import LengthExceeded

MIB = 2**20
PART_SIZE_BYTES_MIN = 5 * MIB  # S3 refuses smaller parts, but for the last one
PART_SIZE_BYTES_MAX = 5 * 2**30
PART_SIZE_BYTES = 8 * MIB  # 16 were slower on loopback (uploads begin later) and hold twice the memory
PARTS_MAX = 10_000
PARTS_PLANNED = 9_800  # the others are for parts that end where a request did
PARTS_PER_STEP = 900  # while the length is unknown the size doubles after as many part numbers
NUMBERS_SKIPPED_MAX = 64
MEMORY_WAIT_SECONDS = 5.0  # for memory of parts that are being sent; a file costs 0.3 CPU seconds a GiB more
SMALL_PART_BYTES = 256 * 2**10  # up to here nobody can tell whether it will be a large one
SMALL_CHUNK_BYTES = 16 * 2**10  # smaller chunks are joined, so that a part is no list of single bytes
JOINED_BYTES = 64 * 2**10  # up to here
READ_BYTES = 256 * 2**10  # of one read of a part that waits in a file
FRESH_BYTES_MAX = 512 * 2**10  # of a part in a file that are also handed on as they came, to who follows closely


@dataclass(frozen=True, slots=True)
class PartPlan:
    """
    The sizes and numbers of parts.

    Attributes:
        size_bytes: Wanted size of a part, `PART_SIZE_BYTES_MIN` or more.
        equal: Whether all parts but the last must have one size (Cloudflare R2 wants that).
    """

    size_bytes: int = PART_SIZE_BYTES
    size_bytes_max: int = PART_SIZE_BYTES_MAX
    equal: bool = False

    def size_of(self, number: int, *, length: int | None, offset: int) -> int:
        """
        Choose the size of the part with this number.

        Args:
            length: Of the whole blob; None while nobody knows.
            offset: Where the part begins.

        Raises:
            LengthExceeded: Not even the largest parts would do.
        """
        if number > PARTS_MAX:
            raise LengthExceeded(f"the store takes no more than {PARTS_MAX} parts of a file")
        if length is None:
            steps = 0 if self.equal else (number - 1) // PARTS_PER_STEP
            return min(self.size_bytes << steps, self.size_bytes_max)
        size = max(self.size_bytes, _whole_mib(length, PARTS_PLANNED))
        if not self.equal:
            size = max(size, _whole_mib(length - offset, max(1, PARTS_PLANNED + 1 - number)))
        if size > self.size_bytes_max:
            raise LengthExceeded(f"a file of {length} bytes is larger than the store takes")
        return size

    def may_end_early(self, size: int, *, number: int, length: int | None, offset: int) -> bool:
        """
        Decide whether `size` bytes may be a part, since a request ends here; else they become a tail.

        Args:
            number: The part's.
            offset: Where the part begins.
        """
        if self.equal or size < PART_SIZE_BYTES_MIN:
            return False
        whole = self.size_of(number, length=length, offset=offset)
        if length is None:
            # Half a part at least: then the sizes, which grow with the numbers, still outrun what comes.
            return 2 * size >= whole and number <= PARTS_PLANNED
        return number + -(-(length - offset - size) // whole) <= PARTS_PLANNED

    def number_after(self, last: int, *, length: int | None, offset: int) -> int:
        """
        Choose the number of an append's first part, behind `last`.

        Some numbers are skipped by chance, where there are enough: a part that a dead request had sent, and that S3
        finishes late, would replace the one that a living request was told is stored, had they one number.
        """
        if length is None:
            return last + 1 + (secrets.randbelow(4) if last < PARTS_PLANNED // 2 else 0)
        parts = -(-(length - offset) // self.size_of(last + 1, length=length, offset=offset))
        spare = (PARTS_PLANNED - last - 2 * parts) // (parts + 1)
        return last + 1 + (secrets.randbelow(min(spare, NUMBERS_SKIPPED_MAX)) if spare > 1 else 0)


def _whole_mib(size: int, parts: int) -> int:
    return -(-size // (parts * MIB)) * MIB


class Memory:
    """The bytes that all parts of a process may hold in memory, together; what does not fit is spooled."""

    def __init__(self, bytes_max: int) -> None:
        self._free = bytes_max
        self._leaving = 0
        self._freed = asyncio.Event()

    async def wait_for(self, size: int) -> None:
        """Wait a moment for room, if parts on their way will give back as much; slow clients may not for hours."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MEMORY_WAIT_SECONDS):
                while self._free < size <= self._free + self._leaving:
                    self._freed.clear()
                    await self._freed.wait()

    @property
    def free_bytes(self) -> int:
        return self._free

    def take(self, size: int) -> bool:
        if size > self._free:
            return False
        self._free -= size
        return True

    def give_back(self, size: int) -> None:
        self._free += size
        self._freed.set()

    def announce(self, size: int) -> None:
        """Say that as many bytes will be given back soon; negative when they were."""
        self._leaving += size


class Part:
    """
    Bytes on their way to S3: in memory while there is room, else in a file without a name.

    It may be sent while it is still being filled. Whoever makes it closes it, when nobody reads it any more.

    Attributes:
        length: Bytes there will be when it is sealed, as far as is known; whoever sends it early announces as many.
        is_sealed: Nothing more comes; `size` is final.
        sealed_at: When that was said, by the event loop's clock.
    """

    def __init__(self, memory: Memory, folder: Path, *, length: int | None = None) -> None:
        self._memory, self._folder = memory, folder
        self._chunks: list[bytes] = []
        self._small = bytearray()
        self._held = self._leaving = 0
        self._waiter: asyncio.Future[None] | None = None
        self._is_followed = False
        self._fresh: deque[bytes] = deque()  # what was spooled last, up to `size`
        self._fresh_bytes = 0
        self._lagging: asyncio.Future[None] | None = None  # waited for by who fills
        self.length = length
        self.is_sealed = False
        self.sealed_at = 0.0
        self.file: BinaryIO | None = None
        self.size = 0

    # ---- filling

    async def make_room(self, size: int, *, expected: int) -> None:
        """
        Get ready for `size` more bytes, in memory or in a file.

        A part that grows is given all the room that it will need: many that fill at once would else take the memory
        in small pieces until none of them can be finished in it.

        Args:
            expected: What the part will have at its end, if nothing cuts it short.
        """
        wanted = self.size + size
        if wanted > SMALL_PART_BYTES:
            wanted = max(wanted, expected)
        if self.file is None and not self._reserve(wanted):
            await self._memory.wait_for(wanted - self._held)
            if not self._reserve(wanted):
                self._spool()
        if self._fresh_bytes + size > FRESH_BYTES_MAX:
            await self._followed()

    async def _followed(self) -> None:
        """Wait a moment for who follows: what it does not take by then it must read from the file."""
        self._lagging = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait([self._lagging], timeout=MEMORY_WAIT_SECONDS)
        finally:
            self._lagging = None

    def _let_on(self) -> None:
        if self._lagging is not None and not self._lagging.done():
            self._lagging.set_result(None)

    def _reserve(self, size: int) -> bool:
        if size > self._held:
            if not self._memory.take(size - self._held):
                return False
            self._held = size
        return True

    def add(self, chunk: bytes) -> None:
        """Take a chunk. Raises OSError when it has to be spooled and cannot."""
        if self.file is None and not self._reserve(self.size + len(chunk)):
            self._spool()
        if self.file is not None:
            files.write(self.file.fileno(), chunk, self.size)
            self._keep_fresh(chunk)
        else:
            self._keep(chunk)
        self.size += len(chunk)
        self._wake()

    def seal(self) -> None:
        """Say that it is full, and will be gone as soon as it was sent."""
        if self.is_sealed:
            return
        self._flush()
        self.is_sealed, self.length = True, self.size
        self.sealed_at = asyncio.get_running_loop().time()
        if self.file is None:
            self._memory.give_back(self._held - self.size)
            self._held = self._leaving = self.size
            self._memory.announce(self._leaving)
        self._wake()

    def _keep(self, chunk: bytes) -> None:
        if len(chunk) < SMALL_CHUNK_BYTES:
            self._small += chunk
            if len(self._small) >= JOINED_BYTES:
                self._flush()
            return
        self._flush()
        self._chunks.append(chunk)

    def _keep_fresh(self, chunk: bytes) -> None:
        if not self._is_followed:
            return
        if self._fresh_bytes + len(chunk) > FRESH_BYTES_MAX:  # too slow: let it read from the file until it is here
            self._forget_fresh()
        self._fresh.append(chunk)
        self._fresh_bytes += len(chunk)

    def _forget_fresh(self) -> None:
        self._fresh.clear()
        self._fresh_bytes = 0
        self._let_on()

    def _flush(self) -> None:
        if self._small:
            self._chunks.append(bytes(self._small))
            self._small.clear()

    def _spool(self) -> None:
        file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115  closed in close()
        try:
            position = 0
            for chunk in (*self._chunks, bytes(self._small)):
                position = files.write(file.fileno(), chunk, position)
        except OSError:
            file.close()
            raise
        self.file = file
        self._forget()

    def _forget(self) -> None:
        self._memory.announce(-self._leaving)
        self._memory.give_back(self._held)
        self._held = self._leaving = 0
        self._chunks.clear()
        self._small.clear()
        self._forget_fresh()

    def close(self) -> None:
        self._forget()
        if self.file is not None:
            self.file.close()

    # ---- reading

    async def follow(self) -> AsyncGenerator[bytes, None]:
        """Yield everything from the start, also what is still to come, until it is sealed; one reader at a time."""
        position = index = 0
        self._is_followed = True
        try:
            while True:
                chunk = b""
                if self.file is not None:
                    chunk = await self._spooled(self.file, position)
                elif index < len(self._chunks):
                    chunk = self._chunks[index]
                    index += 1
                if chunk:
                    yield chunk
                    position += len(chunk)
                elif self.is_sealed:
                    return
                else:
                    await self._changed()
        finally:
            self._is_followed = False
            self._forget_fresh()

    async def _spooled(self, file: BinaryIO, position: int) -> bytes:
        """Give what comes at `position`: as it was taken, if that is not long ago, else out of the file."""
        fresh_start = self.size - self._fresh_bytes
        if self._fresh and position == fresh_start:
            chunk = self._fresh.popleft()
            self._fresh_bytes -= len(chunk)
            self._let_on()
            return chunk
        if position == self.size:
            return b""
        end = fresh_start if position < fresh_start else self.size
        return await files.read(file.fileno(), min(READ_BYTES, end - position), position)

    async def sealed(self) -> None:
        """Wait until nothing more comes."""
        while not self.is_sealed:
            await self._changed()

    async def sha256(self) -> str:
        """Give the digest of a sealed part, as lower-case hex."""
        if self.file is not None:
            return await files.in_thread(_digest_and_close, os.dup(self.file.fileno()))
        if self.size <= SMALL_PART_BYTES:
            return _digest(self._chunks)
        return await files.in_thread(_digest, list(self._chunks))

    async def _changed(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _digest(chunks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _digest_and_close(fd: int) -> str:
    try:
        positions = range(0, os.fstat(fd).st_size, READ_BYTES)
        return _digest(os.pread(fd, READ_BYTES, position) for position in positions)
    finally:
        os.close(fd)
