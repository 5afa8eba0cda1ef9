"""S3's SelectObjectContent, driven by stock boto3 against the running server."""

import asyncio
import gzip
import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import httpx2
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from domain.file import File
from domain.ids import uuid_of
from domain.principal import Scope
from domain.sigv4 import ALGORITHM, STAMP, scope_of, signature
from tests.app.sql.conftest import PEOPLE, Server

pytestmark = pytest.mark.slow

CONFIG = Config(
    s3={"addressing_style": "path"},
    retries={"total_max_attempts": 1},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
CSV_IN = {"CSV": {"FileHeaderInfo": "USE"}}
CSV_OUT = {"CSV": {}}


@dataclass
class Pair:
    access_key_id: str
    secret: str


@dataclass
class Selected:
    """Everything that a stream had."""

    text: str
    kinds: list[str]
    stats: dict[str, int]


@pytest.fixture(scope="session")
async def pair(server: Server) -> Pair:
    return await new_pair(server)


async def new_pair(server: Server, **changes: Any) -> Pair:
    values: dict[str, Any] = {"name": "boto", "scopes": [Scope.FILES_QUERY], "expires_at": None, "client": "test"}
    who = server.world.anna.principal
    issued = await server.world.product.services.keys.create(who, **values | changes)
    return Pair(issued.key.access_key_id, issued.secret)


def client_of(server: Server, pair: Pair) -> Any:
    session = boto3.Session(pair.access_key_id, pair.secret, region_name="eu-north-1")
    return session.client("s3", endpoint_url=server.url, config=CONFIG)


async def select(server: Server, pair: Pair, sql: str, *, bucket: str = "anna", key: str = "", **changes: Any) -> Any:
    values: dict[str, Any] = {"InputSerialization": CSV_IN, "OutputSerialization": CSV_OUT} | changes

    def call() -> Selected:
        with closing(client_of(server, pair)) as client:
            answer = client.select_object_content(
                Bucket=bucket, Key=key or server.people.key, Expression=sql, ExpressionType="SQL", **values
            )
            with closing(answer["Payload"]) as payload:
                events = list(payload)
        text = b"".join(event["Records"]["Payload"] for event in events if "Records" in event).decode()
        stats = [event["Stats"]["Details"] for event in events if "Stats" in event]
        return Selected(text, [next(iter(event)) for event in events], stats[0])

    return await asyncio.to_thread(call)


async def test_boto3_gets_records_statistics_and_the_end(server: Server, pair: Pair):
    """Nothing but the endpoint differs from AWS; botocore checks every checksum on the way."""
    found = await select(server, pair, "SELECT s.name FROM S3Object s WHERE s.city = 'Oslo'")

    assert (found.text, found.kinds) == ("Anna\nCleo\n", ["Records", "Stats", "End"])
    assert found.stats == {"BytesScanned": len(PEOPLE), "BytesProcessed": len(PEOPLE), "BytesReturned": 10}


NAMES: dict[str, Callable[[File], tuple[str, str]]] = {
    "key": lambda file: ("anna", file.key),
    "id": lambda file: ("anna", file.id),
    "uuid": lambda file: ("anna", str(uuid_of(file.id))),
    "any bucket": lambda file: ("lighterage", file.key),
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_file_is_named_by_key_or_id(server: Server, pair: Pair, name):
    """The bucket is the tenant's slug; who does not know it says `lighterage`."""
    bucket, key = name(server.people)

    assert (await select(server, pair, "SELECT COUNT(*) FROM S3Object", bucket=bucket, key=key)).text == "3\n"


async def test_key_with_odd_characters_is_signed_and_found(server: Server, pair: Pair):
    """Clients and server encode the path by themselves, and must come to the same."""
    file = await server.upload(PEOPLE, "größe (1) + a@b!.csv")

    assert "(" in file.key
    assert (await select(server, pair, "SELECT COUNT(*) FROM S3Object", key=file.key)).text == "3\n"


async def test_input_and_output_are_s3s(server: Server, pair: Pair):
    """With S3's defaults, not with ours: no header, `#` begins a comment, quoted line ends are refused."""
    file = await server.upload(gzip.compress(b'a|"b"\n#c|d\ne|f\n'), "t.csv.gz")
    csv = {"CSV": {"FieldDelimiter": "|"}, "CompressionType": "GZIP"}
    out = {"CSV": {"FieldDelimiter": "\t", "RecordDelimiter": ";", "QuoteFields": "ALWAYS"}}
    found = await select(
        server, pair, "SELECT * FROM S3Object", key=file.key, InputSerialization=csv, OutputSerialization=out
    )

    assert found.text == '"a"\t"b";"e"\t"f";'
    quoted = await server.upload(b'"a\nb",c\n', "q.csv")
    with pytest.raises((ClientError, EventStreamError), match="CSVEscapingRecordDelimiter"):
        await select(server, pair, "SELECT * FROM S3Object", key=quoted.key, InputSerialization={"CSV": {}})


async def test_json_comes_in_and_goes_out(server: Server, pair: Pair):
    """LINES and DOCUMENT; records of JSON end as they are told to."""
    file = await server.upload(b'{"a":{"b":1}}\n{"a":{"b":2}}\n', "t.jsonl")
    found = [
        await select(
            server,
            pair,
            "SELECT s.a.b FROM S3Object s WHERE s.a.b > 1",
            key=file.key,
            InputSerialization={"JSON": {"Type": kind}},
            OutputSerialization={"JSON": {"RecordDelimiter": ";"}},
        )
        for kind in ("LINES", "DOCUMENT")
    ]

    assert [one.text for one in found] == ['{"b":2};', '{"b":2};']


async def test_progress_comes_when_asked_for(server: Server, pair: Pair):
    """And not otherwise: S3 sends it to those who enable it."""
    file = await server.upload(b"0123456789\n" * 500_000, "long.csv")
    sql = "SELECT COUNT(*) FROM S3Object"
    told = await select(server, pair, sql, key=file.key, RequestProgress={"Enabled": True})
    untold = await select(server, pair, sql, key=file.key)

    assert told.kinds.count("Progress") > 1
    assert told.kinds[-2:] == untold.kinds[-2:] == ["Stats", "End"]
    assert "Progress" not in untold.kinds


async def test_scan_range_reads_the_records_that_begin_in_it(server: Server, pair: Pair):
    """As clients split a large file among themselves."""
    file = await server.upload(b"A,B\nC,D\nD,E\nE,F\nG,H\nI,J\n", "r.csv")
    found = await select(
        server,
        pair,
        "SELECT * FROM S3Object",
        key=file.key,
        InputSerialization={"CSV": {}},
        ScanRange={"Start": 4, "End": 11},
    )

    assert found.text == "C,D\nD,E\n"


async def code_of(server: Server, pair: Pair, sql: str = "SELECT * FROM S3Object", **changes: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as raised:
        await select(server, pair, sql, **changes)
    answer = raised.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sql": "SELECT * FROM S3Object a JOIN b"}, ("ParseMalformedJoin", 400)),
        ({"sql": "SELECT s.x FROM S3Object s"}, ("MissingHeaders", 400)),
        ({"InputSerialization": {"JSON": {"Type": "TABLE"}}}, ("InvalidJsonType", 400)),
        ({"InputSerialization": {"CSV": {"FileHeaderInfo": "MAYBE"}}}, ("InvalidFileHeaderInfo", 400)),
        ({"InputSerialization": {"CSV": {}, "JSON": {"Type": "LINES"}}}, ("ObjectSerializationConflict", 400)),
        ({"InputSerialization": {}}, ("InvalidDataSource", 400)),
        ({"InputSerialization": {"CSV": {}, "CompressionType": "LZ4"}}, ("InvalidCompressionFormat", 400)),
        ({"OutputSerialization": {"CSV": {"QuoteFields": "NEVER"}}}, ("InvalidQuoteFields", 400)),
        ({"ScanRange": {"Start": 9, "End": 2}}, ("InvalidScanRange", 400)),
        ({"bucket": "bert"}, ("NoSuchBucket", 404)),
        ({"key": "anna@example.org/nothing.csv"}, ("NoSuchKey", 404)),
        ({"key": "file_0000000000000000000000000"}, ("NoSuchKey", 404)),
    ],
)
async def test_fault_before_the_first_record_is_s3s(server: Server, pair: Pair, changes, expected):
    """boto3 finds the code that it knows from AWS, and the status that goes with it."""
    assert expected == await code_of(server, pair, **changes)


async def test_fault_after_the_first_record_ends_the_stream(server: Server, pair: Pair):
    """The records before it came, and no End."""
    file = await server.upload(b"n\n" + b"1\n" * 400_000 + b"x\n", "late.csv")
    with pytest.raises(EventStreamError, match="CastFailed"):
        await select(server, pair, "SELECT CAST(s.n AS INT) FROM S3Object s", key=file.key)


async def test_others_files_are_not_there(server: Server, pair: Pair):
    """A key of another tenant names nothing, by id or by key, in any bucket."""
    file = await server.upload(PEOPLE, "b.csv", server.world.bert)
    codes = [await code_of(server, pair, key=key, bucket="lighterage") for key in (file.id, file.key)]
    wrong_folder = server.people.key.replace("anna@", "bert@")

    assert codes == [("NoSuchKey", 404)] * 2
    assert await code_of(server, pair, key=wrong_folder) == ("NoSuchKey", 404)


async def test_key_that_is_not_good_opens_nothing(server: Server, pair: Pair):
    """A wrong secret, a key that never was, one without the scope, one whose time is over."""
    now = server.world.clock.now()
    reader = await new_pair(server, scopes=[Scope.FILES_READ])
    ending = await new_pair(server, expires_at=now + timedelta(seconds=1))
    server.world.clock.advance(seconds=1)

    assert await code_of(server, Pair(pair.access_key_id, "wrong")) == ("SignatureDoesNotMatch", 403)
    assert await code_of(server, Pair("LKNOBODY", "wrong")) == ("InvalidAccessKeyId", 403)
    assert await code_of(server, reader) == ("AccessDenied", 403)
    assert await code_of(server, ending) == ("ExpiredToken", 400)


# ---- what boto3 does not do


def signed_headers(server: Server, pair: Pair, body: bytes, **changes: Any) -> dict[str, str]:
    """Sign as a client does."""
    values = {"stamp": datetime.now(UTC).strftime(STAMP), "payload": hashlib.sha256(body).hexdigest()} | changes
    stamp, payload = values["stamp"], values["payload"]
    headers = {
        "host": server.url.removeprefix("http://"),
        "x-amz-content-sha256": payload,
        "x-amz-date": stamp,
    }
    made = signature(
        "POST",
        f"/anna/{server.people.id}",
        "select=&select-type=2",
        headers,
        payload_sha256=payload,
        secret=pair.secret,
        stamp=stamp,
        region="us-east-1",
    )
    credential = f"{pair.access_key_id}/{scope_of(stamp, 'us-east-1')}"
    names = ";".join(sorted(headers))
    headers["authorization"] = f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={made}"
    return headers


BODY = b"""<?xml version="1.0" encoding="UTF-8"?>
<SelectObjectContentRequest xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Expression>SELECT COUNT(*) FROM S3Object</Expression><ExpressionType>SQL</ExpressionType>
<InputSerialization><CSV/></InputSerialization><OutputSerialization><CSV/></OutputSerialization>
</SelectObjectContentRequest>"""


async def post(server: Server, body: bytes, headers: dict[str, str], query: str = "select&select-type=2") -> Any:
    async with httpx2.AsyncClient() as http:
        return await http.post(f"{server.url}/anna/{server.people.id}?{query}", content=body, headers=headers)


async def test_another_body_than_was_signed_is_refused(server: Server, pair: Pair):
    """Somebody on the way must not change the statement; whoever signs no body takes that upon themselves, as at S3."""
    headers = signed_headers(server, pair, BODY)
    good = await post(server, BODY, headers)
    changed = await post(server, BODY.replace(b"COUNT(*)", b"MIN(_1)"), headers)
    unsigned = await post(server, BODY, signed_headers(server, pair, BODY, payload="UNSIGNED-PAYLOAD"))

    assert [good.status_code, changed.status_code, unsigned.status_code] == [200, 403, 200]
    assert b"<Code>SignatureDoesNotMatch</Code>" in changed.content


async def test_signature_of_another_time_request_or_shape_is_refused(server: Server, pair: Pair):
    """An old request cannot be sent again a day later, nor with another query, nor without its host signed."""
    old = (server.world.clock.now() - timedelta(minutes=16)).strftime(STAMP)
    headers = signed_headers(server, pair, BODY)
    hostless = {**headers, "authorization": headers["authorization"].replace("SignedHeaders=host;", "SignedHeaders=")}
    answers = [
        await post(server, BODY, signed_headers(server, pair, BODY, stamp=old)),
        await post(server, BODY, headers, query="select&select-type=2&x=1"),
        await post(server, BODY, hostless),
        await post(server, BODY, {**headers, "x-amz-meta": "not signed"}),
        await post(server, BODY, {"authorization": "Bearer x"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 5
    assert b"RequestTimeTooSkewed" in answers[0].content
    assert b"AccessDenied" in answers[4].content


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", b"EmptyRequestBody"),
        (b"<a", b"MalformedXML"),
        (b"<a/>", b"MalformedXML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]>' + BODY.partition(b"?>")[2], b"MalformedXML"),
        ('<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16"), b"Malf"),
        (b"<a>" * 50, b"MalformedXML"),
        (BODY.replace(b"<CSV/>", b"<XML/>", 1), b"MalformedXML"),
        (BODY.replace(b"SQL<", b"XQUERY<"), b"InvalidExpressionType"),
        (BODY.replace(b"SELECT COUNT(*) FROM S3Object", b""), b"MissingRequiredParameter"),
        (b" " * (2**20 + 1), b"MaxMessageLengthExceeded"),
    ],
)
async def test_body_that_is_no_request_is_said_so(server: Server, pair: Pair, body, code):
    """Entities are not even looked at."""
    answer = await post(server, body, signed_headers(server, pair, body))

    assert answer.status_code == 400
    assert b"<Code>" + code in answer.content


async def test_other_requests_to_such_paths_find_nothing(server: Server):
    """There is no S3 here but this call."""
    async with httpx2.AsyncClient(base_url=server.url) as http:
        answers = [await http.post("/anna/x"), await http.get("/anna/x?select&select-type=2"), await http.get("/anna")]

    assert [answer.status_code for answer in answers] == [404] * 3
