"""SQL over files: what is asked, and results as columns and rows or as frames of a stream."""

from typing import Annotated

import strawberry

from schema.enums import SqlFormat
from schema.scalars import JSON, BigInt


@strawberry.input(description="One SQL statement over one file.")
class SelectInput:
    file_id: strawberry.ID = strawberry.field(description="The file that the statement calls S3Object.")
    sql: str = strawberry.field(description="S3 Select dialect: SELECT … FROM S3Object[*] …")
    format: SqlFormat | None = strawberry.field(default=None, description="Default: as the file's type and name tell.")
    csv_header: bool | None = strawberry.field(
        default=True, description="The first record holds the names; else columns are _1, _2, …"
    )
    csv_delimiter: str | None = strawberry.field(default=",", description="What parts the fields of a record.")
    start_byte: BigInt | None = strawberry.field(
        default=None, description="Scan range, as in S3 Select: records that begin here or later."
    )
    end_byte: BigInt | None = strawberry.field(
        default=None, description="Scan range, as in S3 Select: the last byte at which a record may begin."
    )


@strawberry.type(description="A column of a file or of a result.")
class SqlColumn:
    name: str = strawberry.field(description="Its name; names may repeat in a result.")
    type: str = strawberry.field(description="Its type, in the words of the dialect.")
    nullable: bool = strawberry.field(description="Cells may be null.")


@strawberry.type(description="What SQL sees in a file.")
class SqlSchema:
    format: SqlFormat = strawberry.field(description="How the file is read.")
    columns: list[SqlColumn] = strawberry.field(description="Its columns, in the file's order.")


@strawberry.type(description="What a query took.")
class SqlStats:
    bytes_scanned: BigInt = strawberry.field(description="Bytes of the file that were read.")
    bytes_returned: BigInt = strawberry.field(description="Bytes of the rows that came out.")
    rows_returned: int = strawberry.field(description="Rows that came out.")
    elapsed_ms: int = strawberry.field(description="Milliseconds from start to end.")


@strawberry.type(description="The result of a query, in one piece.")
class SqlResult:
    columns: list[SqlColumn] = strawberry.field(description="The columns of `rows`.")
    rows: list[list[JSON | None]] = strawberry.field(description="Rows as lists: names may repeat, and bytes count.")
    truncated: bool = strawberry.field(description="More rows exist than `limit`.")
    stats: SqlStats = strawberry.field(description="What it took.")


@strawberry.type(description="A frame with rows.")
class SqlRows:
    columns: list[SqlColumn] = strawberry.field(description="The columns of `rows`.")
    rows: list[list[JSON | None]] = strawberry.field(description="The next rows of the result.")


@strawberry.type(description="A frame that says how far the scan has come.")
class SqlProgress:
    bytes_scanned: BigInt = strawberry.field(description="Bytes read so far.")
    bytes_total: BigInt = strawberry.field(description="Bytes there are to read.")


@strawberry.type(description="The last frame.")
class SqlEnd:
    stats: SqlStats = strawberry.field(description="What it took.")


SqlFrame = Annotated[
    SqlRows | SqlProgress | SqlEnd,
    strawberry.union(name="SqlFrame", description="A frame of a streamed result, as in S3 Select's event stream."),
]
