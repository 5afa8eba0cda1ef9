"""SQL over one file: in one piece, or as a stream of frames."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, cast

import strawberry

from domain.errors import InvalidValue, LighterageError, NotFound
from domain.file import Visibility, parse_name
from domain.upload import NewUpload
from resolvers.context import Info
from resolvers.ids import parse_file_id
from schema.enums import FileVisibility, SqlResultFormat
from schema.errors import refusal
from schema.files import File
from schema.queries import (
    SelectInput,
    SqlColumn,
    SqlEnd,
    SqlFrame,
    SqlProgress,
    SqlResult,
    SqlRows,
    SqlStats,
)
from schema.saving import SaveResultInput, SaveResultPayload
from schema.scalars import JSON, BigInt
from services.queries import Cell, Column, End, Progress, Rows, Stats
from services.reading import Format, Header, OutputFormat, OutputKind, Reading, Select

LIMIT_DEFAULT = 1000
LIMIT_MAX = 10_000  # rows held in memory at once; more than that is what selectRows streams

InputArgument = Annotated[SelectInput, strawberry.argument(description="The statement and its file.")]


async def select(
    info: Info,
    input: InputArgument,
    limit: Annotated[int, strawberry.argument(description="Rows at most, up to 10,000.")] = LIMIT_DEFAULT,
) -> SqlResult:
    if not 0 < limit <= LIMIT_MAX:
        raise InvalidValue(f"limit must be from 1 to {LIMIT_MAX}", path=("limit",), reason="out_of_range")
    file_id, query = parse_file_id(input.file_id), select_of(input)
    result = await info.context.services.queries.select(info.context.principal, file_id, query, limit=limit)
    return SqlResult(
        columns=columns(result.columns), rows=cells(result.rows), truncated=result.truncated, stats=stats(result.stats)
    )


async def select_rows(info: Info, input: InputArgument) -> AsyncGenerator[SqlFrame, None]:
    file_id, query = parse_file_id(input.file_id), select_of(input)
    frames = info.context.services.queries.select_rows(info.context.principal, file_id, query)
    async with aclosing(frames):
        async for frame in frames:
            yield frame_of(frame)


async def save_result(
    info: Info, input: Annotated[SaveResultInput, strawberry.argument(description="What to ask, and where it goes.")]
) -> SaveResultPayload | None:
    try:
        file_id, query = parse_file_id(input.select.file_id), select_of(input.select)
        new = NewUpload(
            name=parse_name(input.name), visibility=Visibility((input.visibility or FileVisibility.PRIVATE).value)
        )
        saved = await info.context.services.saving.save(info.context.principal, file_id, query, output_of(input), new)
    except NotFound as error:
        return SaveResultPayload(user_errors=refusal(error, path=("select", "fileId")))
    except LighterageError as error:
        return SaveResultPayload(user_errors=refusal(error))
    return SaveResultPayload(file=File.from_domain(saved.file), stats=stats(saved.stats))


def output_of(input: SaveResultInput) -> OutputFormat:
    """Put how a result is to be written into the words of the service."""
    if input.format is SqlResultFormat.JSON_LINES:
        return OutputFormat(OutputKind.JSON)
    return OutputFormat(header=input.csv_header is not False)


def select_of(input: SelectInput) -> Select:
    """
    Put what is asked into the words of the service.

    Raises:
        InvalidValue: The scan range is no range.
    """
    if min(input.start_byte or 0, input.end_byte or 0) < 0:
        raise InvalidValue("a scan range begins and ends at 0 or later", path=("start_byte",), reason="out_of_range")
    has_range = input.start_byte is not None or input.end_byte is not None
    reading = Reading(
        format=None if input.format is None else Format[input.format.name],
        header=Header.NONE if input.csv_header is False else Header.USE,
        delimiter=None if input.csv_delimiter == "," else input.csv_delimiter,
        start_byte=input.start_byte or 0 if has_range else None,
        end_byte=input.end_byte,
    )
    return Select(input.sql, reading)


def frame_of(frame: Rows | Progress | End) -> SqlFrame:
    if isinstance(frame, Rows):
        return SqlRows(columns=columns(frame.columns), rows=cells(frame.rows))
    if isinstance(frame, Progress):
        return SqlProgress(bytes_scanned=BigInt(frame.stats.bytes_scanned), bytes_total=BigInt(frame.bytes_total))
    return SqlEnd(stats=stats(frame.stats))


def cells(rows: list[list[Cell]]) -> list[list[JSON | None]]:
    # The scalar's name stands for any JSON value to Strawberry, and for a class of its own to mypy.
    return cast("list[list[JSON | None]]", rows)


def columns(found: Sequence[Column]) -> list[SqlColumn]:
    return [SqlColumn(name=column.name, type=column.type, nullable=column.nullable) for column in found]


def stats(found: Stats) -> SqlStats:
    return SqlStats(
        bytes_scanned=BigInt(found.bytes_scanned),
        bytes_returned=BigInt(found.bytes_returned),
        rows_returned=found.rows_returned,
        elapsed_ms=found.elapsed_ms,
    )
