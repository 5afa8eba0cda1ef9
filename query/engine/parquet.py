"""
Parquet files in parts of some row groups.

Of each row group only the columns that the query names are brought into memory, at the places where the file has them;
a footer of its own makes them a file. So an object of a store is never fetched whole, and LIMIT ends the reading.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import duckdb

from query.dialect.check import Output, Table, TableColumn
from query.dialect.nodes import Column, Step, Type
from query.engine.connection import EngineFault, rows
from query.errors import QueryError
from query.formats import OutputFormat, ScanRange
from query.readers import PART_BYTES_MAX, Part, Slot
from query.streams import ByteSource
from query.thrift import Chunk, RowGroup, read_footer
from query.views import quoted

_MAGIC: Final = b"PAR1"
_FOOTER_BYTES_MAX: Final = 32 << 20
_GROUP_BYTES_MAX: Final = 256 << 20  # S3 Select's limit on the uncompressed size of a row group
_COPY_BYTES: Final = 1 << 20
# A statement takes milliseconds before it reads anything: as much as a small row group.
_TOGETHER_MAX: Final = 16
_PARTS_MIN: Final = 8


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a column of the file becomes a value of the dialect; `{}` is the column."""

    type: Type
    sql: str
    scale: int | None = None


_KINDS: Final = {
    **dict.fromkeys(
        ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"),
        _Kind(Type.INT, "CAST({} AS BIGINT)"),
    ),
    "UBIGINT": _Kind(Type.DECIMAL, "CAST({} AS DECIMAL(38,12))", 0),
    "FLOAT": _Kind(Type.FLOAT, "CAST(CAST({} AS VARCHAR) AS DOUBLE)"),
    "DOUBLE": _Kind(Type.FLOAT, "{}"),
    "BOOLEAN": _Kind(Type.BOOL, "{}"),
    "VARCHAR": _Kind(Type.STRING, "{}"),
    "UUID": _Kind(Type.STRING, "CAST({} AS VARCHAR)"),
    "TIME": _Kind(Type.STRING, "CAST({} AS VARCHAR)"),
    "DATE": _Kind(Type.TIMESTAMP, "strftime({}, '%Y-%m-%d') || 'T'"),
    "TIMESTAMP": _Kind(Type.TIMESTAMP, "s3_written_moment({})"),
    "TIMESTAMP_NS": _Kind(Type.TIMESTAMP, "s3_written_moment({})"),
    "TIMESTAMP_S": _Kind(Type.TIMESTAMP, "s3_written_moment({})"),
    "TIMESTAMP_MS": _Kind(Type.TIMESTAMP, "s3_written_moment({})"),
    "TIMESTAMP WITH TIME ZONE": _Kind(Type.TIMESTAMP, "s3_written_moment(CAST({} AS TIMESTAMP))"),
}


class ParquetReader:
    """Gives a few row groups after the others. `fill` is called by one thread at a time."""

    def __init__(
        self, source: ByteSource, cursor: duckdb.DuckDBPyConnection, scan_range: ScanRange | None, slot: Slot
    ) -> None:
        self._source = source
        self._cursor = cursor
        footer, self._tail = self._read_footer()
        self._footer = read_footer(footer)
        self._groups = [group for group in self._footer.groups if _is_within(group, scan_range, source.size)]
        # The first part is one group, so that its rows come at once; all threads get some of the others.
        self._together_max = max(1, min(_TOGETHER_MAX, len(self._groups) // _PARTS_MIN))
        self.scanned_bytes = len(self._tail)
        self.processed_bytes = len(self._tail)
        self.names, self.kinds = self._describe(slot)
        self._wanted: frozenset[bytes] = frozenset()
        self._next = 0

    def _read_footer(self) -> tuple[bytes, bytes]:
        size = self._source.size
        if size < 12 or self._bytes(0, 4) != _MAGIC:
            raise QueryError("ParquetParsingError")
        end = self._bytes(size - 8, 8)
        length = int.from_bytes(end[:4], "little")
        if end[4:] != _MAGIC or length > min(size - 12, _FOOTER_BYTES_MAX):
            raise QueryError("ParquetParsingError")
        footer = self._bytes(size - 8 - length, length)
        return footer, footer + end

    def _bytes(self, start: int, size: int) -> bytes:
        buffer = bytearray(size)
        view = memoryview(buffer)
        at = 0
        while at < size:
            count = self._source.read_into(start + at, view[at:])
            if count == 0:
                raise QueryError("ParquetParsingError")
            at += count
        return bytes(buffer)

    def _describe(self, slot: Slot) -> tuple[tuple[str, ...], tuple[_Kind | None, ...]]:
        self._lay(slot, (), self._tail)
        try:
            found = rows(self._cursor, f"DESCRIBE SELECT * FROM {_table(slot)}")  # noqa: S608  # a path of ours
        except EngineFault as fault:
            raise QueryError("ParquetParsingError") from fault
        return tuple(str(row[0]) for row in found), tuple(_kind(str(row[1])) for row in found)

    def _lay(self, slot: Slot, chunks: Sequence[tuple[int, int]], tail: bytes) -> None:
        """Put pieces of the file at their places into the slot; the rest of it is a hole."""
        os.ftruncate(slot.fd, 0)
        os.pwrite(slot.fd, _MAGIC, 0)
        place = max([self._source.size - len(self._tail), *(start + size for start, size in chunks)])
        for start, size in chunks:
            if size < 0 or start + size > self._source.size:
                raise QueryError("ParquetParsingError")
            for at in range(start, start + size, _COPY_BYTES):
                os.pwrite(slot.fd, self._bytes(at, min(_COPY_BYTES, start + size - at)), at)
            self.scanned_bytes += size
            self.processed_bytes += size
        os.pwrite(slot.fd, tail, place)

    def shape(self) -> Table:
        columns = [
            TableColumn(name, Type.UNKNOWN if kind is None else kind.type, None if kind is None else kind.scale)
            for name, kind in zip(self.names, self.kinds, strict=True)
        ]
        return Table(tuple(columns), is_open=False)

    def want(self, columns: frozenset[int]) -> None:
        """Say which columns the query names."""
        for index in columns:
            if self.kinds[index] is None:
                raise QueryError(
                    "UnsupportedParquetType", f"column {self.names[index]} has a type that is not supported"
                )
        self._wanted = frozenset(self.names[index].encode() for index in columns)

    def fill(self, slot: Slot) -> Part | None:
        """Put the next row groups into the slot; None after the last."""
        groups = self._take()
        if not groups:
            return None
        wanted = [chunk for group in groups for chunk in self._chunks(group)]
        chunks = [(chunk.start, chunk.size) for chunk in wanted]
        # The engine asks a Bloom filter before it reads the column.
        end = self._source.size - len(self._tail)
        chunks += [(one.bloom_start, min(one.bloom_size, end - one.bloom_start)) for one in wanted if one.bloom_start]
        before = self.processed_bytes
        footer = self._footer.of(groups)
        self._lay(slot, chunks, footer + len(footer).to_bytes(4, "little") + _MAGIC)
        slot.size = 0
        return Part(self.processed_bytes - before, width=sum(group.rows for group in groups))

    def _take(self) -> list[RowGroup]:
        """The groups of the next part."""
        together = self._together_max if self._next else 1
        taken: list[RowGroup] = []
        size = 0
        while self._next < len(self._groups) and len(taken) < together:
            group = self._groups[self._next]
            if group.size_bytes > _GROUP_BYTES_MAX:
                if taken:
                    break
                raise QueryError("OverMaxParquetBlockSize")
            size += sum(chunk.size for chunk in self._chunks(group))
            if taken and size > PART_BYTES_MAX:
                break
            taken.append(group)
            self._next += 1
        return taken

    def _chunks(self, group: RowGroup) -> list[Chunk]:
        return [chunk for chunk in group.chunks if chunk.column in self._wanted]

    def view(self, slot: Slot, part: Part) -> "ParquetView":
        return ParquetView(self, slot, part)

    def columns(self) -> tuple[Output, ...]:
        return tuple(
            Output(
                name,
                Column(
                    0, index, name, Type.UNKNOWN if kind is None else kind.type, None if kind is None else kind.scale
                ),
            )
            for index, (name, kind) in enumerate(zip(self.names, self.kinds, strict=True))
        )


class ParquetView:
    """Some row groups as columns with types."""

    def __init__(self, reader: ParquetReader, slot: Slot, part: Part) -> None:
        self._reader = reader
        self._slot = slot
        self._rows = part.width

    def column(self, node: Column) -> str:
        kind = self._reader.kinds[node.index]
        assert kind is not None, "a column without a kind is refused before"
        return kind.sql.format(f"c{node.index}")

    def member(self, steps: Sequence[Step]) -> str:
        raise AssertionError(steps)

    def member_text(self, steps: Sequence[Step]) -> str:
        raise AssertionError(steps)

    def json_text(self, value: str) -> str:
        return f"s3_json_text({value})"

    def source_sql(self) -> str:
        names = ", ".join(f"c{index}" for index in range(len(self._reader.names)))
        return f"{_table(self._slot)} AS t({names})"

    def star(self) -> tuple[Output, ...]:
        return self._reader.columns()

    def is_clean(self, output: OutputFormat) -> bool:
        return False

    @property
    def is_ragged(self) -> bool:
        return False

    def is_helped(self, fault: str) -> bool:
        return False

    @property
    def records_max(self) -> int:
        return self._rows


def _table(slot: Slot) -> str:
    return f"read_parquet({quoted(slot.path)}, binary_as_string = true)"


def _kind(name: str) -> _Kind | None:
    if name.startswith("DECIMAL("):
        scale = int(name.rstrip(")").split(",")[1])
        return _Kind(Type.DECIMAL, "{}", scale)
    if name.endswith("]") or name.startswith(("STRUCT(", "MAP(")):
        return _Kind(Type.JSON, "to_json({})")
    return _KINDS.get(name)


def _is_within(group: RowGroup, scan_range: ScanRange | None, size: int) -> bool:
    # User guide: "all of the row groups that start within the scan range requested are processed".
    if scan_range is None:
        return True
    start, end = scan_range.bounds(size)
    return start <= group.start < end
