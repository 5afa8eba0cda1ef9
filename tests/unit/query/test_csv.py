"""Queries over CSV as text in, text out."""

import pytest

from query import Header, InputFormat, OutputFormat, OutputKind, QueryError
from tests.support.query_run import Bench

PLAIN = InputFormat()
NAMED = InputFormat(header=Header.USE)


def check_csv(bench: Bench, sql: str, data: bytes, expected: bytes, given: InputFormat = PLAIN) -> None:
    assert expected == bench.run(sql, data, given, OutputFormat())


@pytest.mark.parametrize("value", ["00501", "1.10", "NULL", "\\N", "2021-03-04", "true", "  x ", "1e5", "ä€😀"])
def test_field_comes_back_unchanged(bench: Bench, value: str) -> None:
    """A CSV field is text until a CAST."""
    check_csv(bench, "SELECT _1 FROM S3Object", f"{value},b\n".encode(), f"{value}\n".encode())


def test_ragged_records_are_data(bench: Bench) -> None:
    """Missing and surplus fields are data, also when a later record is the widest."""
    check_csv(bench, "SELECT * FROM S3Object", b"a,b\n1\n1,2,3,4,5\n", b"a,b\n1\n1,2,3,4,5\n")


def test_quoted_line_feed_belongs_to_its_field(bench: Bench) -> None:
    """A record ends at a delimiter outside of quotes."""
    check_csv(bench, "SELECT _2 FROM S3Object", b'1,"a\nb"\n2,c\n', b'"a\nb"\nc\n')


def test_absent_field_is_missing_and_an_empty_one_is_not(bench: Bench) -> None:
    """IS NULL is true for the field that is not there only."""
    check_csv(bench, "SELECT _1 FROM S3Object WHERE _2 IS NULL", b"1,\n2\n3,x\n", b"2\n")


def test_and_protects_a_cast(bench: Bench) -> None:
    """AND is evaluated from left to right."""
    data = b"n,12\nx,abc\nn,7\n"
    check_csv(bench, "SELECT _2 FROM S3Object WHERE _1 = 'n' AND CAST(_2 AS INT) > 10", data, b"12\n")


def test_limit_ends_before_a_later_bad_record(bench: Bench) -> None:
    """A limit that is reached ends the scan."""
    data = b"1\n2\nbad\n"
    check_csv(bench, "SELECT _1 FROM S3Object WHERE CAST(_1 AS INT) > 0 LIMIT 2", data, b"1\n2\n")


def test_bad_record_fails_the_query(bench: Bench) -> None:
    """A value that does not convert is an error with the place of its CAST."""
    with pytest.raises(QueryError) as caught:
        bench.run("SELECT CAST(_1 AS INT) FROM S3Object", b"1\nx\n", PLAIN, OutputFormat())

    assert caught.value.code == "CastFailed"


def test_json_output_leaves_missing_keys_out(bench: Bench) -> None:
    """MISSING has no key; an empty field has an empty one."""
    written = bench.run("SELECT a, b FROM S3Object", b"a,b\n1,\n2\n", NAMED, OutputFormat(kind=OutputKind.JSON))

    assert written == b'{"a":"1","b":""}\n{"a":"2"}\n'
