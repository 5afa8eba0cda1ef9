"""Files and statements that mean harm: a clear error, and the next query runs."""

import gzip
import resource

import pytest

from query import Compression, Header, InputFormat, JsonType, Kind, OutputFormat, OutputKind, QueryError, QuoteFields
from tests.support.query_run import Bench

CSV = InputFormat()
JSON = InputFormat(kind=Kind.JSON)
DOCUMENT = InputFormat(kind=Kind.JSON, json_type=JsonType.DOCUMENT)
GZIP = InputFormat(compression=Compression.GZIP)
PARQUET = InputFormat(kind=Kind.PARQUET)
STAR = "SELECT * FROM S3Object"
MIB = 1 << 20


def check_fails(bench: Bench, code: str, sql: str, data: bytes, given: InputFormat) -> None:
    with pytest.raises(QueryError) as caught:
        bench.run(sql, data, given, OutputFormat())

    assert code == caught.value.code
    assert bench.run("SELECT COUNT(*) FROM S3Object", b"a\n", CSV, OutputFormat()) == b"1\n"


@pytest.mark.parametrize(
    ("code", "data", "given"),
    [
        ("CSVUnescapedQuote", b'a,"b\nc,d\n', CSV),
        ("CSVUnescapedQuote", b'a,"b"c\n', CSV),
        ("InvalidTextEncoding", b"a,\xff\n", CSV),
        ("OverMaxRecordSize", b"x" * (3 * MIB), CSV),
        ("OverMaxRecordSize", b'"' + b"x" * (3 * MIB) + b'"\n', CSV),
        ("OverMaxColumn", b"," * 20_000 + b"\n", CSV),
        ("CSVEscapingRecordDelimiter", b'a,"b\nc"\n', InputFormat(allow_quoted_record_delimiter=False)),
        ("InvalidCompressionFormat", b"plain text", GZIP),
        ("InvalidCompressionFormat", b"", GZIP),
        ("TruncatedInput", gzip.compress(b"a,b\n" * 10_000, mtime=0)[:-20], GZIP),
        ("TruncatedInput", gzip.compress(b"a,b\n" * 10_000, mtime=0)[:15], GZIP),
        ("JSONParsingError", b'{"a":1}\n{"a":\n', JSON),
        ("JSONParsingError", b'{"a":1}\n[}\n', JSON),
        ("JSONParsingError", b"nonsense", JSON),
        ("JSONParsingError", b'{"a":1', DOCUMENT),
        ("JSONParsingError", b'{"a":1},{"a":2}', DOCUMENT),
        ("JSONParsingError", b"]", DOCUMENT),
        ("InvalidTextEncoding", b'{"a":"\xff"}', JSON),
        ("JSONParsingError", b"[" * 200_000, DOCUMENT),
        ("ParquetParsingError", b"", PARQUET),
        ("ParquetParsingError", b"PAR1" + b"\0" * 100 + b"PAR1", PARQUET),
        ("ParquetParsingError", b"PAR1" + b"\xff" * 100 + b"\x64\0\0\0PAR1", PARQUET),
        ("ParquetParsingError", b"a,b\n", PARQUET),
    ],
)
def test_bad_file_is_a_clear_error(bench: Bench, code: str, data: bytes, given: InputFormat) -> None:
    """AWS's code where it has one, and the engine is as before."""
    check_fails(bench, code, STAR, data, given)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\0b,c\n", b"a\0b,c\n"),
        (b"", b""),
        (b"\n\n\n", b""),
        (b"a,b", b"a,b\n"),
        (b"\xef\xbb\xbfa,b\n", b"a,b\n"),
        (b"a,b\r\nc,d\r\n", b"a,b\nc,d\n"),
        (b"a,b\r\nc,d\n", b"a,b\nc,d\n"),
        (b"a,b\rc,d\n", b'a,"b\rc",d\n'),
        (b'a,"b\r\nc"\r\n', b'a,"b\r\nc"\n'),
        (b'5" pipe,x\n6" pipe,y\n', b'"5"" pipe",x\n"6"" pipe",y\n'),
        (b'"a""b","",c\n', b'"a""b",,c\n'),
    ],
)
def test_odd_csv_is_data(bench: Bench, data: bytes, expected: bytes) -> None:
    """NULs, missing line ends, byte order marks and mixed line ends are no errors."""
    assert expected == bench.run(STAR, data, CSV, OutputFormat())


@pytest.mark.slow
def test_inflated_bomb_stays_small(bench: Bench) -> None:
    """A gigabyte of zeros in a megabyte of gzip is one record that is too long."""
    bomb = gzip.compress(bytes(256 * MIB), 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    check_fails(bench, "OverMaxRecordSize", STAR, bomb, GZIP)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64_000


@pytest.mark.slow
def test_ten_thousand_terms_run(bench: Bench) -> None:
    """A long chain is wide, not deep."""
    terms = " OR ".join(f"_1 = 'v{number}'" for number in range(10_000))

    assert bench.run(f"SELECT _1 FROM S3Object WHERE {terms}", b"v9999\nw\n", CSV, OutputFormat()) == b"v9999\n"


@pytest.mark.parametrize(
    ("code", "expression"),
    [
        ("MaxOperatorsExceeded", "(" * 5000 + "1" + ")" * 5000),
        ("MaxOperatorsExceeded", "+".join(["1"] * 5000)),
        ("MaxOperatorsExceeded", "NOT " * 5000 + "TRUE"),
        ("MaxOperatorsExceeded", "- " * 5000 + "1"),
        ("MaxOperatorsExceeded", "UPPER(" * 5000 + "'a'" + ")" * 5000),
        ("ExpressionTooLong", "'" + "x" * (256 * 1024) + "'"),
    ],
)
def test_deep_expressions_are_refused(bench: Bench, code: str, expression: str) -> None:
    """Neither our parser nor the engine's runs out of stack."""
    check_fails(bench, code, f"SELECT {expression} FROM S3Object", b"a\n", CSV)


def test_deepest_allowed_expression_runs(bench: Bench) -> None:
    """What the parser lets through the engine takes."""
    sums = "+".join(["1"] * 140)
    nested = "(" * 50 + "1" + "+1)" * 50

    assert bench.run(f"SELECT {sums}, {nested} FROM S3Object", b"a\n", CSV, OutputFormat()) == b"140,51\n"


@pytest.mark.slow
def test_catastrophic_like_ends(bench: Bench) -> None:
    """Many wildcards over a long text of one letter."""
    data = b"a" * 100_000 + b"\n"
    pattern = "%" + "a%" * 40 + "b"

    assert bench.run(f"SELECT _1 FROM S3Object WHERE _1 LIKE '{pattern}'", data, CSV, OutputFormat()) == b""


def test_record_of_the_result_has_a_limit(bench: Bench) -> None:
    """A record may not grow past 1 MB by naming a field many times."""
    data = b"x" * 600_000 + b"\n"

    check_fails(bench, "OverMaxRecordSize", "SELECT _1, _1 FROM S3Object", data, CSV)


def test_quotes_and_names_of_the_user_stay_text(bench: Bench) -> None:
    """Literals and aliases with quotes, NULs and SQL in them come out as they went in."""
    sql = """SELECT 'x''); DROP TABLE t; --' AS "a""b'c", '\0' z FROM S3Object"""

    written = bench.run(sql, b"a\n", CSV, OutputFormat(kind=OutputKind.JSON))

    assert written == b'{"a\\"b\'c":"x\'); DROP TABLE t; --","z":"\\u0000"}\n'


@pytest.mark.parametrize("name", ["c0", "t", "j", "x'y", 'x"y', "", "v0", "SELECT", "a b", "ä", "_2"])
def test_header_names_never_reach_the_engine(bench: Bench, name: str) -> None:
    """A header may be called what the lowering calls its columns."""
    quoted = name.replace('"', '""')
    data = f'"{quoted}",other\n1,2\n'.encode()
    sql = f'SELECT "{quoted}" FROM S3Object'

    assert bench.run(sql, data, InputFormat(header=Header.USE), OutputFormat()) == b"1\n"


def test_always_quotes_everything(bench: Bench) -> None:
    """QuoteFields ALWAYS puts quotes around numbers and empty fields too."""
    output = OutputFormat(quote_fields=QuoteFields.ALWAYS, quote="'", escape="\\", delimiter=";", record_delimiter="|")

    assert bench.run("SELECT _1, _2, 1 FROM S3Object", b"it's,\n", CSV, output) == b"'it\\'s';'';'1'|"
