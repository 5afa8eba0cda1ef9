"""Random expressions over random records: the engine against the small evaluator."""

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from query import InputFormat, OutputFormat, QueryError, QuoteFields
from tests.support import query_oracle as oracle
from tests.support.query_run import Bench

ALWAYS = OutputFormat(quote_fields=QuoteFields.ALWAYS)
SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
records = st.lists(st.lists(oracle.cells, min_size=1, max_size=oracle.FIELDS), min_size=1, max_size=4)


def as_csv(rows: list[list[str | None]]) -> tuple[bytes, list[list[str | None]]]:
    """The file, and its records as they are read: what is missing can only be at the end."""
    kept = [
        [cell or "" for cell in row] if None not in row else [cell or "" for cell in row[: row.index(None)]]
        for row in rows
    ]
    kept = [row for row in kept if row]
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in kept]
    return "".join(lines).encode(), [[*row, *[None] * (oracle.FIELDS - len(row))] for row in kept]


def check_expression(bench: Bench, expression: oracle.Expression, rows: list[list[str | None]]) -> None:
    data, read = as_csv(rows)
    expected: list[str | None] | str
    try:
        expected = [oracle.written(expression.run(row)) for row in read]
    except oracle.Fault as fault:
        expected = str(fault)
    except oracle.Unsure:
        return

    try:
        sql = f"SELECT COALESCE(CAST({expression.sql} AS STRING), 'NULL') FROM S3Object"
        found: list[str | None] | str = [
            row[0] for row in csv.reader(io.StringIO(bench.run(sql, data, InputFormat(), ALWAYS).decode(), newline=""))
        ]
    except QueryError as error:
        found = error.code

    if isinstance(expected, str):
        # Where two things are wrong, either may be found first; and the engine need not run what cannot change
        # the value. That a needed cast fails is held by the table of cases.
        assert isinstance(found, list) or found in ("CastFailed", "IllegalSqlFunctionArgument")
        return
    assert ["NULL" if value is None else value for value in expected] == found


@pytest.mark.slow
@SETTINGS
@given(expression=oracle.integers(3), rows=records)
def test_integers(bench: Bench, expression: oracle.Expression, rows: list[list[str | None]]) -> None:
    """Arithmetic, CASE, COALESCE and NULLIF over casts that may fail."""
    check_expression(bench, expression, rows)


@pytest.mark.slow
@SETTINGS
@given(expression=oracle.strings(3), rows=records)
def test_strings(bench: Bench, expression: oracle.Expression, rows: list[list[str | None]]) -> None:
    """The text functions."""
    check_expression(bench, expression, rows)


@pytest.mark.slow
@SETTINGS
@given(expression=oracle.conditions(3), rows=records)
def test_conditions(bench: Bench, expression: oracle.Expression, rows: list[list[str | None]]) -> None:
    """Three-valued logic from left to right, comparisons, LIKE and IN."""
    check_expression(bench, expression, rows)


@pytest.mark.slow
@SETTINGS
@given(expression=oracle.decimals(2), rows=records)
def test_decimals(bench: Bench, expression: oracle.Expression, rows: list[list[str | None]]) -> None:
    """Decimals keep their scale."""
    check_expression(bench, expression, rows)
