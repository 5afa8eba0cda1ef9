"""
A locked connection to the engine: made, told the macros, shut off from everything, and only then given a query.

Knows DuckDB; nothing else in the product does.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import duckdb
import nanoarrow

from query.errors import AWS_CODES, QueryError, position_of
from query.macros import statements

_RAISED = re.compile(r"S3:([A-Za-z]+):(\d+)")

# What the engine says, and what it means in the dialect. The first that fits is taken.
_MEANINGS: Final = (
    (
        r"Overflow in .*INT(64|32|16|128)|Overflow in .*BIGINT|out of range for the destination type INT",
        "IntegerOverflow",
    ),
    (r"Overflow|[Oo]ut of range|Could not cast value .* to DECIMAL|DECIMAL", "NumberFormatError"),
    (r"Maximum line size|max_line_size|exceeds maximum", "OverMaxRecordSize"),
    (r"unicode|not utf-8|UTF-?8", "InvalidTextEncoding"),
    (r"unterminated quote", "CSVUnescapedQuote"),
    (r"Malformed JSON|JSON", "JSONParsingError"),
    (r"CSV", "CSVParsingError"),
    (r"[Pp]arquet|Thrift|TProtocol|Snappy|ZSTD", "ParquetParsingError"),
    (r"Out of Memory|failed to allocate|could not allocate", "OverMaxMemory"),
    (r"depth", "MaxOperatorsExceeded"),
    (r"LIKE|escape", "LikeInvalidInputs"),
)


class Interrupted(Exception):
    """The run was stopped from outside."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the engine may take."""

    memory_bytes: int
    is_locked: bool = True


def connect(limits: Limits, paths: Sequence[str]) -> duckdb.DuckDBPyConnection:
    """
    Open a connection that can read the given files and nothing else.

    Args:
        limits: Bounds on memory; `is_locked` is False only in the test that proves the lock.
        paths: The only files that exist for the engine from now on.
    """
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": "1",  # each thread of the worker runs its own part
            "memory_limit": f"{limits.memory_bytes}B",
            "preserve_insertion_order": "true",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "allow_unsigned_extensions": "false",
            "python_enable_replacements": "false",
            "temp_directory": "",
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    for statement in statements():
        connection.execute(statement)
    if limits.is_locked:
        names = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
        connection.execute(f"SET allowed_paths = [{names}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    return connection


def stream(cursor: duckdb.DuckDBPyConnection, sql: str) -> Iterator[tuple[memoryview, Sequence[int]]]:
    """
    Run a query of one text column.

    Yields:
        The texts of a batch in one piece, and where each begins; the last entry is where the last one ends. Valid until
        the next step.
    """
    try:
        for batch in nanoarrow.c_array_stream(cursor.sql(sql)):
            column = batch.view().child(0)
            ends = memoryview(column.buffer(1))
            yield memoryview(column.buffer(2)).cast("B"), ends
    except (duckdb.Error, RuntimeError) as error:
        raise _stopped(error) from error


def few(cursor: duckdb.DuckDBPyConnection, sql: str) -> tuple[memoryview, Sequence[int]]:
    """As `stream`, in one piece, for results of few records: it plans the statement once, not twice."""
    texts = [row[0].encode() for row in rows(cursor, sql)]
    return memoryview(b"".join(texts)), [0, *accumulate(map(len, texts))]


def rows(cursor: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    """Run a query of few rows."""
    try:
        return cursor.execute(sql).fetchall()
    except (duckdb.Error, RuntimeError) as error:
        raise _stopped(error) from error


def row(cursor: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    """Run a query of one row."""
    found = rows(cursor, sql)
    assert len(found) == 1, "one row was asked for"
    return tuple(found[0])


def _stopped(error: Exception) -> Exception:
    text = str(error)
    if isinstance(error, duckdb.InterruptException) or "INTERRUPT" in text.upper()[:40]:
        return Interrupted()
    return EngineFault(text)


class EngineFault(Exception):
    """What the engine said, before it is known what it means."""

    @property
    def is_inexact(self) -> bool:
        return "S3:NumberFormatError" in str(self)

    def meaning(self, sql: str) -> QueryError:
        """The dialect's error; `sql` is the user's text, for the place."""
        text = str(self)
        raised = _RAISED.search(text)
        if raised is not None and raised[1] in AWS_CODES:
            return QueryError(raised[1], position=position_of(sql, int(raised[2])))
        for pattern, code in _MEANINGS:
            if re.search(pattern, text):
                return QueryError(code)
        return QueryError("InternalError")
