"""The S3 Select dialect and its engine. Knows no file, tenant or HTTP."""

from query.engine.facade import (
    Cell,
    EngineLimits,
    LocalFile,
    QueryEngine,
    QueryResult,
    QuerySource,
    RangeReader,
    ResultColumn,
    Row,
    Statistics,
)
from query.errors import Position, QueryError
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
    "Cell",
    "Compression",
    "EngineLimits",
    "Header",
    "InputFormat",
    "JsonType",
    "Kind",
    "LocalFile",
    "OutputFormat",
    "OutputKind",
    "Position",
    "QueryEngine",
    "QueryError",
    "QueryResult",
    "QuerySource",
    "QuoteFields",
    "RangeReader",
    "ResultColumn",
    "Row",
    "ScanRange",
    "Statistics",
]
