"""SQL over REST: what comes out and how, who is let in, and what is said when it goes wrong."""

import asyncio
import bz2
import csv
import gzip
import io
import json
from urllib.parse import urlsplit

import duckdb
import pytest

from lighterage.querying import Asked, QueryFault, answers
from tests.app.sql.conftest import PEOPLE, Server, path_of
from tests.support.product import http_client

pytestmark = pytest.mark.slow


async def test_rows_that_match_come_out_R000_25(server: Server):
    """The statement that every user writes first."""
    answer = await server.ask("SELECT * FROM S3Object s WHERE s.city = 'Oslo'")

    assert (answer.status_code, answer.text) == (200, "Anna,31,Oslo\nCleo,62,Oslo\n")


async def test_result_is_csv_with_a_header_if_wanted_R000_27(server: Server):
    """A CSV reader gets back what was in the file, quotes and all."""
    file = await server.upload(b'what,"the, note"\n1,"say ""hi"", twice"\n', "notes.csv")
    answer = await server.ask("SELECT * FROM S3Object", file, output={"header": True})

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert list(csv.reader(io.StringIO(answer.text))) == [["what", "the, note"], ["1", 'say "hi", twice']]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ({"format": "json"}, '{"name":"Bo","age":"5"}\n'),
        ({"format": "JSON", "record_delimiter": ";"}, '{"name":"Bo","age":"5"};'),
        ({"format": "csv", "delimiter": "\t"}, "Bo\t5\n"),
        ({"quote_fields": "always", "quote": "'"}, "'Bo','5'\n"),
        ({"header": True, "delimiter": ";", "record_delimiter": "\r\n"}, "name;age\r\nBo;5\r\n"),
    ],
)
async def test_output_is_written_as_wanted_R000_28(server: Server, output, expected):
    """Every option of S3 Select's OutputSerialization, and the header."""
    answer = await server.ask("SELECT s.name, s.age FROM S3Object s WHERE s.city = 'Bergen'", output=output)

    assert answer.text == expected


LINES = b'{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n'
TABLE = b"a,b\n1,x\n2,y\n"
INPUTS = {
    "header used": ("t.csv", TABLE, {}, "SELECT s.b FROM S3Object s WHERE s.a = '2'"),
    "header ignored": ("t.csv", TABLE, {"header": "ignore"}, "SELECT _2 FROM S3Object WHERE _1 = '2'"),
    "header none": ("t.csv", TABLE, {"header": "none"}, "SELECT _2 FROM S3Object WHERE _1 = '2'"),
    "tabs by name": ("t.tsv", TABLE.replace(b",", b"\t"), {}, "SELECT s.b FROM S3Object s WHERE s.a = '2'"),
    "delimiters": (
        "t.csv",
        b"a;b|1;x|# no|2;'y'|",
        {"delimiter": ";", "record_delimiter": "|", "quote": "'", "comment": "#"},
        "SELECT s.b FROM S3Object s WHERE s.a = '2'",
    ),
    "escape": ("t.csv", b'a,b\n2,"y"\n', {"escape": "\\"}, "SELECT s.b FROM S3Object s WHERE s.a = '2'"),
    "gzip by itself": ("t.csv.gz", gzip.compress(TABLE), {}, "SELECT s.b FROM S3Object s WHERE s.a = '2'"),
    "gzip as said": (
        "t",
        gzip.compress(TABLE),
        {"format": "csv", "compression": "gzip"},
        "SELECT s.b FROM S3Object s WHERE s.a = '2'",
    ),
    "bzip2": ("t.csv.bz2", bz2.compress(TABLE), {}, "SELECT s.b FROM S3Object s WHERE s.a = '2'"),
    "json lines": ("t.jsonl", LINES, {}, "SELECT s.b FROM S3Object s WHERE s.a = 2"),
    "json document": (
        "t.json",
        b'{"Rules":[{"a":1,"b":"x"},\n{"a":2,"b":"y"}]}',
        {},
        "SELECT s.b FROM S3Object[*].Rules[*] s WHERE s.a = 2",
    ),
    "scan range": ("t.csv", TABLE, {"scan_range": {"start": 5, "end": 9}}, "SELECT s.b FROM S3Object s"),
    "last bytes": ("t.csv", TABLE, {"scan_range": {"end": 4}}, "SELECT s.b FROM S3Object s"),
}


@pytest.mark.parametrize(("name", "content", "given", "sql"), INPUTS.values(), ids=INPUTS)
async def test_input_is_read_as_told_R000_28(server: Server, name, content, given, sql):
    """As the file's type and name say, and else as the request does."""
    answer = await server.ask(sql, await server.upload(content, name), input=given)

    assert (answer.status_code, answer.text) == (200, "y\n")


async def test_parquet_is_read_R000_28(server: Server, tmp_path):
    """By its first bytes, whatever it is called."""
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT i, 'n' || i AS name FROM range(5) t(i)) TO '{tmp_path / 'a'}'")
    file = await server.upload((tmp_path / "a").read_bytes(), "rows")
    answer = await server.ask("SELECT s.name FROM S3Object s WHERE s.i > 3", file)

    assert answer.text == "n4\n"


@pytest.mark.parametrize(
    ("sql", "code", "line", "column"),
    [
        ("SELECT * FROM S3Object a JOIN S3Object b", "ParseMalformedJoin", 1, 26),
        ("SELECT *\nFROM (SELECT * FROM S3Object)", None, 2, None),
        ("DROP TABLE S3Object", None, 1, 1),
        ("SELECT s.nothing FROM S3Object s", "MissingHeaders", 1, None),
        ("SELECT SIN(1) FROM S3Object", "UnsupportedFunction", 1, 8),
    ],
)
async def test_wrong_sql_is_answered_with_code_and_place_R000_28(server: Server, sql, code, line, column):
    """A client of S3 Select finds the code that it knows, and an editor can underline the place."""
    answer = await server.ask(sql)
    problem = answer.json()

    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert (problem["code"], problem["line"]) == ("sql_invalid", line)
    assert problem["sql_code"] == code or code is None
    assert problem["column"] == column or column is None
    assert problem["request_id"] == answer.headers["x-request-id"]


async def test_others_files_are_not_there_R000_29(server: Server):
    """Somebody else's file and none get the same answer; a guest is asked to log in, the body unread."""
    sql = {"sql": "SELECT * FROM S3Object"}
    async with server.http(server.world.bert) as http:
        others = await http.post(path_of(server.people), json=sql)
        none = await http.post("/api/v1/files/file_0000000000000000000000000/query", json=sql)
    async with http_client(server.world.app) as http:
        guest = await http.post(path_of(server.people), content=b"no JSON at all")

    assert [others.status_code, none.status_code, guest.status_code] == [404, 404, 401]
    assert {**others.json(), "request_id": ""} == {**none.json(), "request_id": ""}
    assert "www-authenticate" in guest.headers


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        (b"", 422, None),
        (b"[]", 422, None),
        (b"{}", 422, ["sql"]),
        (b'{"sql": 1}', 422, ["sql"]),
        (b'{"sql": "x", "output": {"format": "xml"}}', 422, ["output", "format"]),
        (b'{"sql": "x", "input": {"headr": "use"}}', 422, ["input", "headr"]),
        (b'{"sql": "x", "input": {"scan_range": {"start": -1}}}', 422, ["input", "scan_range", "start"]),
        (b'{"sql": "x", "output": {"format": "frames", "quote": "x"}}', 422, ["output", "quote"]),
        (b" " * (2**20 + 1), 413, None),
    ],
)
async def test_wrong_body_is_answered_with_the_field(server: Server, body, status, path):
    """Before any file is looked at."""
    async with server.http() as http:
        answer = await http.post(path_of(server.people), content=body)

    assert (answer.status_code, answer.json().get("path")) == (status, path)


@pytest.mark.parametrize(
    "body",
    [
        {"input": {"delimiter": ""}},
        {"input": {"quote": "''"}},
        {"input": {"scan_range": {"start": 9, "end": 3}}},
        {"output": {"delimiter": ""}},
        {"input": {"format": "json_lines"}, "output": {"header": True}},
    ],
)
async def test_parameters_that_cannot_be_are_s3_selects_errors(server: Server, body):
    """They are checked where the formats are known."""
    answer = await server.ask("SELECT * FROM S3Object", **body)

    assert (answer.status_code, answer.json()["code"]) == (400, "sql_invalid")
    assert answer.json()["sql_code"] in {"InvalidRequestParameter", "InvalidScanRange"}


async def test_frames_have_columns_rows_and_totals(server: Server):
    """For clients that want to see how far it is, and to know that it ended well."""
    answer = await server.ask("SELECT s.name, CAST(s.age AS INT) AS a FROM S3Object s", output={"format": "frames"})
    frames = [json.loads(line) for line in answer.text.splitlines()]

    assert frames[0] == {"columns": [{"name": "name", "type": "string"}, {"name": "a", "type": "int"}]}
    assert frames[1] == {"rows": [["Anna", 31], ["Bo", 5], ["Cleo", 62]]}
    assert frames[-2]["progress"]["bytes_total"] == len(PEOPLE)
    stats = frames[-1]["stats"]
    assert (stats["bytes_scanned"], stats["bytes_processed"], stats["rows_returned"]) == (len(PEOPLE), len(PEOPLE), 3)


async def test_frames_end_with_the_fault_that_came_late(server: Server):
    """The rows before the bad record are there, and nobody takes them for all."""
    file = await server.upload(b"n\n" + b"1\n" * 3 + b"x\n", "late.csv")
    answer = await server.ask("SELECT CAST(s.n AS INT) FROM S3Object s", file, output={"format": "frames"})
    *_, rows, error = [json.loads(line) for line in answer.text.splitlines()]

    assert rows == {"rows": [[1], [1], [1]]}
    assert (error["error"]["code"], error["error"]["sql_code"]) == ("sql_invalid", "CastFailed")


async def raw(server: Server, sql: str, file=None) -> bytes:
    """Everything that the server sends, byte by byte, up to the end of the connection."""
    parts = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    body = json.dumps({"sql": sql}).encode()
    token = server.world.anna.session.access_token
    head = f"POST {path_of(file or server.people)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    writer.write(f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = await reader.read()
    writer.close()
    return answer


async def test_totals_come_in_trailers(server: Server):
    """RFC 9110, 6.5: what is known only when everything was sent."""
    head, _, body = (await raw(server, "SELECT s.name FROM S3Object s LIMIT 1")).partition(b"\r\n\r\n")

    assert b"\r\ntrailer: Query-Bytes-Scanned, Query-Bytes-Processed," in head
    assert body.startswith(b"5\r\nAnna\n\r\n0\r\nQuery-Bytes-Scanned: %d\r\n" % len(PEOPLE))
    assert b"\r\nQuery-Rows-Returned: 1\r\n" in body
    assert body.endswith(b"\r\n\r\n")


async def test_command_asks_the_server_about_a_file_by_its_id(server: Server):
    """The same text comes as over a file here, and a wrong statement is pointed at."""
    written: list[bytes] = []

    def ask(sql: str) -> str:
        body = {"sql": sql, "input": {"header": "use"}, "output": {"format": "csv", "header": True}}
        asked = Asked(server.people.id, body, server.url, server.world.anna.session.access_token)
        return answers(asked, written.append)

    took = await asyncio.to_thread(ask, "SELECT s.name FROM S3Object s WHERE s.city = 'Oslo'")
    with pytest.raises(QueryFault, match="ParseMalformedJoin") as fault:
        await asyncio.to_thread(ask, "SELECT * FROM S3Object s JOIN x")

    assert b"".join(written) == b"name\nAnna\nCleo\n"
    assert took.startswith("15 bytes; ")
    assert fault.value.position == (1, 26)


async def test_fault_after_the_first_bytes_cuts_the_answer(server: Server):
    """No last chunk: whoever reads to the end knows that it is not all."""
    file = await server.upload(b"n\n" + b"1\n" * 400_000 + b"x\n", "later.csv")
    answer = await raw(server, "SELECT CAST(s.n AS INT) FROM S3Object s", file)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert not answer.endswith(b"\r\n\r\n")


async def test_client_that_goes_ends_its_query(server: Server):
    """The only worker is free for the next one at once, though the first would have taken long."""
    file = await server.upload(b"0123456789,0123456789\n" * 2_000_000, "long.csv")
    body = {"sql": "SELECT COUNT(*) FROM S3Object WHERE _2 LIKE '%x%y%z%' AND UPPER(_1) LIKE '%a%b%'"}
    async with server.http() as http:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await http.post(path_of(file), json=body)
    async with asyncio.timeout(0.7):
        answer = await server.ask("SELECT COUNT(*) FROM S3Object")

    assert answer.text == "3\n"


async def test_more_queries_at_once_than_a_tenant_may_are_refused(server: Server):
    """429 and when to try again; another tenant is not held up by the count."""
    file = await server.upload(b"0123456789,0123456789\n" * 400_000, "some.csv")
    sql = "SELECT COUNT(*) FROM S3Object WHERE _2 LIKE '%x%y%z%'"
    answers = await asyncio.gather(*(server.ask(sql, file) for _ in range(6)))
    refused = [answer for answer in answers if answer.status_code != 200]

    assert [answer.status_code for answer in refused] == [429, 429]
    assert {answer.headers["retry-after"] for answer in refused} == {"2"}
