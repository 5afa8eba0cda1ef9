"""
A request and its bytes to a checked query and a reader: which stream, which reader, and the first part, from which the
columns are known.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import duckdb

from query.dialect.check import Documents, Output, Query, check
from query.dialect.nodes import Column, Is, Member, Name, walk
from query.dialect.parser import parse
from query.engine.execution import Reader
from query.engine.parquet import ParquetReader
from query.engine.request import Request
from query.errors import QueryError
from query.formats import Compression, Kind, OutputKind
from query.jsonreader import JsonReader, Wanted, described
from query.readers import PART_BYTES_FIRST, CsvReader, Part, Slot
from query.streams import ByteSource, InflatedStream, PlainStream, Stream, ranged


class Scanned(Protocol):
    """What knows how much was read."""

    @property
    def scanned_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Opened:
    """
    A source that is ready to be queried.

    Attributes:
        first: The first part, if the file has any.
        is_parallel: There is more than one part to come.
        columns: What the result has, as far as it is known beforehand.
    """

    query: Query
    reader: Reader
    stream: Scanned
    first: tuple[Slot, Part] | None
    is_parallel: bool
    columns: tuple[Output, ...]


def open_input(request: Request, source: ByteSource, slot: Slot, cursor: duckdb.DuckDBPyConnection) -> Opened:
    """
    Choose how to read the source and read its first part into the slot.

    Args:
        request: What is asked.
        source: The bytes.
        slot: Where the first part goes.
        cursor: The engine, for files that describe themselves.

    Raises:
        QueryError: The file is not what the request says.
    """
    if request.scan_bytes_max is not None and source.size > request.scan_bytes_max and request.input.scan_range is None:
        raise QueryError("OverMaxScanSize")
    if request.input.kind is Kind.PARQUET:
        return _open_parquet(request, source, slot, cursor)
    plain = _plain(request, source)
    stream: Stream = plain
    if request.input.compression is not Compression.NONE:
        stream = InflatedStream(plain, request.input.compression)
    select = parse(request.sql)
    if request.input.kind is Kind.JSON:
        query = check(select, Documents(), sql=request.sql)
        documents = JsonReader(stream, request.input, _wanted(query, request))
        part = documents.fill(slot)
        columns = query.outputs or (described(slot) if request.is_describe else WHOLE)
        return Opened(query, documents, plain, _first(slot, part), _is_long(source), columns)
    reader = CsvReader(stream, request.input)
    if plain.start:
        reader.read_header(PlainStream(source))
    part = reader.fill(slot)
    query = check(select, reader.shape(), sql=request.sql)
    columns = query.outputs or reader.columns(reader.width)
    # A column past the first record may be in a later one: the engine must look.
    reader.width = max([reader.width, *(index + 1 for index in _used(query, query.outputs))])
    return Opened(query, reader, plain, _first(slot, part), _is_long(source), columns)


def _used(query: Query, outputs: tuple[Output, ...]) -> frozenset[int]:
    """The columns that the query names."""
    roots: list[object] = [output.expr for output in outputs]
    if query.where is not None:
        roots.append(query.where)
    return frozenset(node.index for root in roots for node in walk(root) if isinstance(node, Column))


def _plain(request: Request, source: ByteSource) -> PlainStream:
    scan_range = request.input.scan_range
    if scan_range is None:
        return PlainStream(source)
    mark = request.input.record_delimiter.encode() if request.input.kind is Kind.CSV else b"\n"
    return ranged(source, scan_range.bounds(source.size), mark.removeprefix(b"\r"))


def _open_parquet(request: Request, source: ByteSource, slot: Slot, cursor: duckdb.DuckDBPyConnection) -> Opened:
    reader = ParquetReader(source, cursor, request.input.scan_range, slot)
    query = check(parse(request.sql), reader.shape(), sql=request.sql)
    outputs = query.outputs or reader.columns()
    reader.want(_used(query, outputs))
    return Opened(query, reader, reader, None, is_parallel=True, columns=outputs)


# What a JSON file without a known shape is described as.
WHOLE: Final = (Output("_1", Member(0, None, ())),)


def _first(slot: Slot, part: Part | None) -> tuple[Slot, Part] | None:
    return None if part is None else (slot, part)


def _is_long(source: ByteSource) -> bool:
    return source.size > PART_BYTES_FIRST


def _wanted(query: Query, request: Request) -> Wanted:
    roots: list[object] = [output.expr for output in query.outputs]
    if query.where is not None:
        roots.append(query.where)
    nodes = [node for root in roots for node in walk(root)]
    needs_row = not query.outputs or any(isinstance(node, Member) and not _begins_with_name(node) for node in nodes)
    asks_missing = any(isinstance(node, Is) and node.is_missing for node in nodes)
    writes_member = any(isinstance(output.expr, Member) for output in query.outputs)
    tells_null = asks_missing or (writes_member and request.output.kind is OutputKind.JSON)
    names = frozenset(
        step
        for node in nodes
        if isinstance(node, Member) and node.base is None
        for step in node.steps
        if isinstance(step, Name)
    )
    return Wanted(query.unnest, names, needs_row, tells_null)


def _begins_with_name(node: Member) -> bool:
    return node.base is not None or (bool(node.steps) and isinstance(node.steps[0], Name))
