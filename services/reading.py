"""
How a file is to be read and a result to be written, as clients say it: what they leave out is told by the file.

Every face puts its own words into these values; the formats themselves are `query`'s.
"""

from dataclasses import dataclass
from enum import Enum

from domain.file import File
from query.formats import (
    Compression,
    Header,
    InputFormat,
    JsonType,
    Kind,
    OutputFormat,
    OutputKind,
    QuoteFields,
    ScanRange,
)

__all__ = [
    "Compression",
    "Format",
    "Header",
    "OutputFormat",
    "OutputKind",
    "QuoteFields",
    "Reading",
    "Select",
    "format_of",
    "format_told_by",
]

_KINDS = {
    "text/csv": "CSV",
    "application/x-ndjson": "JSON_LINES",
    "application/json": "JSON_DOCUMENT",
    "application/vnd.apache.parquet": "PARQUET",
}
_SUFFIXES = {
    "csv": "CSV",
    "tsv": "CSV",
    "jsonl": "JSON_LINES",
    "ndjson": "JSON_LINES",
    "json": "JSON_DOCUMENT",
    "parquet": "PARQUET",
}
_COMPRESSIONS = {
    "application/gzip": Compression.GZIP,
    "application/x-bzip2": Compression.BZIP2,
    "application/zstd": Compression.ZSTD,
}
_COMPRESSION_SUFFIXES = ("gz", "bz2", "zst")


class Format(Enum):
    CSV = "CSV"
    JSON_LINES = "JSON_LINES"
    JSON_DOCUMENT = "JSON_DOCUMENT"
    PARQUET = "PARQUET"


@dataclass(frozen=True, slots=True)
class Reading:
    """
    How the file is to be read. None: as its type and name tell.

    Attributes:
        start_byte, end_byte: The scan range; both ends belong to it. Only an end: the last so many bytes.
    """

    format: Format | None = None
    compression: Compression | None = None
    header: Header = Header.USE
    delimiter: str | None = None
    record_delimiter: str = "\n"
    quote: str = '"'
    escape: str = '"'
    comment: str = ""
    allow_quoted_record_delimiter: bool = True
    start_byte: int | None = None
    end_byte: int | None = None

    def of(self, *, name: str, content_type: str) -> InputFormat:
        """
        Say how a file of this name and type is read.

        Raises:
            QueryError: These do not go together.
        """
        found = self.format or format_told_by(name=name, content_type=content_type) or Format.CSV
        is_tabbed = _suffixes(name)[-1] == "tsv"
        scan_range = None
        if self.start_byte is not None or self.end_byte is not None:
            scan_range = ScanRange(self.start_byte, self.end_byte)
        return InputFormat(
            kind={Format.CSV: Kind.CSV, Format.PARQUET: Kind.PARQUET}.get(found, Kind.JSON),
            compression=self.compression or _COMPRESSIONS.get(content_type, Compression.NONE),
            header=self.header,
            delimiter=("\t" if is_tabbed else ",") if self.delimiter is None else self.delimiter,
            record_delimiter=self.record_delimiter,
            quote=self.quote,
            escape=self.escape,
            comment=self.comment,
            allow_quoted_record_delimiter=self.allow_quoted_record_delimiter,
            json_type=JsonType.DOCUMENT if found is Format.JSON_DOCUMENT else JsonType.LINES,
            scan_range=scan_range,
        )


@dataclass(frozen=True, slots=True)
class Select:
    """A statement, and how the file is to be read."""

    sql: str
    reading: Reading = Reading()


def format_of(file: File) -> Format | None:
    """Tell how a file can be queried, by its type and then its name; None: not at all."""
    return format_told_by(name=file.name, content_type=file.content_type)


def format_told_by(*, name: str, content_type: str) -> Format | None:
    """As `format_of`, for what is no file of ours yet."""
    *_, suffix = _suffixes(name)
    found = _KINDS.get(content_type) or _SUFFIXES.get(suffix)
    if found is None and content_type == "text/plain":
        return Format.CSV
    return Format(found) if found is not None else None


def _suffixes(name: str) -> list[str]:
    """Give the suffixes that say what is in a file, without the one that says how it is packed."""
    suffixes = name.lower().split(".")[1:]
    if suffixes and suffixes[-1] in _COMPRESSION_SUFFIXES:
        suffixes.pop()
    return suffixes or [""]
