"""
A request and its bytes to a reader: which stream, which reader, and the first part, from which the columns are known.
"""

from dataclasses import dataclass

from query.engine.execution import Reader
from query.engine.request import Request
from query.errors import QueryError
from query.formats import Compression, Kind
from query.readers import PART_BYTES_FIRST, CsvReader, Part, Slot
from query.streams import ByteSource, InflatedStream, PlainStream, Stream


@dataclass(frozen=True, slots=True)
class Opened:
    """
    A source that is ready to be queried.

    Attributes:
        first: The first part, if the file has any.
        is_parallel: There is more than one part to come.
    """

    reader: Reader
    stream: PlainStream
    first: tuple[Slot, Part] | None
    is_parallel: bool


def open_input(request: Request, source: ByteSource, slot: Slot, whole: int) -> Opened:
    """
    Choose how to read the source and read its first part into the slot.

    Args:
        request: What is asked.
        source: The bytes.
        slot: Where the first part goes.
        whole: A file in memory that the engine may open, for formats that it must see whole.

    Raises:
        QueryError: The file is not what the request says.
    """
    if request.scan_bytes_max is not None and source.size > request.scan_bytes_max and request.input.scan_range is None:
        raise QueryError("OverMaxScanSize")
    plain = PlainStream(source)
    stream: Stream = plain
    if request.input.compression is not Compression.NONE:
        stream = InflatedStream(plain, request.input.compression)
    if request.input.kind is not Kind.CSV:
        raise QueryError("InvalidDataSource", "only CSV so far")
    reader = CsvReader(stream, request.input)
    part = reader.fill(slot)
    return Opened(
        reader, plain, None if part is None else (slot, part), part is not None and source.size > PART_BYTES_FIRST
    )
