"""What is MongoDB's alone: documents as an operator sees them, servers that are away, bounded memory."""

import asyncio
import contextlib
import gc
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from adapters.records.codec import Codec
from adapters.records.mongo import MongoRecords
from adapters.records.mongo import records as mongo
from adapters.records.mongo.document import from_document, to_document
from adapters.records.mongo.query import key_of, unique_key
from domain.errors import InvalidValue, NotFound, StoreUnavailable
from domain.records import Collection, Kind
from tests.support import mongo_server
from tests.support.mongo_proxy import Proxy, proxy_of
from tests.support.records import KINDS, PARCELS, TALLIES, Label, Parcel, State, Tally, at, parcel

TENANT = "tenant_a"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def driver_leftovers() -> Iterator[None]:
    """A driver that is closed while it connects leaves its socket to the collector, which would warn another test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def mongo_url() -> Iterator[str]:
    with mongo_server.running() as url:
        yield url


@pytest.fixture
async def proxy(mongo_url: str) -> AsyncIterator[Proxy]:
    async with proxy_of(mongo_url) as proxy:
        yield proxy


@pytest.fixture
async def records(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MongoRecords]:
    """Behind a proxy, and less patient than in production."""
    monkeypatch.setattr(mongo, "SERVER_TIMEOUT_MS", 300)
    monkeypatch.setattr(mongo, "ANSWER_TIMEOUT_MS", 300)
    url = f"mongodb://127.0.0.1:{proxy.port}/"
    async with MongoRecords.open(url, KINDS, database_name=mongo_server.fresh_name()) as records:
        yield records


@pytest.fixture
def tallies(records: MongoRecords) -> Collection[Tally]:
    return records.collection(TALLIES)


# ---- documents

FULL = parcel(
    "full",
    title="Ä",
    state=State.SENT,
    created_at=at(0.5),
    code="C",
    shelf="S",
    seal=b"\x00",
    labels=(Label("x", 0.5, at(1)),),
    notes={"a.b$%\x00": {"": 1}},
)


def test_document_can_be_read_by_an_operator() -> None:
    document = to_document(Codec(PARCELS), FULL)

    expected: dict[str, Any] = {
        "_id": "tenant_a/parcel_full",
        "tenant_id": "tenant_a",
        "title": "Ä",
        "title_folded": "ä",
        "state": "sent",
        "created_at": "2026-03-01T12:00:00.500000Z",
        "expires_at": None,
        "seal": b"\x00",
        "labels": [{"text": "x", "weight": 0.5, "printed_at": "2026-03-01T12:00:01.000000Z"}],
        "notes": {"a%2Eb%24%25%00": {"": 1}},
        "_unique_code": '+["tenant_a", "C"]',
        "_unique_shelf_slot": "-tenant_a/parcel_full",
    }
    assert expected == {name: document[name] for name in expected}


def test_document_gives_the_record_back() -> None:
    codec = Codec(PARCELS)

    assert from_document(codec, to_document(codec, FULL) | {"unknown": 1, "_once": {"x": True}}) == FULL


def test_keys_keep_the_border_between_their_parts() -> None:
    keys = {key_of(tenant, name) for tenant, name in (("a", "b/c"), ("a/b", "c"), ("a%2Fb", "c"), ("a", "b%2Fc"))}
    uniques = {
        unique_key("k", tenant, values) for tenant, values in (("a", ["b", "c"]), ("a", ['b", "c']), ("b", ["c"]))
    }

    assert (len(keys), len(uniques)) == (4, 3)


async def test_too_large_a_record_is_refused(records: MongoRecords) -> None:
    """And takes nobody along who is added at the same time."""
    parcels = records.collection(PARCELS)

    answers = await asyncio.gather(
        parcels.add(parcel("small")), parcels.add(parcel("large", seal=bytes(17 * 2**20))), return_exceptions=True
    )

    assert isinstance(answers[1], InvalidValue)
    assert answers[0] == await parcels.get(TENANT, "parcel_small")


# ---- bounded memory of once


async def check_once_is_bounded(
    records: MongoRecords, monkeypatch: pytest.MonkeyPatch, record: Tally | Parcel, kind: Kind[Any], field: str
) -> None:
    """The oldest keys go, the latest are there still."""
    monkeypatch.setattr(mongo, "ONCE_KEYS_KEPT", 10)
    monkeypatch.setattr(mongo, "_ONCE_KEYS_SLACK", 5)
    collection = records.collection(kind)
    await collection.add(record)

    for number in [*range(60), *range(50, 60)]:
        await collection.increment(TENANT, record.id, {field: 1}, once=str(number))

    assert getattr(await collection.get(TENANT, record.id), field) == 60
    document = await records._database[kind.name].find_one({"id": record.id})
    assert document is not None
    assert 10 <= len(document["_once"]) <= 17


async def test_old_once_keys_are_forgotten(records: MongoRecords, monkeypatch: pytest.MonkeyPatch) -> None:
    await check_once_is_bounded(records, monkeypatch, Tally("t", TENANT), TALLIES, "count")


async def test_old_once_keys_are_forgotten_beside_derived_fields(
    records: MongoRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    await check_once_is_bounded(records, monkeypatch, parcel("one"), PARCELS, "size_bytes")


async def test_many_increments_at_once_beside_a_derived_field(mongo_url: str) -> None:
    """Compare-and-set for each, and yet none gives up."""
    async with MongoRecords.open(mongo_url, KINDS, database_name=mongo_server.fresh_name()) as records:
        parcels = records.collection(PARCELS)
        await parcels.add(parcel("one"))

        await asyncio.gather(*(parcels.increment(TENANT, "parcel_one", {"opened": 1}) for _ in range(120)))

        assert (await parcels.get(TENANT, "parcel_one")).opened == 120


# ---- servers that are away


async def test_no_server_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo, "SERVER_TIMEOUT_MS", 100)

    with pytest.raises(StoreUnavailable):
        async with MongoRecords.open("mongodb://127.0.0.1:9/", KINDS):
            pass


async def test_address_that_is_none() -> None:
    with pytest.raises(ValueError, match="no address"):
        async with MongoRecords.open("mongodb://secret@:/", KINDS):
            pass


@pytest.mark.slow
async def test_server_that_goes_and_comes_back(records: MongoRecords, tallies: Collection[Tally], proxy: Proxy) -> None:
    """Callers learn of it soon; nothing has to be restarted."""
    kept = await tallies.add(Tally("kept", TENANT))

    await proxy.cut()
    async with asyncio.timeout(5):
        await check_away(records, tallies)
    await proxy.open()

    await come_back(records)
    assert kept == await tallies.get(TENANT, "kept")
    with pytest.raises(NotFound):
        await tallies.get(TENANT, "away")


@pytest.mark.slow
async def test_server_that_does_not_answer(records: MongoRecords, tallies: Collection[Tally], proxy: Proxy) -> None:
    kept = await tallies.add(Tally("kept", TENANT))

    proxy.stall()
    async with asyncio.timeout(10):
        await check_away(records, tallies)
    proxy.flow()

    await come_back(records)
    assert kept == await tallies.get(TENANT, "kept")


async def come_back(records: MongoRecords) -> None:
    """Ask until there is an answer; the driver looks for a lost server twice a second."""
    async with asyncio.timeout(5):
        while True:
            try:
                await records.ping()
            except StoreUnavailable:
                continue
            return


async def check_away(records: MongoRecords, tallies: Collection[Tally]) -> None:
    for call in (
        tallies.add(Tally("away", TENANT)),
        tallies.get(TENANT, "kept"),
        records.collection(PARCELS).add(parcel("away")),
        tallies.increment(TENANT, "kept", {"count": 0}),
        records.ping(),
    ):
        with pytest.raises(StoreUnavailable):
            await call


# ---- the server's own view


async def test_indexes_are_those_that_the_kinds_need(records: MongoRecords, mongo_url: str) -> None:
    name = records._database.name
    async with AsyncMongoClient[dict[str, Any]](mongo_url) as client:
        await client[name]["parcels"].create_index([("size_bytes", 1)], name="by.size_bytes")
        await client[name]["parcels"].create_index([("title", 1)], name="the operator's own")
        async with MongoRecords.open(mongo_url, KINDS, database_name=name):
            pass
        found = await client[name]["parcels"].index_information()

    expected = {"_id_", "by.id", "by.created_at", "by.state.created_at", "by.owner.size_bytes", "by.expires_at"}
    assert expected | {"unique.code", "unique.shelf.slot", "sequence.number", "the operator's own"} == set(found)


async def test_what_another_process_adds_is_told_of(mongo_url: str) -> None:
    """Within a fifth of a second, for any server of the protocol; a server that is away ends nothing."""
    async with (
        MongoRecords.open(mongo_url, KINDS, database_name="changes") as here,
        MongoRecords.open(mongo_url, KINDS, database_name="changes") as there,
        contextlib.aclosing(here.changes(TALLIES)) as changes,
    ):
        await anext(changes)
        told = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        assert not told.done()

        await there.collection(TALLIES).add(Tally("new", "tenant_1"))

        async with asyncio.timeout(5):
            await told
