"""
What the expressions of a query see of a part: columns or JSON values, and the SQL that reads it.

A view is one attempt to read one part. When the engine answers that the attempt was too narrow (more fields than
columns, keys in another spelling), the view changes and the part is run again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from query.dialect.check import Output
from query.dialect.nodes import Column, Index, Name, Step, Wildcard
from query.formats import OutputFormat


class View(Protocol):
    """One attempt at one part."""

    def column(self, node: Column) -> str:
        """SQL of a column of a table."""
        ...

    def member(self, steps: Sequence[Step]) -> str:
        """SQL of a place in a JSON record; the whole record without steps."""
        ...

    def member_text(self, steps: Sequence[Step]) -> str:
        """SQL of the text of a place in a JSON record, cheap enough to be repeated."""
        ...

    def json_text(self, value: str) -> str:
        """SQL of the text of a JSON value of this part."""
        ...

    def source_sql(self) -> str:
        """What stands in FROM; asked after the expressions, so that it can read what they need only."""
        ...

    def star(self) -> tuple[Output, ...] | None:
        """What `*` stands for; None for the whole JSON record."""
        ...

    def is_clean(self, output: OutputFormat) -> bool:
        """Whether no text column of the part can need quotes."""
        ...

    @property
    def is_ragged(self) -> bool:
        """Whether `*` gives each record as many fields as it has."""
        ...

    def is_helped(self, fault: str) -> bool:
        """Change the view after the engine's fault; False when nothing helps."""
        ...

    @property
    def records_max(self) -> int:
        """No fewer than the records of the part."""
        ...


def quoted(text: str) -> str:
    """A text literal of the engine."""
    # The engine's own scanner ends at a NUL, so that one is put together.
    if "\0" in text:
        return "(" + " || chr(0) || ".join(quoted(part) for part in text.split("\0")) + ")"
    return "'" + text.replace("'", "''") + "'"


def pointer(name: str) -> str:
    """One step of the engine's JSON pointer."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def step_sql(value: str, step: Step) -> str:
    """SQL of one step into a JSON value, whatever the spelling of the key."""
    if isinstance(step, Index):
        return f"json_extract({value}, '$[{step.value}]')"
    assert isinstance(step, Name), step
    if step.is_exact:
        return f"json_extract({value}, {quoted(pointer(step.text))})"
    return f"s3_member({value}, {quoted(step.text.lower())}, {step.pos})"


def unnest_sql(source: str, steps: Sequence[Step]) -> str:
    """SQL of the records that the path of FROM gives, one column `j`; a wildcard gives at least one record."""
    for step in steps:
        match step:
            case Wildcard():
                value = f"unnest(s3_{'items' if step.is_array else 'values'}(j))"
            case _:
                value = step_sql("j", step)
        source = f"(SELECT {value} AS j FROM {source})"  # noqa: S608  # no text of the user but literals
    return source


@dataclass(slots=True)
class Nothing:
    """The view of a query that reads no part: only literals are left of it."""

    outputs: tuple[Output, ...] = field(default=())

    def column(self, node: Column) -> str:
        raise AssertionError(node)

    def member(self, steps: Sequence[Step]) -> str:
        raise AssertionError(steps)

    def member_text(self, steps: Sequence[Step]) -> str:
        raise AssertionError(steps)

    def json_text(self, value: str) -> str:
        return f"s3_json_text({value})"

    def source_sql(self) -> str:
        raise AssertionError

    def star(self) -> tuple[Output, ...] | None:
        return self.outputs

    def is_clean(self, output: OutputFormat) -> bool:
        return False

    @property
    def is_ragged(self) -> bool:
        return False

    def is_helped(self, fault: str) -> bool:
        return False

    @property
    def records_max(self) -> int:
        return 0


TOO_WIDE: Final = "Expected Number of Columns"
ABSENT: Final = "S3:Absent:0"  # raised by a view that must look again, never seen outside
MISSING_TEXT: Final = "CAST(NULL AS VARCHAR)"
