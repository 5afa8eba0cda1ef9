"""
What a request says of its input and its output. Values only; the defaults are those of S3 Select unless noted.
"""

from dataclasses import dataclass
from enum import StrEnum

from query.errors import QueryError


class Kind(StrEnum):
    CSV = "CSV"
    JSON = "JSON"
    PARQUET = "PARQUET"


class Compression(StrEnum):
    """ZSTD is ours; S3 Select has the others."""

    NONE = "NONE"
    GZIP = "GZIP"
    BZIP2 = "BZIP2"
    ZSTD = "ZSTD"


class Header(StrEnum):
    """FileHeaderInfo: use the first record's names, skip it, or treat it as data."""

    USE = "USE"
    IGNORE = "IGNORE"
    NONE = "NONE"


class JsonType(StrEnum):
    DOCUMENT = "DOCUMENT"
    LINES = "LINES"


class QuoteFields(StrEnum):
    ALWAYS = "ALWAYS"
    ASNEEDED = "ASNEEDED"


@dataclass(frozen=True, slots=True)
class ScanRange:
    """
    The bytes in which a record must begin to be read; both ends belong to the range.

    Without `start` the range is the last `end` bytes; without `end` it goes to the end of the file.
    """

    start: int | None = None
    end: int | None = None

    def __post_init__(self) -> None:
        ends = [bound for bound in (self.start, self.end) if bound is not None]
        if not ends or min(ends) < 0 or (len(ends) == 2 and ends[0] > ends[1]):
            raise QueryError("InvalidScanRange")

    def bounds(self, size: int) -> tuple[int, int]:
        """The first byte and the one after the last, in a file of that size."""
        if self.start is None:
            assert self.end is not None
            return max(0, size - self.end), size
        return self.start, size if self.end is None else min(size, self.end + 1)


@dataclass(frozen=True, slots=True)
class InputFormat:
    """
    How the file is to be read.

    Attributes:
        comment: The character that begins a comment line. S3 Select's own default is `#`; here none, so that no record
            is lost unasked.
        allow_quoted_record_delimiter: S3 Select's own default is off; here on, because it only costs time.
    """

    kind: Kind = Kind.CSV
    compression: Compression = Compression.NONE
    header: Header = Header.NONE
    delimiter: str = ","
    record_delimiter: str = "\n"
    quote: str = '"'
    escape: str = '"'
    comment: str = ""
    allow_quoted_record_delimiter: bool = True
    json_type: JsonType = JsonType.LINES
    scan_range: ScanRange | None = None

    def __post_init__(self) -> None:
        if self.kind is Kind.PARQUET and self.compression is not Compression.NONE:
            raise QueryError("InvalidRequestParameter", "Parquet files are not compressed as a whole")
        if self.kind is Kind.CSV:
            self._check_csv()
        if self.scan_range is not None and not self._is_splittable:
            raise QueryError("UnsupportedScanRangeInput")

    @property
    def _is_splittable(self) -> bool:
        # User guide: scan ranges need CSV, JSON in LINES mode or Parquet, not compressed.
        if self.compression is not Compression.NONE:
            return False
        return self.kind is not Kind.JSON or self.json_type is JsonType.LINES

    def _check_csv(self) -> None:
        single = (self.delimiter, self.quote, self.escape)
        if any(len(text) != 1 for text in single) or len(self.comment) > 1 or not 1 <= len(self.record_delimiter) <= 2:
            raise QueryError("InvalidRequestParameter", "delimiters, quote, escape and comment are single characters")
        if not all(text.isascii() for text in (*single, self.comment, self.record_delimiter)):
            raise QueryError("InvalidRequestParameter", "delimiters, quote, escape and comment are ASCII")
        if (
            len({self.delimiter, self.quote, self.record_delimiter}) < 3
            or self.delimiter in "\r\n\0"
            or self.quote in "\r\n\0"
        ):
            raise QueryError("InvalidRequestParameter", "delimiters and quote must differ")


class OutputKind(StrEnum):
    CSV = "CSV"
    JSON = "JSON"
    ROWS = "ROWS"  # lists of values, for callers in this process


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """
    How records are written.

    Attributes:
        header: The names of the columns come first, as a record of CSV. S3 Select has no such thing.

    Made by whoever reads a request, checked by whoever runs it.
    """

    kind: OutputKind = OutputKind.CSV
    header: bool = False
    delimiter: str = ","
    record_delimiter: str = "\n"
    quote: str = '"'
    escape: str = '"'
    quote_fields: QuoteFields = QuoteFields.ASNEEDED

    def check(self) -> None:
        """
        Raises:
            QueryError: These do not go together.
        """
        if not self.record_delimiter or (
            self.kind is OutputKind.CSV and not (self.delimiter and self.quote and self.escape)
        ):
            raise QueryError("InvalidRequestParameter", "output delimiters and quote must not be empty")
        if self.header and self.kind is not OutputKind.CSV:
            raise QueryError("InvalidRequestParameter", "only CSV has a header")
