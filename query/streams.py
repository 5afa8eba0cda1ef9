"""
Bytes one after the other: local file or ranges, decompressed, cut to the scan range. Knows nothing of records.
"""

import bz2
import os
import sys
import zlib
from collections.abc import Callable
from typing import Final, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from query.errors import QueryError
from query.formats import Compression

_READ_BYTES: Final = 1 << 20
_ZSTD_WINDOW_LOG_MAX: Final = 27  # 128 MiB, as zstd's own command reads unless told otherwise


class ByteSource(Protocol):
    """A file that can be read at any place; `size` is known."""

    size: int

    def read_into(self, offset: int, view: memoryview) -> int:
        """Fill the front of `view` from `offset`; 0 at the end of the file."""
        ...


class LocalSource:
    """An open file. The descriptor stays the caller's."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.size = os.fstat(fd).st_size

    def read_into(self, offset: int, view: memoryview) -> int:
        return os.preadv(self._fd, [view], offset)


class Stream(Protocol):
    """Bytes in order."""

    def read_into(self, view: memoryview) -> int: ...


class PlainStream:
    """The bytes of a source from one place to another."""

    def __init__(self, source: ByteSource, start: int = 0, end: int | None = None) -> None:
        self._source = source
        self.start = self._at = start
        self._end = source.size if end is None else min(end, source.size)
        self.scanned_bytes = 0

    def read_into(self, view: memoryview) -> int:
        wanted = min(len(view), self._end - self._at)
        if wanted <= 0:
            return 0
        count = self._source.read_into(self._at, view[:wanted])
        if count == 0:
            raise QueryError("TruncatedInput", "the file ended before its size")
        self._at += count
        self.scanned_bytes += count
        return count


def ranged(source: ByteSource, bounds: tuple[int, int], end_mark: bytes) -> PlainStream:
    """
    The records that begin in a range, whole.

    User guide, "Requests using scan ranges": a record that starts within the range but extends beyond it is processed.
    """
    start, end = bounds
    if start >= source.size:
        raise QueryError("InvalidScanRange")
    begin = 0 if start == 0 else _after(source, start - len(end_mark), end_mark)
    return PlainStream(
        source, min(begin, end), end if end >= source.size else _after(source, end - len(end_mark), end_mark)
    )


def _after(source: ByteSource, at: int, mark: bytes) -> int:
    """The place after the first mark from `at` on, or the end of the file."""
    buffer = bytearray(_READ_BYTES)
    at = max(at, 0)
    kept = b""
    while at < source.size:
        count = source.read_into(at, memoryview(buffer))
        data = kept + bytes(buffer[:count])
        found = data.find(mark)
        if found >= 0:
            return at - len(kept) + found + len(mark)
        kept = data[len(data) - len(mark) + 1 :]
        at += count
    return source.size


class InflatedStream:
    """
    GZIP, BZIP2 or ZSTD, several members one after the other.

    Holds no more than one block of each side, whatever the ratio of the compression.
    """

    def __init__(self, stream: PlainStream, compression: Compression) -> None:
        self._stream = stream
        self._make = _DECOMPRESSORS[compression]
        self._decompress = self._make()
        self._input = b""
        self._buffer = bytearray(_READ_BYTES)
        self._has_begun = False
        self._is_done = False

    def read_into(self, view: memoryview) -> int:
        while not self._is_done:
            produced = self._step(len(view))
            if produced:
                view[: len(produced)] = produced
                return len(produced)
        return 0

    def _step(self, most: int) -> bytes:
        try:
            produced, self._input, is_end = self._decompress(self._input, most)
        except (zlib.error, OSError, EOFError, ValueError) as error:
            raise QueryError("InvalidCompressionFormat" if not self._has_begun else "TruncatedInput") from error
        if produced:
            self._has_begun = True
            return produced
        if is_end:
            self._next_member()
        elif not self._refill():
            raise QueryError(
                "TruncatedInput" if self._has_begun or self._stream.scanned_bytes else "InvalidCompressionFormat"
            )
        return b""

    def _refill(self) -> bool:
        count = self._stream.read_into(memoryview(self._buffer))
        self._input += bytes(self._buffer[:count])
        return count > 0

    def _next_member(self) -> None:
        self._has_begun = True
        # gzip allows zero bytes as padding after the last member.
        self._input = self._input.lstrip(b"\0")
        while not self._input:
            if not self._refill():
                self._is_done = True
                return
            self._input = self._input.lstrip(b"\0")
        self._decompress = self._make()


Step = Callable[[bytes, int], tuple[bytes, bytes, bool]]


def _gzip() -> Step:
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def step(data: bytes, most: int) -> tuple[bytes, bytes, bool]:
        if inflater.eof:
            return b"", data, True
        produced = inflater.decompress(data, most)
        rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        return produced, rest, inflater.eof

    return step


def _bzip2() -> Step:
    inflater = bz2.BZ2Decompressor()

    def step(data: bytes, most: int) -> tuple[bytes, bytes, bool]:
        if inflater.eof:
            return b"", data, True
        produced = inflater.decompress(data, most)
        return produced, inflater.unused_data if inflater.eof else b"", inflater.eof

    return step


def _zstd() -> Step:
    inflater = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG_MAX})

    def step(data: bytes, most: int) -> tuple[bytes, bytes, bool]:
        if inflater.eof:
            return b"", data, True
        try:
            produced = inflater.decompress(data, most)
        except zstd.ZstdError as error:
            raise ValueError from error
        return produced, inflater.unused_data if inflater.eof else b"", inflater.eof

    return step


_DECOMPRESSORS: Final[dict[Compression, Callable[[], Step]]] = {
    Compression.GZIP: _gzip,
    Compression.BZIP2: _bzip2,
    Compression.ZSTD: _zstd,
}
