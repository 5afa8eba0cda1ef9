"""The table of cases: one line a case, each with its source."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from query import InputFormat, OutputFormat, QueryError
from tests.support.query_run import Bench

CASES = Path(__file__).parent / "cases"
RECORD = b"""abc,12,3.50,,2007-04-05T14:30Z,true,-7,"x'y""z"\n"""


def lines(name: str) -> Iterator[list[str]]:
    for line in (CASES / name).read_text(encoding="utf-8").split("\n"):
        if line and not line.startswith("#"):
            yield line.split("\t")


@pytest.mark.parametrize(("source", "expression", "expected"), list(lines("expressions.tsv")))
def test_expression(bench: Bench, source: str, expression: str, expected: str) -> None:
    """The expression gives what its source says, or fails with AWS's code."""
    assert source
    check_result(bench, f"SELECT {expression} FROM S3Object", RECORD, expected, InputFormat())


def check_result(bench: Bench, sql: str, data: bytes, expected: str, given: InputFormat) -> None:
    try:
        result = bench.run(sql, data, given, OutputFormat()).decode().removesuffix("\n")
    except QueryError as error:
        result = f"!{error.code}"

    assert expected == result
