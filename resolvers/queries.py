"""SQL over one file: in one piece, or as a stream of frames."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated

import strawberry

from domain.errors import InvalidValue
from resolvers.context import Info
from resolvers.ids import parse_file_id
from schema.queries import SelectInput, SqlColumn, SqlEnd, SqlFrame, SqlProgress, SqlResult, SqlRows, SqlStats
from schema.scalars import BigInt
from services.queries import Column, End, Format, Progress, Rows, Select, Stats

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
        columns=columns(result.columns), rows=result.rows, truncated=result.truncated, stats=stats(result.stats)
    )


async def select_rows(info: Info, input: InputArgument) -> AsyncGenerator[SqlFrame, None]:
    file_id, query = parse_file_id(input.file_id), select_of(input)
    frames = info.context.services.queries.select_rows(info.context.principal, file_id, query)
    async with aclosing(frames):
        async for frame in frames:
            yield frame_of(frame)
