"""
The footer of a Parquet file: just enough of thrift's compact form to find column chunks and to write a footer that has
some of the row groups only. Values only; no file is opened here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from query.errors import QueryError

_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(13)
_DEPTH_MAX: Final = 24
_ITEMS_MAX: Final = 4_000_000  # of one list; a footer of 100 MB has fewer
_LONG_LIST: Final = 15  # a list from this length on is written another way
_TRUE_FALSE: Final = (_TRUE, _FALSE)

Value = int | bytes | list["Value"] | dict[int, "Value"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """The bytes of one column in one row group, and of its Bloom filter if it has one."""

    column: bytes
    start: int
    size: int
    bloom_start: int = 0
    bloom_size: int = 0


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group, and what the footer says of it."""

    chunks: tuple[Chunk, ...]
    start: int
    size_bytes: int
    rows: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Footer:
    """
    A footer, taken apart.

    Attributes:
        pieces: Its fields in their order: the number, and the whole field as it is written.
    """

    groups: tuple[RowGroup, ...]
    pieces: tuple[tuple[int, bytes], ...]

    def of(self, groups: Sequence[RowGroup]) -> bytes:
        """Write a footer that makes these row groups the whole file."""
        rows, count = sum(group.rows for group in groups), len(groups)
        parts: list[bytes] = []
        for number, text in self.pieces:
            if number == _NUM_ROWS:
                parts.append(text[:1] + _varint((rows << 1) ^ (rows >> 63)))
            elif number == _ROW_GROUPS:
                short = bytes([count << 4 | _STRUCT]) if count < _LONG_LIST else b""
                parts += [text[:1], short or bytes([0xF0 | _STRUCT]) + _varint(count), *(one.text for one in groups)]
            else:
                parts.append(text)
        return b"".join(parts) + b"\0"


class _Reader:
    """Reads thrift's compact protocol and remembers where fields lie."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        value = self.data[self.at]
        self.at += 1
        return value

    def varint(self) -> int:
        result = shift = 0
        while True:
            byte = self.byte()
            result |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return result
            shift += 7
            if shift > 70:
                raise ValueError("varint")

    def zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def header(self, last: int) -> tuple[int, int]:
        """Field number and kind; kind 0 at the end of the struct."""
        byte = self.byte()
        if byte == _STOP:
            return 0, _STOP
        delta = byte >> 4
        return (last + delta if delta else self.zigzag()), byte & 0x0F

    def list_header(self) -> tuple[int, int]:
        byte = self.byte()
        size = byte >> 4
        if size == 15:
            size = self.varint()
        if size > _ITEMS_MAX:
            raise ValueError("list")
        return size, byte & 0x0F

    def value(self, kind: int, depth: int = 0) -> Value:
        if depth > _DEPTH_MAX:
            raise ValueError("depth")
        if kind in _TRUE_FALSE:
            return int(kind == _TRUE)
        if kind == _BYTE:
            return self.byte()
        if kind in (_I16, _I32, _I64):
            return self.zigzag()
        if kind == _DOUBLE:
            self.at += 8
            return 0
        if kind == _BINARY:
            size = self.varint()
            self.at += size
            return self.data[self.at - size : self.at]
        if kind in (_LIST, _SET):
            count, inner = self.list_header()
            return [self.byte() if inner in _TRUE_FALSE else self.value(inner, depth + 1) for _ in range(count)]
        if kind == _STRUCT:
            return self.struct(depth + 1)
        raise ValueError(f"thrift type {kind}")

    def struct(self, depth: int) -> dict[int, Value]:
        fields: dict[int, Value] = {}
        number = 0
        while True:
            number, kind = self.header(number)
            if kind == _STOP:
                return fields
            fields[number] = self.value(kind, depth)


# FileMetaData, RowGroup, ColumnChunk and ColumnMetaData: the numbers of the fields that are used.
_NUM_ROWS, _ROW_GROUPS = 3, 4
_COLUMNS, _TOTAL_BYTES, _GROUP_ROWS = 1, 2, 3
_META: Final = 3
_PATH, _COMPRESSED, _DATA_PAGE, _DICTIONARY_PAGE, _BLOOM, _BLOOM_SIZE = 3, 7, 9, 11, 14, 15
_BLOOM_BYTES_MAX: Final = 1 << 20  # old writers do not say how long a filter is


def read_footer(footer: bytes) -> Footer:
    """
    Take a footer apart.

    Args:
        footer: The thrift bytes, without length and magic.

    Raises:
        QueryError: ParquetParsingError.
    """
    try:
        return _footer(footer)
    except (IndexError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise QueryError("ParquetParsingError") from error


def _footer(footer: bytes) -> Footer:
    reader = _Reader(footer)
    pieces: list[tuple[int, bytes]] = []
    groups: list[RowGroup] = []
    number = 0
    while True:
        begin = reader.at
        number, kind = reader.header(number)
        if kind == _STOP:
            break
        if number == _ROW_GROUPS:
            count, inner = reader.list_header()
            assert inner == _STRUCT
            for _ in range(count):
                start = reader.at
                fields = reader.struct(1)
                groups.append(_row_group(fields, footer[start : reader.at]))
        else:
            reader.value(kind)
        pieces.append((number, footer[begin : reader.at]))
    return Footer(tuple(groups), tuple(pieces))


def _row_group(fields: dict[int, Value], text: bytes) -> RowGroup:
    rows, columns, size = fields[_GROUP_ROWS], fields[_COLUMNS], fields.get(_TOTAL_BYTES, 0)
    assert isinstance(rows, int)
    assert isinstance(columns, list)
    assert isinstance(size, int)
    chunks = tuple(_chunk(column) for column in columns)
    return RowGroup(chunks, min((chunk.start for chunk in chunks), default=4), size, rows, text)


def _chunk(column: Value) -> Chunk:
    assert isinstance(column, dict)
    meta = column[_META]
    assert isinstance(meta, dict)
    path, size, start = meta[_PATH], meta[_COMPRESSED], meta[_DATA_PAGE]
    dictionary = meta.get(_DICTIONARY_PAGE)
    assert isinstance(path, list)
    assert isinstance(size, int)
    assert isinstance(start, int)
    if isinstance(dictionary, int) and 0 < dictionary < start:
        start = dictionary
    name = path[0]
    assert isinstance(name, bytes)
    assert min(size, start) >= 0
    bloom, bloom_size = meta.get(_BLOOM), meta.get(_BLOOM_SIZE, _BLOOM_BYTES_MAX)
    if not isinstance(bloom, int) or not isinstance(bloom_size, int):
        return Chunk(name, start, size)
    return Chunk(name, start, size, bloom, bloom_size)


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        if value < 0x80:
            out.append(value)
            return bytes(out)
        out.append((value & 0x7F) | 0x80)
        value >>= 7
