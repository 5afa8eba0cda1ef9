"""The dialect in Trino's words: what is written, and that it gives the same."""

from pathlib import Path

import duckdb
import pytest

from query import Header, InputFormat, Kind, OutputFormat
from query.dialect.check import Query, Table, TableColumn, check
from query.dialect.nodes import Type
from query.dialect.parser import parse
from query.errors import QueryError
from query.records import row_text
from query.trino import create_table, is_readable, translate
from tests.support.query_cases import CASES, DATA, Case, cases
from tests.support.trino_server import create, open_engine

LINES_ONLY = InputFormat(header=Header.USE, allow_quoted_record_delimiter=False)
PEOPLE = ["name", "age", "city"]


def checked(sql: str, names: list[str]) -> Query:
    return check(parse(sql), Table(tuple(TableColumn(name, Type.FIELD) for name in names), is_open=True), sql=sql)


def golden() -> list[list[str]]:
    lines = (CASES / "trino.tsv").read_text().splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


@pytest.mark.parametrize(("sql", "expected"), golden())
def test_translation_is_as_written_down(sql: str, expected: str) -> None:
    """Whoever changes what a cluster is asked sees it in the table; `-` is what we run ourselves."""
    assert (translate(checked(sql, PEOPLE), "t", width=3) or "-") == expected


def test_table_is_made_over_the_prefix() -> None:
    """Every column is text, and nothing of a user stands outside of quotes."""
    given = InputFormat(header=Header.USE, delimiter="'", quote="`", escape="`", allow_quoted_record_delimiter=False)

    assert create_table("t", width=2, location="s3://b/anna's/1/", given=given) == (
        "CREATE TABLE t (c0 VARCHAR, c1 VARCHAR) WITH (format = 'CSV', external_location = 's3://b/anna''s/1/', "
        "csv_separator = '''', csv_quote = '`', csv_escape = '`', skip_header_line_count = 1)"
    )


@pytest.mark.parametrize(
    "given",
    [
        InputFormat(kind=Kind.JSON),
        InputFormat(header=Header.USE),
        InputFormat(allow_quoted_record_delimiter=False, comment="#"),
        InputFormat(allow_quoted_record_delimiter=False, record_delimiter="|"),
    ],
)
def test_what_a_table_reads_otherwise_is_read_here(given: InputFormat) -> None:
    """A line feed in quotes would cut a record of a table in two."""
    assert is_readable(LINES_ONLY)
    assert not is_readable(given)


def answered(case: Case, folder: Path, engines: dict[str, duckdb.DuckDBPyConnection]) -> str | None:
    """What the translation of a case gives; None where it has none. `engines` have the tables of the data."""
    data, given = DATA[case.name]
    first = data.decode().splitlines()[0].split(given.delimiter)
    names = first if given.header is Header.USE else []
    try:
        query = checked(case.sql, names)
    except QueryError:
        return None
    statement = translate(query, "t", width=12)
    if statement is None or " / " in statement or " % " in statement:
        return None  # what the engine of this test divides is no integer, and by zero no fault
    if case.name not in engines:
        (folder / "data.csv").write_bytes(data)
        engines[case.name] = open_engine()
        create(engines[case.name], create_table("t", width=12, location=str(folder), given=given))
    try:
        rows = engines[case.name].execute(statement).fetchall()
    except duckdb.ConversionException:
        return "!CastFailed"
    except duckdb.OutOfRangeException:
        return "!IntegerOverflow"
    return "".join(row_text(query.outputs, row, OutputFormat()) for row in rows).removesuffix("\n")


@pytest.mark.slow
def test_translated_cases_give_what_the_table_says(tmp_path: Path) -> None:
    """The whole table of cases over CSV of plain lines; what is translated at all is no small part of it."""
    plain = [case for case in cases() if case.name in ("record", "people", "people-none", "ragged", "texts")]
    engines: dict[str, duckdb.DuckDBPyConnection] = {}
    found = [(case, answered(case, tmp_path, engines)) for case in plain]
    for engine in engines.values():
        engine.close()
    wrong = [(case.sql, case.expected, text) for case, text in found if text not in (None, case.expected)]

    assert wrong == []
    assert sum(text is not None for _, text in found) > 250
