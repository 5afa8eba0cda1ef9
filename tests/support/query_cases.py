"""The table of cases (tests/unit/query/cases): each with its source, its data and how these are read."""

import bz2
import gzip
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from query import Compression, Header, InputFormat, JsonType, Kind, ScanRange

CASES = Path(__file__).parents[1] / "unit" / "query" / "cases"
RECORD = b"""abc,12,3.50,,2007-04-05T14:30Z,true,-7,"x'y""z"\n"""


USE = InputFormat(header=Header.USE)
LINES = InputFormat(kind=Kind.JSON)
DOCUMENT = InputFormat(kind=Kind.JSON, json_type=JsonType.DOCUMENT)
PEOPLE = b"name,age,city\nAnna,31,Oslo\nBo,5,Bergen\nCleo,62,Oslo\n"
RULES = b"""{"Rules": [{"id": "1"}, {"expr": "y > x"}, {"id": "2", "expr": "z = DEBUG"}]}
{"created": "June 27", "modified": "July 6"}
"""
RANGES = b"A,B\nC,D\nD,E\nE,F\nG,H\nI,J\n"
SUSAN = b"""{"name": "Susan Smith",
 "org": "engineering",
 "projects": [{"project_name": "project1", "completed": false},
              {"project_name": "project2", "completed": true}]}"""
DIRS = b"""{"dir_name": "important_docs", "files": [{"name": "."}, {"name": ".."}], "owner": "AWS S3"}
{"dir_name": "other_docs", "files": [{"name": "my stuff"}], "owner": "User"}
"""
DATA: dict[str, tuple[bytes, InputFormat]] = {
    "record": (RECORD, InputFormat()),
    "people": (PEOPLE, USE),
    "people-none": (PEOPLE, InputFormat()),
    "people-ignore": (PEOPLE, InputFormat(header=Header.IGNORE)),
    "twins": (b"name,NAME\na,b\n", USE),
    "reserved": (b"CAST,date\n1,2\n", USE),
    "ragged": (b"a,1\nb\nc,2,x,y\nd,,z\n", InputFormat()),
    "stamps": (b"2024-01-01T00:00Z\n2024-01-01T01:00+02:00\n", InputFormat()),
    "decimals": (b"1.25\n2.5\n0.10\n0.000\n", InputFormat()),
    "large": (b"9223372036854775807\n9223372036854775807\n", InputFormat()),
    "texts": (b"00501,1.10,NULL,\\\\N\n2021-03-04,true,1e5,0x1F\n".replace(b"\\\\", b"\\"), InputFormat()),
    "quotes": (b'"a,b","say ""hi""","two\nlines"\nplain,"",x\n', InputFormat()),
    "tabs": (b"a,b\tc\nd\te\n", InputFormat(delimiter="\t")),
    "pipes": (b"a,b|c,d|", InputFormat(record_delimiter="|")),
    "semicolons": (b"a,b\nb;c,d;", InputFormat(record_delimiter=";")),
    "two": (b"a,b@@c,d@@", InputFormat(record_delimiter="@@")),
    "single": (b"'a,b','it''s'\n\",x\n", InputFormat(quote="'", escape="'")),
    "backslash": (b'"say \\"hi\\"",x\ny,z\n', InputFormat(escape="\\")),
    "comments": (b"# one\na,b\n# two\nc,#d\n#\n", InputFormat(comment="#")),
    "comments-named": (b'# one\na,b\n# "two\nc,d\n', InputFormat(comment="#", header=Header.USE)),
    "header-quotes": (b'"a b","c,d"\n1,2\n', USE),
    "crlf": (b"a,b\r\n1,2\r\n3,\r\n", USE),
    "bom": (b"\xef\xbb\xbfa,b\n1,2\n", USE),
    "range-1-4": (RANGES, InputFormat(scan_range=ScanRange(1, 4))),
    "range-0-3": (RANGES, InputFormat(scan_range=ScanRange(0, 3))),
    "range-4-11": (RANGES, InputFormat(scan_range=ScanRange(4, 11))),
    "range-last-4": (RANGES, InputFormat(scan_range=ScanRange(None, 4))),
    "gzip": (gzip.compress(b"a,b\nc,d\n"), InputFormat(compression=Compression.GZIP)),
    "gzip-members": (gzip.compress(b"a,b\n") + gzip.compress(b"c,d\n"), InputFormat(compression=Compression.GZIP)),
    "zstd": (zstd.compress(b"a,b\nc,d\n"), InputFormat(compression=Compression.ZSTD)),
    "zstd-members": (
        zstd.compress(b"a,b\n") + b"\x50\x2a\x4d\x18\x02\0\0\0xy" + zstd.compress(b"c,d\n"),
        InputFormat(compression=Compression.ZSTD),
    ),
    "zstd-cut": (zstd.compress(b"a,b\nc,d\n")[:-3], InputFormat(compression=Compression.ZSTD)),
    "zstd-none": (b"a,b\n", InputFormat(compression=Compression.ZSTD)),
    "bzip2": (bz2.compress(b"a,b\nc,d\n"), InputFormat(compression=Compression.BZIP2)),
    "rules": (RULES, LINES),
    "rules-doc": (RULES, DOCUMENT),
    "dirs": (DIRS, LINES),
    "susan": (SUSAN, DOCUMENT),
    "numbers": (
        b'{"t":"a","n":2}\n{"t":"b","n":10}\n{"t":"c","n":null}\n{"t":"d"}\n{"t":"e","n":10.5}\n',
        LINES,
    ),
    "mixed-case": (b'{"name":"a"}\n{"Name":"b"}\n', LINES),
    "both-cases": (b'{"name":"a","Name":"b"}\n', LINES),
    "array": (b'[{"a":1},\n{"a":2}]', DOCUMENT),
    "objects": (b'{"m":{"p":{"x":1},"q":{"x":2}}}', DOCUMENT),
    "lines-in-one": (b'{"a":1} {"a":2}\n{"a":\n3}\n', LINES),
}


@dataclass(frozen=True, slots=True)
class Case:
    """
    One line of the table.

    Attributes:
        expected: The result as CSV, without its last line end; or `!` and the code of the error.
    """

    source: str
    name: str
    sql: str
    expected: str


def cases() -> Iterator[Case]:
    """Give every case, those of expressions as queries over one record."""
    for source, expression, expected in lines("expressions.tsv"):
        yield Case(source, "record", f"SELECT {expression} FROM S3Object", expected)
    for source, name, sql, expected in lines("queries.tsv"):
        unescaped = expected.replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\")
        yield Case(source, name, sql, unescaped)


def lines(name: str) -> Iterator[list[str]]:
    for line in (CASES / name).read_text(encoding="utf-8").split("\n"):
        if line and not line.startswith("#"):
            yield line.split("\t")
