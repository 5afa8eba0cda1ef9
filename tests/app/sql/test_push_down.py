"""Queries that the store runs: what it is asked, that its answer is ours, and what happens when it breaks off."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from adapters.blobs.bucket import S3Settings
from adapters.blobs.s3 import S3Blobs
from domain.blob import BlobKey
from domain.clock import SystemClock
from domain.errors import NotFound, SqlInvalid, StoreUnavailable
from query import EngineLimits, InputFormat, OutputFormat, QueryEngine, QueryError
from query.formats import OutputKind
from rest import eventstream
from rest.selectxml import error_document, parse_request
from services.pushing import request_of
from services.queries import End, QueryService
from services.reading import Compression, Format, Reading, Select
from tests.app.sql.conftest import PEOPLE, Server
from tests.support.graphql_client import serve

pytestmark = pytest.mark.slow

PUSHED = Reading(comment="#")


@dataclass
class FakeS3:
    """Speaks SelectObjectContent over the files of a product's directory, and remembers what it was asked."""

    server: Server
    engine: QueryEngine
    asked: list[str] = field(default_factory=list)
    cut: bool = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        key = request.url.path.removeprefix("/bucket/blobs/")
        asked = parse_request(await request.body())
        self.asked.append(asked.select.sql)
        path = Path(self.server.world.product.blobs.path_of(BlobKey(key)))  # type: ignore[attr-defined]
        response: Response
        if not path.is_file():
            document = error_document("NoSuchKey", "", resource=key, request_id="1")
            response = Response(document, 404, media_type="application/xml")
        else:
            response = StreamingResponse(self._events(path, asked.select, asked.output))
        await response(scope, receive, send)

    async def _events(self, path: Path, select: Select, output: OutputFormat) -> AsyncIterator[bytes]:
        reading = select.reading.of(name="", content_type="")
        try:
            async with self.engine.open(select.sql, path, input=reading, output=output) as result:
                async for chunk in result.chunks():
                    yield eventstream.records(chunk)
                stats = result.stats
        except QueryError as error:
            yield eventstream.error(error.code, error.message)
            return
        if not self.cut:
            yield eventstream.statistics(
                scanned_bytes=stats.scanned_bytes,
                processed_bytes=stats.processed_bytes,
                returned_bytes=stats.returned_bytes,
            )
            yield eventstream.end()


@dataclass
class Pushing:
    """The service, once with the store that answers and once without."""

    s3: FakeS3
    there: QueryService
    here: QueryService

    async def ask(self, service: QueryService, sql: str, reading: Reading = PUSHED, **more: Any) -> tuple[bytes, End]:
        server = self.s3.server
        file = more.pop("file", server.people)
        events = service.select_text(
            server.world.anna.principal, file.id, Select(sql, reading), more.pop("output", OutputFormat())
        )
        text, end = b"", None
        async with aclosing(events):
            async for event in events:
                text += event if isinstance(event, bytes) else b""
                end = event if isinstance(event, End) else end
        assert end is not None
        return text, end


@asynccontextmanager
async def pushing_to(server: Server, spool: Path) -> AsyncGenerator[Pushing, None]:
    async with AsyncExitStack() as stack:
        limits = EngineLimits(workers=1, threads=1)
        engine = await stack.enter_async_context(QueryEngine(limits, now=SystemClock().now))
        s3 = FakeS3(server, engine)
        address = await stack.enter_async_context(serve(s3))
        settings = S3Settings(
            bucket="bucket",
            endpoint=f"http://{address}",
            access_key="a",
            secret_key="b",
            prefix="blobs/",
            attempts_max=1,
        )
        blobs = await stack.enter_async_context(S3Blobs(settings, clock=SystemClock(), spool=spool))
        product = server.world.product
        given: dict[str, Any] = {
            "records": product.records,
            "blobs": product.blobs,
            "engine": engine,
            "path_of": product.blobs.path_of,  # type: ignore[attr-defined]
            "clock": server.world.clock,
        }
        yield Pushing(s3, QueryService(**given, selecting=blobs), QueryService(**given))


@pytest.fixture
async def pushing(server: Server, tmp_path: Path) -> AsyncGenerator[Pushing, None]:
    async with pushing_to(server, tmp_path) as opened:
        yield opened


@pytest.mark.parametrize(
    ("reading", "output"),
    [
        (PUSHED, OutputFormat()),
        (PUSHED, OutputFormat(OutputKind.JSON, record_delimiter=";")),
        (Reading(comment="#", start_byte=14, end_byte=40), OutputFormat()),
    ],
)
async def test_store_is_asked_and_its_answer_is_ours_R000_26(pushing: Pushing, reading, output):
    """The same records, the same counts; the request is seen at the store."""
    sql = "SELECT s.name, s.age FROM S3Object s WHERE s.city = 'Oslo'"
    there, end = await pushing.ask(pushing.there, sql, reading, output=output)
    here, own_end = await pushing.ask(pushing.here, sql, reading, output=output)

    assert pushing.s3.asked == [sql]
    assert there == here != b""
    assert end.stats.rows_returned == own_end.stats.rows_returned
    assert end.stats.bytes_scanned == own_end.stats.bytes_scanned


@pytest.mark.parametrize(
    ("reading", "output"),
    [
        (Reading(), OutputFormat()),
        (Reading(comment="#", compression=Compression.ZSTD), OutputFormat()),
        (Reading(comment="#"), OutputFormat(header=True)),
    ],
)
def test_what_s3_cannot_be_asked_is_run_here(reading, output):
    """A store that would answer another question is not asked."""
    given = reading.of(name="a.csv", content_type="text/csv")

    assert request_of("SELECT * FROM S3Object", given, output) is None


def test_json_and_parquet_need_nothing_of_csv():
    """They have no comments."""
    for kind in (Format.JSON_LINES, Format.JSON_DOCUMENT, Format.PARQUET):
        given: InputFormat = Reading(format=kind).of(name="", content_type="")
        request = request_of("SELECT * FROM S3Object", given, OutputFormat())

        assert request is not None
        assert "CSV" not in str(request["InputSerialization"])


async def test_wrong_statement_is_refused_here_with_its_place(pushing: Pushing):
    """The store is not bothered with it."""
    with pytest.raises(SqlInvalid) as caught:
        await pushing.ask(pushing.there, "SELECT * FROM S3Object JOIN x")

    assert caught.value.position == (1, 24)
    assert pushing.s3.asked == []


@pytest.mark.parametrize(
    ("sql", "code"),
    [("SELECT CAST(s.city AS INT) FROM S3Object s", "CastFailed"), ("SELECT s.x FROM S3Object s", "MissingHeaders")],
)
async def test_fault_that_the_store_finds_keeps_its_code(pushing: Pushing, sql, code):
    """Also in the midst of the stream."""
    with pytest.raises(SqlInvalid) as caught:
        await pushing.ask(pushing.there, sql)

    assert caught.value.sql_code == code


async def test_answer_without_its_end_is_no_answer(pushing: Pushing):
    """AWS: only the End event says that the records are all."""
    pushing.s3.cut = True
    with pytest.raises(StoreUnavailable):
        await pushing.ask(pushing.there, "SELECT * FROM S3Object")


async def test_lost_object_is_not_found(pushing: Pushing, server: Server):
    """As everywhere where somebody removed a file behind our back."""
    file = await server.upload(PEOPLE, "lost.csv")
    await server.world.product.blobs.delete(file.key)
    with pytest.raises(NotFound):
        await pushing.ask(pushing.there, "SELECT * FROM S3Object", file=file)


async def test_place_of_the_tenant_is_given_back(pushing: Pushing):
    """Also after a bad end: more queries in a row than may run at once."""
    pushing.s3.cut = True
    for _ in range(6):
        with pytest.raises(StoreUnavailable):
            await pushing.ask(pushing.there, "SELECT * FROM S3Object")

    assert len(pushing.s3.asked) == 6
