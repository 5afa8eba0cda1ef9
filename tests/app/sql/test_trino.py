"""Large files that a cluster queries: the protocol, what is given back, and what is left to our own engine."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.warehouses.trino import Trino, TrinoSettings
from domain.blob import BlobKey
from domain.clock import SystemClock
from domain.errors import QueryLimitExceeded, SqlInvalid, StoreUnavailable
from domain.warehouse import WarehouseCounts, WarehouseFault
from query import QueryEngine
from services.queries import End, QueryService
from services.reading import OutputFormat, OutputKind, Reading, Select
from services.warehousing import Warehousing
from tests.app.sql.conftest import PEOPLE, Server
from tests.support.graphql_client import serve
from tests.support.trino_server import TrinoServer

pytestmark = pytest.mark.slow

LINES = Reading(allow_quoted_record_delimiter=False)
OSLO = "SELECT s.name, CAST(s.age AS INT) AS age FROM S3Object s WHERE s.city = 'Oslo'"


@pytest.fixture
async def trino() -> AsyncGenerator[tuple[TrinoServer, TrinoSettings], None]:
    server = TrinoServer()
    async with serve(server.app) as address:
        settings = TrinoSettings(
            url=f"http://{address}", user="us", catalog="hive", schema="tables", back_off_seconds=0.001
        )
        yield server, settings
    server.close()


def service(server: Server, settings: TrinoSettings, *, bytes_min: int = 0, **limits: int) -> QueryService:
    product = server.world.product
    engine = product.services.queries._engine
    assert engine is not None
    if limits:
        engine = QueryEngine(replace(engine.limits, **limits), now=SystemClock().now)  # asked for its limits only
    path_of = product.blobs.path_of  # type: ignore[attr-defined]

    def location_of(key: BlobKey) -> str:
        return f"s3:/{Path(path_of(key)).parent}/"

    return QueryService(
        records=product.records,
        blobs=product.blobs,
        engine=engine,
        path_of=path_of,
        clock=SystemClock(),
        warehousing=Warehousing(Trino(settings), location_of=location_of, bytes_min=bytes_min),
    )


async def ask(queries: QueryService, server: Server, sql: str, reading: Reading = LINES, **output: object):
    events = queries.select_text(
        server.world.anna.principal,
        server.people.id,
        Select(sql, reading),
        OutputFormat(**output),  # type: ignore[arg-type]
    )
    text, end = b"", None
    async with aclosing(events):
        async for event in events:
            if isinstance(event, bytes):
                text += event
            elif isinstance(event, End):
                end = event.stats
    return text.decode(), end


async def test_cluster_is_asked_and_its_rows_are_our_records_R000_28(server: Server, trino):
    """A table over the file's prefix, the query in Trino's words, page after page, and no table is left."""
    cluster, settings = trino
    text, end = await ask(service(server, settings), server, OSLO)
    create, select, drop = cluster.statements
    table = create.split()[2]

    assert text == "Anna,31\nCleo,62\n"
    assert (end.rows_returned, end.bytes_returned, end.bytes_scanned) == (2, 16, 51)
    assert select.endswith(f"FROM {table} WHERE (c2 = 'Oslo')")
    assert drop == f"DROP TABLE IF EXISTS {table}"
    assert {one["x-trino-user"] for one in cluster.headers} == {"us"}
    assert {one["x-trino-schema"] for one in cluster.headers} == {"tables"}
    assert cluster.cancelled == []


async def test_json_and_header_are_written_as_here(server: Server, trino):
    """A missing field has no key."""
    queries = service(server, trino[1])
    sql = "SELECT s.name, s._7, 1 < 2 AS b FROM S3Object s WHERE s.name = 'Bo'"

    assert (await ask(queries, server, sql, kind=OutputKind.JSON))[0] == '{"name":"Bo","b":true}\n'
    assert (await ask(queries, server, sql, header=True))[0] == "name,_7,b\nBo,,true\n"


@pytest.mark.parametrize("trouble", [[503, 503, 502], [429], [504]])
async def test_busy_cluster_is_asked_again(server: Server, trino, trouble):
    """As the protocol says: after 50 to 100 ms, or when it says."""
    cluster, settings = trino
    cluster.trouble = trouble

    assert (await ask(service(server, settings), server, OSLO))[0] == "Anna,31\nCleo,62\n"
    assert cluster.trouble == []


@pytest.mark.parametrize(
    ("sql", "reading"),
    [
        ("SELECT * FROM S3Object", LINES),
        ("SELECT s.name FROM S3Object s LIMIT 1", LINES),
        ("SELECT CAST(s.age AS DECIMAL) FROM S3Object s", LINES),
        (OSLO, Reading()),
        (OSLO, replace(LINES, comment="#")),
        (OSLO, replace(LINES, start_byte=0, end_byte=10)),
    ],
)
async def test_what_it_would_answer_otherwise_is_run_here(server: Server, trino, sql, reading):
    """The same result, and nobody asked the cluster."""
    cluster, settings = trino
    own = await ask(server.world.product.services.queries, server, sql, reading)

    assert (await ask(service(server, settings), server, sql, reading))[0] == own[0]
    assert cluster.statements == []


async def test_small_file_is_run_here(server: Server, trino):
    """A cluster takes seconds before it begins."""
    cluster, settings = trino
    await ask(service(server, settings, bytes_min=len(PEOPLE) + 1), server, OSLO)

    assert cluster.statements == []


async def test_bad_cast_is_s3_selects_error_and_the_table_goes(server: Server, trino):
    """Trino's word for it is translated."""
    cluster, settings = trino
    with pytest.raises(SqlInvalid) as fault:
        await ask(service(server, settings), server, "SELECT CAST(s.name AS INT) FROM S3Object s")

    assert fault.value.sql_code == "CastFailed"
    assert cluster.statements[-1].startswith("DROP TABLE")


async def test_wrong_statement_reaches_no_cluster(server: Server, trino):
    """It is parsed and checked here, with our words and its place."""
    cluster, settings = trino
    with pytest.raises(SqlInvalid) as fault:
        await ask(service(server, settings), server, "SELECT nobody FROM S3Object s")

    assert fault.value.sql_code == "MissingHeaders"
    assert cluster.statements == []


async def test_limits_hold_for_the_cluster_too(server: Server, trino):
    """What may be scanned, and what may come back."""
    cluster, settings = trino
    with pytest.raises(QueryLimitExceeded):
        await ask(service(server, settings, scan_bytes_max=len(PEOPLE) - 1), server, OSLO)
    assert cluster.statements == []


async def test_whoever_goes_cancels_the_statement(server: Server, trino):
    """DELETE of what would have come next; then the table is dropped."""
    cluster, settings = trino
    events = service(server, settings).select_text(
        server.world.anna.principal, server.people.id, Select("SELECT s.name FROM S3Object s", LINES), OutputFormat()
    )
    async with aclosing(events):
        async for event in events:
            if isinstance(event, bytes):
                break

    assert [one.split()[0] for one in cluster.cancelled] == ["SELECT"]
    assert cluster.statements[-1].startswith("DROP TABLE")


async def run(settings: TrinoSettings, sql: str = "SELECT 1 AS a") -> list[object]:
    async with aclosing(Trino(settings).run(sql)) as events:
        return [event async for event in events]


async def test_rows_and_counts_come_by_turns(trino):
    """The first page has neither."""
    found = await run(trino[1], "SELECT a FROM range(3) t(a)")

    assert [event for event in found if isinstance(event, list)] == [[[0], [1]], [[2]]]
    assert found[-1] == WarehouseCounts(51, 3)


@pytest.mark.parametrize("trouble", [[500], [401], [302], [404]])
async def test_refusal_of_the_cluster_is_no_fault_of_the_statement(trino, trouble):
    """Nobody is told what it said: there may be names of hosts in it."""
    cluster, settings = trino
    cluster.trouble = trouble
    with pytest.raises(StoreUnavailable):
        await run(settings)


async def test_answer_that_points_elsewhere_is_not_followed(trino):
    """The name of the user goes along with every request."""
    cluster, settings = trino
    cluster.elsewhere = "http://localhost:1/"
    with pytest.raises(StoreUnavailable):
        await run(settings)


async def test_nobody_there_is_a_clear_error(trino):
    """Not a fault of the statement either."""
    with pytest.raises(StoreUnavailable):
        await run(replace(trino[1], url="http://127.0.0.1:9"))


async def test_fault_of_a_statement_has_trinos_name(trino):
    """The service translates it."""
    with pytest.raises(WarehouseFault, match="INVALID_CAST_ARGUMENT"):
        await run(trino[1], "SELECT CAST('x' AS BIGINT) AS a")
