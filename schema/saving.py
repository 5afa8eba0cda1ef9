"""Results of SQL that are kept as files."""

import strawberry

from schema.enums import FileVisibility, SqlResultFormat
from schema.errors import UserError
from schema.files import File
from schema.queries import SelectInput, SqlStats


@strawberry.input(description="A statement, and the file that its result becomes.")
class SaveResultInput:
    select: SelectInput = strawberry.field(description="The statement and its file.")
    name: str = strawberry.field(description="What the new file is called.")
    format: SqlResultFormat | None = strawberry.field(default=SqlResultFormat.CSV, description="How it is written.")
    csv_header: bool | None = strawberry.field(
        default=True, description="CSV begins with the names of the columns; * over JSON has none to write."
    )
    visibility: FileVisibility | None = strawberry.field(
        default=FileVisibility.PRIVATE, description="Who may read it besides its maker and admins."
    )


@strawberry.type(description="Outcome of `saveResult`.")
class SaveResultPayload:
    file: File | None = strawberry.field(default=None, description="The new file.")
    stats: SqlStats | None = strawberry.field(default=None, description="What the query took.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why there is none.")
